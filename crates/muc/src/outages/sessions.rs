//! The session of an occupant is paused, as its server tells the room.

use super::stage::{ASKS, BACK, BENVOLIO, JULIET, PAUSED, ROMEO, Stage, TYBALT, to};

#[test]
fn psa_56_psa_57_psa_33_c_21_the_room_tells_of_a_pause_in_its_own_name() {
    let mut stage = Stage::orchard();
    let seen = stage.session(
        JULIET,
        "juliet",
        "<connection-paused/><description>juliet's session at capulet.lit</description>",
    );
    assert_eq!(seen.len(), 2, "romeo and benvolio ask: {seen:?}");
    let benvolio = &to(&seen, BENVOLIO)[0];
    assert!(
        benvolio.contains(PAUSED) && benvolio.contains("<status>Ay me!</status>"),
        "{benvolio}"
    );
    assert!(
        !benvolio.contains("capulet") && !benvolio.contains("description"),
        "{benvolio}"
    );
    assert_eq!((stage.view().unreachable, stage.view().paused), (0, 1));
    let seen = stage.session(JULIET, "juliet", "");
    for who in [ROMEO, BENVOLIO] {
        let copies = to(&seen, who);
        assert!(copies.len() == 1 && copies[0].contains(BACK), "{copies:?}");
    }
    assert_eq!(stage.view().paused, 0);
}

#[test]
fn psa_58_news_of_a_session_is_no_entering_and_no_change_and_others_see_nothing() {
    let mut stage = Stage::orchard();
    stage.speaks(ROMEO, "Good morrow");
    for what in ["<connection-paused/>", ""] {
        let seen = stage.session(JULIET, "juliet", what);
        assert!(
            to(&seen, TYBALT).is_empty() && to(&seen, JULIET).is_empty(),
            "{seen:?}"
        );
        assert!(
            !seen
                .iter()
                .any(|copy| copy.contains("code='") || copy.contains("<body>")),
            "{seen:?}"
        );
    }
    // Nor is it a new nick, nor does it let anybody in.
    let seen = stage.session(JULIET, "july", "<connection-paused/>");
    assert!(!seen.iter().any(|copy| copy.contains("july")), "{seen:?}");
    assert_eq!(
        stage.session("nurse@capulet.lit/hall", "nurse", ""),
        [] as [String; 0]
    );
    assert_eq!(stage.view().occupants, 4);
}

#[test]
fn psa_16_psa_17_what_anybody_else_says_of_a_session_is_taken_out() {
    let mut stage = Stage::orchard();
    let forged = "<presence to='orchard@chats.shakespeare.lit/juliet'>\
        <state-annotation xmlns='urn:xmpp:psa' from='chats.shakespeare.lit'><server-unavailable/></state-annotation></presence>";
    let seen = stage.says(JULIET, forged);
    assert_eq!(to(&seen, ROMEO).len(), 1);
    assert!(
        !seen.iter().any(|copy| copy.contains("state-annotation")),
        "{seen:?}"
    );
}

#[test]
fn psa_41_when_the_session_ends_the_occupant_leaves_and_nothing_is_taken_back() {
    let mut stage = Stage::orchard();
    stage.session(JULIET, "juliet", "<connection-paused/>");
    let seen = stage.leaves(JULIET, "juliet");
    let gone = to(&seen, ROMEO);
    assert!(
        gone.len() == 1 && !gone[0].contains("state-annotation"),
        "{gone:?}"
    );
}

#[test]
fn psa_42_what_a_client_says_after_its_return_is_told_without_annotation() {
    let mut stage = Stage::orchard();
    stage.session(JULIET, "juliet", "<connection-paused/>");
    let seen = stage.says(
        JULIET,
        "<presence to='orchard@chats.shakespeare.lit/juliet'><show>away</show></presence>",
    );
    let told = to(&seen, ROMEO);
    assert!(
        told.len() == 1 && !told[0].contains("state-annotation"),
        "{told:?}"
    );
    assert_eq!(
        stage.session(JULIET, "juliet", ""),
        [] as [String; 0],
        "it is known already"
    );
}

#[test]
fn psa_61_psa_40_a_newcomer_who_asks_learns_of_a_pause_too() {
    let mut stage = Stage::orchard();
    stage.session(JULIET, "juliet", "<connection-paused/>");
    let seen = stage.joins("nurse@montague.lit/hall", "nurse", ASKS);
    let annotated: Vec<&String> = seen.iter().filter(|copy| copy.contains(PAUSED)).collect();
    assert_eq!(annotated.len(), 1);
    assert!(annotated[0].contains("nurse@montague.lit/hall"));
}

#[test]
fn psa_56_a_paused_client_whose_server_is_lost_is_told_of_as_that_and_paused_again_on_return() {
    let mut stage = Stage::orchard();
    stage.session(JULIET, "juliet", "<connection-paused/>");
    let seen = stage.path("capulet.lit", true);
    assert!(to(&seen, ROMEO)[0].contains("<server-unavailable/>"));
    let seen = stage.path("capulet.lit", false);
    assert!(to(&seen, ROMEO)[0].contains(PAUSED), "{seen:?}");
}

#[test]
fn psa_55_a_pause_has_no_grace_of_the_rooms_its_server_ends_it() {
    let mut stage = Stage::orchard();
    stage.session(JULIET, "juliet", "<connection-paused/>");
    assert_eq!(stage.passes(10_000), [] as [String; 0]);
    assert_eq!(stage.view().paused, 1);
}
