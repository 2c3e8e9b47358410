//! Roles and affiliations (XEP-0045 §5).

/// What somebody is in the room right now (XEP-0045 §5.1), the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not in the room.
    None,
    /// May listen.
    Visitor,
    /// May speak.
    Participant,
    /// May also remove others and give voice.
    Moderator,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 4] = [Role::None, Role::Visitor, Role::Participant, Role::Moderator];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }

    /// The role that is written so.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What somebody is to the room for long (XEP-0045 §5.2), the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    /// May not enter.
    Outcast,
    /// Nothing is known of this one.
    None,
    /// May enter a room for members.
    Member,
    /// May also ban, and edit the list of members.
    Admin,
    /// May also configure and destroy the room, and edit all lists.
    Owner,
}

impl Affiliation {
    /// All of them, the least first.
    pub const ALL: [Affiliation; 5] = [
        Affiliation::Outcast,
        Affiliation::None,
        Affiliation::Member,
        Affiliation::Admin,
        Affiliation::Owner,
    ];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Admin => "admin",
            Affiliation::Owner => "owner",
        }
    }

    /// The affiliation that is written so.
    pub fn parse(text: &str) -> Option<Affiliation> {
        Affiliation::ALL
            .into_iter()
            .find(|affiliation| affiliation.as_str() == text)
    }

    /// The number that a store keeps for it.
    pub fn code(self) -> i64 {
        match self {
            Affiliation::Outcast => 0,
            Affiliation::None => 1,
            Affiliation::Member => 2,
            Affiliation::Admin => 3,
            Affiliation::Owner => 4,
        }
    }

    /// The affiliation with this number.
    pub fn from_code(code: i64) -> Option<Affiliation> {
        Affiliation::ALL
            .into_iter()
            .find(|affiliation| affiliation.code() == code)
    }

    /// The role with which somebody enters (XEP-0045 §5.1.2, table 4).
    pub fn initial_role(self, moderated: bool) -> Role {
        match self {
            Affiliation::Outcast => Role::None,
            Affiliation::None if moderated => Role::Visitor,
            Affiliation::None | Affiliation::Member => Role::Participant,
            Affiliation::Admin | Affiliation::Owner => Role::Moderator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xep0045_5_1_2_initial_roles_are_those_of_table_4() {
        use Role::{Moderator, None, Participant, Visitor};
        let roles = |moderated| Affiliation::ALL.map(|affiliation| affiliation.initial_role(moderated));
        assert_eq!(roles(true), [None, Visitor, Participant, Moderator, Moderator]);
        assert_eq!(
            roles(false),
            [None, Participant, Participant, Moderator, Moderator]
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for affiliation in Affiliation::ALL {
            assert_eq!(Affiliation::parse(affiliation.as_str()), Some(affiliation));
            assert_eq!(Affiliation::from_code(affiliation.code()), Some(affiliation));
        }
        assert_eq!(Role::parse("owner"), None);
    }
}
