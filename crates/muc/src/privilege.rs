//! Who may do what (XEP-0045 §5.1.1, §5.2.1): one table, and what the configuration changes in it.

use crate::{Affiliation, AllowPrivate, Config, Role};

/// What somebody may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a message to all (XEP-0045 §7.4).
    Speak,
    /// Send a private message (XEP-0045 §7.5).
    SpeakPrivately,
    /// Change the subject (XEP-0045 §8.1).
    ChangeSubject,
    /// Invite others (XEP-0045 §7.8).
    Invite,
    /// Ask for voice (XEP-0045 §7.13).
    AskForVoice,
    /// Remove participants and visitors (XEP-0045 §8.2).
    Kick,
    /// Give and take voice, and see who has it (XEP-0045 §8.3–§8.5).
    EditVoice,
    /// See the addresses of occupants where not everybody does (XEP-0045 §4.2).
    SeeAddresses,
    /// Give and take the role of moderator, and see who has it (XEP-0045 §9.6–§9.8).
    EditModerators,
    /// See the list of members (XEP-0045 §9.5).
    ReadMembers,
    /// Change the list of members (XEP-0045 §9.3–§9.5).
    EditMembers,
    /// Ban, and see and change the list of the banned (XEP-0045 §9.1, §9.2).
    Ban,
    /// See and change the list of administrators (XEP-0045 §10.6–§10.8).
    EditAdmins,
    /// See and change the list of owners (XEP-0045 §10.3–§10.5).
    EditOwners,
    /// Configure the room (XEP-0045 §10.2).
    Configure,
    /// Destroy the room (XEP-0045 §10.9).
    Destroy,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 16] = [
        Action::Speak,
        Action::SpeakPrivately,
        Action::ChangeSubject,
        Action::Invite,
        Action::AskForVoice,
        Action::Kick,
        Action::EditVoice,
        Action::SeeAddresses,
        Action::EditModerators,
        Action::ReadMembers,
        Action::EditMembers,
        Action::Ban,
        Action::EditAdmins,
        Action::EditOwners,
        Action::Configure,
        Action::Destroy,
    ];
}

/// What it takes at least: this role and this affiliation.
fn needs(action: Action, config: &Config) -> (Role, Affiliation) {
    use Affiliation::{Admin, Member, Outcast, Owner};
    use Role::{Moderator, None, Participant, Visitor};
    match action {
        // Table 3 of XEP-0045 §5.1.1, with its footnotes. No occupant is an outcast.
        Action::Speak => (Participant, Outcast),
        Action::SpeakPrivately => match config.allow_private {
            AllowPrivate::Anyone => (Visitor, Outcast),
            AllowPrivate::Participants => (Participant, Outcast),
            AllowPrivate::Moderators => (Moderator, Outcast),
            // Nobody has a higher role; see `may`.
            AllowPrivate::None => (Moderator, Owner),
        },
        Action::ChangeSubject if config.change_subject => (Participant, Outcast),
        Action::ChangeSubject => (Moderator, Outcast),
        // XEP-0045 §7.8.2: in a room for members an invitation makes a member, which only admins may, unless the owners
        // allow it to others.
        Action::Invite if config.members_only && !config.allow_invites => (Visitor, Admin),
        Action::Invite => (Visitor, Outcast),
        Action::AskForVoice => (Visitor, Outcast),
        Action::Kick | Action::EditVoice | Action::SeeAddresses => (Moderator, Outcast),
        // Table 6 of XEP-0045 §5.2.1. These need no presence in the room.
        Action::EditModerators | Action::EditMembers | Action::Ban => (None, Admin),
        // Footnote 3: where addresses are hidden, the list would show them.
        Action::ReadMembers if config.is_anonymous() => (None, Admin),
        Action::ReadMembers => (None, Member),
        Action::EditAdmins | Action::EditOwners | Action::Configure | Action::Destroy => (None, Owner),
    }
}

/// Whether somebody of this role and affiliation may do this in a room of this configuration.
pub fn may(role: Role, affiliation: Affiliation, action: Action, config: &Config) -> bool {
    if action == Action::SpeakPrivately && config.allow_private == AllowPrivate::None {
        return false;
    }
    let (least_role, least_affiliation) = needs(action, config);
    role >= least_role && affiliation >= least_affiliation
}

/// Whether somebody may change the role of an occupant (XEP-0045 §5.1.3, §8.2–§8.4, §9.6, §9.7, §10).
pub(crate) fn may_change_role(
    actor: (Role, Affiliation),
    target: (Role, Affiliation),
    to: Role,
    config: &Config,
) -> bool {
    let (role, affiliation) = actor;
    let (target_role, target_affiliation) = target;
    if target_role == to {
        return may(role, affiliation, Action::EditVoice, config)
            || may(role, affiliation, Action::EditModerators, config);
    }
    let concerns_moderators = target_role == Role::Moderator || to == Role::Moderator;
    if concerns_moderators {
        // §9.7: an admin takes it from members and the unaffiliated only; §5.1.3: nobody takes it from somebody higher.
        let takes_it = target_role == Role::Moderator;
        return may(role, affiliation, Action::EditModerators, config)
            && (!takes_it || target_affiliation < Affiliation::Admin || affiliation == Affiliation::Owner)
            // §8.4: voice is never taken from an admin or owner, who would stay what their affiliation makes them.
            && (!takes_it || to == Role::None || target_affiliation < Affiliation::Admin);
    }
    let action = if to == Role::None {
        Action::Kick
    } else {
        Action::EditVoice
    };
    may(role, affiliation, action, config) && target_affiliation <= affiliation.max(Affiliation::Member)
}

/// Whether somebody may change somebody's affiliation (XEP-0045 §5.2.2, table 7).
pub(crate) fn may_change_affiliation(actor: Affiliation, from: Affiliation, to: Affiliation) -> bool {
    match actor {
        Affiliation::Owner => true,
        Affiliation::Admin => from < Affiliation::Admin && to < Affiliation::Admin,
        Affiliation::Member | Affiliation::None | Affiliation::Outcast => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Whois;

    /// Rows are actions; columns the roles of somebody without an affiliation, then the affiliations of somebody who is
    /// not in the room, both the least first.
    const DEFAULT: [(Action, &str, &str); 16] = [
        (Action::Speak, "..xx", "....."),
        (Action::SpeakPrivately, ".xxx", "....."),
        (Action::ChangeSubject, "...x", "....."),
        (Action::Invite, ".xxx", "....."),
        (Action::AskForVoice, ".xxx", "....."),
        (Action::Kick, "...x", "....."),
        (Action::EditVoice, "...x", "....."),
        (Action::SeeAddresses, "...x", "....."),
        (Action::EditModerators, "....", "...xx"),
        (Action::ReadMembers, "....", "...xx"),
        (Action::EditMembers, "....", "...xx"),
        (Action::Ban, "....", "...xx"),
        (Action::EditAdmins, "....", "....x"),
        (Action::EditOwners, "....", "....x"),
        (Action::Configure, "....", "....x"),
        (Action::Destroy, "....", "....x"),
    ];

    fn roles(action: Action, affiliation: Affiliation, config: &Config) -> String {
        let mark = |role| {
            if may(role, affiliation, action, config) {
                'x'
            } else {
                '.'
            }
        };
        Role::ALL.into_iter().map(mark).collect()
    }

    fn affiliations(action: Action, role: Role, config: &Config) -> String {
        let mark = |affiliation| {
            if may(role, affiliation, action, config) {
                'x'
            } else {
                '.'
            }
        };
        Affiliation::ALL.into_iter().map(mark).collect()
    }

    #[test]
    fn xep0045_5_1_1_5_2_1_the_matrix_of_roles_affiliations_and_actions() {
        let config = Config::default();
        assert_eq!(DEFAULT.map(|(action, ..)| action), Action::ALL);
        for (action, by_role, by_affiliation) in DEFAULT {
            assert_eq!(
                roles(action, Affiliation::None, &config),
                by_role,
                "{action:?} by role"
            );
            assert_eq!(
                affiliations(action, Role::None, &config),
                by_affiliation,
                "{action:?}"
            );
            // Whoever has more of one has at least what less of it gives.
            for role in Role::ALL {
                for affiliation in Affiliation::ALL {
                    if may(role, affiliation, action, &config) {
                        assert!(may(Role::Moderator, affiliation, action, &config), "{action:?}");
                        assert!(may(role, Affiliation::Owner, action, &config), "{action:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn xep0045_5_1_1_footnotes_the_configuration_moves_the_lines() {
        let none = Affiliation::None;
        let subject = Config {
            change_subject: true,
            ..Config::default()
        };
        assert_eq!(roles(Action::ChangeSubject, none, &subject), "..xx");
        let closed = Config {
            members_only: true,
            ..Config::default()
        };
        assert_eq!(affiliations(Action::Invite, Role::Participant, &closed), "...xx");
        let inviting = Config {
            members_only: true,
            allow_invites: true,
            ..Config::default()
        };
        assert_eq!(roles(Action::Invite, none, &inviting), ".xxx");
        let open = Config {
            whois: Whois::Anyone,
            ..Config::default()
        };
        assert_eq!(affiliations(Action::ReadMembers, Role::None, &open), "..xxx");
        for (allow_private, expected) in [
            (AllowPrivate::Anyone, ".xxx"),
            (AllowPrivate::Participants, "..xx"),
            (AllowPrivate::Moderators, "...x"),
            (AllowPrivate::None, "...."),
        ] {
            let config = Config {
                allow_private,
                ..Config::default()
            };
            assert_eq!(
                roles(Action::SpeakPrivately, Affiliation::Owner, &config),
                expected
            );
        }
    }

    #[test]
    fn xep0045_5_2_2_affiliations_change_as_table_7_says() {
        for from in Affiliation::ALL {
            for to in Affiliation::ALL {
                assert!(may_change_affiliation(Affiliation::Owner, from, to));
                let low = from < Affiliation::Admin && to < Affiliation::Admin;
                assert_eq!(
                    may_change_affiliation(Affiliation::Admin, from, to),
                    low,
                    "{from:?} {to:?}"
                );
                assert!(!may_change_affiliation(Affiliation::Member, from, to));
            }
        }
    }

    #[test]
    fn xep0045_5_1_3_roles_change_as_table_5_says() {
        use Affiliation::{Admin, Member, None as Unaffiliated, Owner};
        use Role::{Moderator, None, Participant, Visitor};
        let config = Config::default();
        let may = |actor, target, to| may_change_role(actor, target, to, &config);
        let plain = (Moderator, Unaffiliated);
        assert!(may(plain, (Participant, Unaffiliated), None), "§8.2 kick");
        assert!(may(plain, (Participant, Member), None), "§8.2 kick a member");
        assert!(
            !may(plain, (Moderator, Unaffiliated), None),
            "moderators are removed by admins"
        );
        assert!(may(plain, (Visitor, Unaffiliated), Participant), "§8.3 voice");
        assert!(may(plain, (Participant, Member), Visitor), "§8.4 no voice");
        assert!(
            !may(plain, (Participant, Unaffiliated), Moderator),
            "§9.6 is for admins"
        );
        assert!(!may((Participant, Member), (Visitor, Unaffiliated), Participant));
        assert!(
            may((Moderator, Admin), (Participant, Unaffiliated), Moderator),
            "§9.6"
        );
        assert!(may((None, Admin), (Moderator, Member), Participant), "§9.7");
        assert!(
            !may((Moderator, Admin), (Moderator, Admin), Participant),
            "§9.7 not from an admin"
        );
        assert!(
            !may((Moderator, Admin), (Moderator, Owner), None),
            "§8.2 not somebody higher"
        );
        assert!(
            !may((Moderator, Owner), (Moderator, Admin), Visitor),
            "§8.4 never voice of an admin"
        );
        assert!(
            may((Moderator, Owner), (Moderator, Admin), None),
            "§5.1.3 kicked by an owner"
        );
    }
}
