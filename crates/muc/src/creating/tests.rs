//! Who may make a room, and what becomes of those who come while that is found out.

use machine::Machine;

use crate::Input;
use crate::desk::{CRONE, Desk, HAG, WICCA};

#[test]
fn xep0045_10_1_1_whoever_has_made_enough_rooms_makes_no_more_and_who_comes_meanwhile_waits() {
    let mut desk = Desk::new(7);
    desk.settings.rooms_per_user = Some(2);
    assert!(desk.join(CRONE, "firstwitch").is_empty(), "it waits");
    assert!(
        desk.join(HAG, "thirdwitch").is_empty(),
        "and so do those who come later"
    );
    assert!(!desk.room.is_idle());
    let seen = desk.tell(Input::Counted(Some(2)));
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0].contains("<not-allowed") && seen[0].contains(CRONE),
        "{}",
        seen[0]
    );
    let seen = desk.tell(Input::Counted(Some(1)));
    assert!(
        seen[0].contains("code='201'") && seen[0].contains(HAG),
        "{seen:?}"
    );
    assert!(desk.leave(HAG)[0].contains("unavailable"));

    desk.join(CRONE, "firstwitch");
    let seen = desk.tell(Input::Counted(None));
    assert!(seen[0].contains("type='wait'"), "the store did not say: {seen:?}");
    assert!(desk.room.is_idle());
}

#[test]
fn whoever_leaves_while_a_room_is_made_is_not_in_it_though_nothing_more_can_wait() {
    let mut desk = Desk::new(7);
    desk.settings.rooms_per_user = Some(2);
    desk.join(CRONE, "firstwitch");
    desk.join(HAG, "thirdwitch");
    while desk.join(WICCA, "secondwitch").is_empty() {}
    let returned = desk.say(HAG, "<body>Anybody?</body>");
    assert!(returned[0].contains("<resource-constraint"), "{returned:?}");
    assert!(desk.leave(HAG).is_empty(), "it waits");
    for _ in 0..2 {
        let again = desk.leave(HAG);
        assert!(again[0].contains("<resource-constraint"), "once: {again:?}");
    }
    desk.tell(Input::Counted(Some(1)));
    let there: Vec<&str> = desk.room.occupants.iter().map(|one| one.nick()).collect();
    assert_eq!(there, ["firstwitch"]);
}
