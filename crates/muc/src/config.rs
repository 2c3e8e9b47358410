//! What owners configure (XEP-0045 §10.2).

use crate::Role;

mod fields;

pub(crate) use fields::{Ceilings, Lists};

/// Who sees the addresses of occupants (XEP-0045 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whois {
    /// Moderators: the room is semi-anonymous.
    Moderators,
    /// Everybody: the room is non-anonymous.
    Anyone,
}

/// Who may send private messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowPrivate {
    /// Every occupant.
    Anyone,
    /// Participants and moderators.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    None,
}

impl AllowPrivate {
    const ALL: [AllowPrivate; 4] = [
        AllowPrivate::Anyone,
        AllowPrivate::Participants,
        AllowPrivate::Moderators,
        AllowPrivate::None,
    ];

    fn as_str(self) -> &'static str {
        match self {
            AllowPrivate::Anyone => "anyone",
            AllowPrivate::Participants => "participants",
            AllowPrivate::Moderators => "moderators",
            AllowPrivate::None => "none",
        }
    }
}

/// The configuration of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `muc#roomconfig_roomname`.
    pub name: String,
    /// `muc#roomconfig_roomdesc`.
    pub description: String,
    /// `muc#roomconfig_lang`.
    pub lang: String,
    /// `muc#roomconfig_enablelogging`: occupants are told that the room is logged; who logs is not our part.
    pub logging: bool,
    /// `muc#roomconfig_changesubject`: participants may change the subject.
    pub change_subject: bool,
    /// `muc#roomconfig_allowinvites`: everybody may invite into a room for members.
    pub allow_invites: bool,
    /// `muc#roomconfig_allowpm`.
    pub allow_private: AllowPrivate,
    /// `muc#roomconfig_maxusers`; `None` is as many as the service allows.
    pub occupants_max: Option<usize>,
    /// `muc#roomconfig_presencebroadcast`: the roles whose presence everybody is told.
    pub broadcast: [bool; 3],
    /// `muc#roomconfig_getmemberlist`: the roles that may ask for the list of members.
    pub member_list: [bool; 3],
    /// `muc#roomconfig_publicroom`.
    pub public: bool,
    /// `muc#roomconfig_persistentroom`.
    pub persistent: bool,
    /// `muc#roomconfig_moderatedroom`.
    pub moderated: bool,
    /// `muc#roomconfig_membersonly`.
    pub members_only: bool,
    /// `muc#roomconfig_passwordprotectedroom`.
    pub protected: bool,
    /// `muc#roomconfig_roomsecret`.
    pub password: String,
    /// `muc#roomconfig_whois`.
    pub whois: Whois,
    /// `muc#maxhistoryfetch`: how many messages a newcomer gets at most; `None` is as many as the service keeps.
    pub history_max: Option<usize>,
    /// `muc#roomconfig_pubsub`: a node that belongs to the room.
    pub pubsub: String,
}

impl Default for Config {
    /// What an instant room is (XEP-0045 §10.1.2).
    fn default() -> Self {
        Config {
            name: String::new(),
            description: String::new(),
            lang: String::new(),
            logging: false,
            change_subject: false,
            allow_invites: false,
            allow_private: AllowPrivate::Anyone,
            occupants_max: None,
            broadcast: [true; 3],
            member_list: [true; 3],
            public: true,
            persistent: false,
            moderated: false,
            members_only: false,
            protected: false,
            password: String::new(),
            whois: Whois::Moderators,
            history_max: None,
            pubsub: String::new(),
        }
    }
}

/// The roles that the lists of roles name, in their order.
const LISTED: [Role; 3] = [Role::Moderator, Role::Participant, Role::Visitor];

impl Config {
    /// Whether addresses are hidden from all but moderators.
    pub fn is_anonymous(&self) -> bool {
        match self.whois {
            Whois::Moderators => true,
            Whois::Anyone => false,
        }
    }

    /// Whether the presence of occupants with this role is told to everybody.
    pub fn broadcasts(&self, role: Role) -> bool {
        listed(&self.broadcast, role)
    }

    /// Whether this role may ask for the list of members.
    pub(crate) fn shows_members_to(&self, role: Role) -> bool {
        listed(&self.member_list, role)
    }
}

fn listed(list: &[bool; 3], role: Role) -> bool {
    LISTED
        .iter()
        .zip(list)
        .any(|(listed, contained)| *listed == role && *contained)
}
