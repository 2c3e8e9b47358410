//! What is counted of the roster and of privacy lists, for `xmpp_roster_operations_total` and
//! `xmpp_privacy_decisions_total`.

pub use privacy::PrivacyTally;
use roster::SubscriptionStanza;

/// What a client wanted of its roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterVerb {
    /// To have it.
    Get,
    /// To change it.
    Set,
    /// To ask for a subscription.
    Subscribe,
    /// To grant one.
    Subscribed,
    /// To end its own.
    Unsubscribe,
    /// To end one that was granted, or to refuse it.
    Unsubscribed,
}

/// One such wish, and whether it was fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterOperation {
    /// What was wanted.
    pub verb: RosterVerb,
    /// Whether it was done; otherwise it was answered with an error.
    pub done: bool,
}

impl RosterVerb {
    const ALL: [RosterVerb; 6] = [
        RosterVerb::Get,
        RosterVerb::Set,
        RosterVerb::Subscribe,
        RosterVerb::Subscribed,
        RosterVerb::Unsubscribe,
        RosterVerb::Unsubscribed,
    ];

    /// The value of the label `op`.
    pub fn as_str(self) -> &'static str {
        match self {
            RosterVerb::Get => "get",
            RosterVerb::Set => "set",
            RosterVerb::Subscribe => "subscribe",
            RosterVerb::Subscribed => "subscribed",
            RosterVerb::Unsubscribe => "unsubscribe",
            RosterVerb::Unsubscribed => "unsubscribed",
        }
    }
}

impl From<SubscriptionStanza> for RosterVerb {
    fn from(stanza: SubscriptionStanza) -> RosterVerb {
        match stanza {
            SubscriptionStanza::Subscribe => RosterVerb::Subscribe,
            SubscriptionStanza::Subscribed => RosterVerb::Subscribed,
            SubscriptionStanza::Unsubscribe => RosterVerb::Unsubscribe,
            SubscriptionStanza::Unsubscribed => RosterVerb::Unsubscribed,
        }
    }
}

impl RosterOperation {
    /// All of them, in the order of their places.
    pub const ALL: [RosterOperation; 12] = {
        let mut all = [RosterOperation {
            verb: RosterVerb::Get,
            done: false,
        }; 12];
        let mut place = 0;
        while place < all.len() {
            all[place] = RosterOperation {
                verb: RosterVerb::ALL[place / 2],
                done: place % 2 == 1,
            };
            place += 1;
        }
        all
    };

    /// Its place in [`ALL`](RosterOperation::ALL).
    pub fn index(self) -> usize {
        self.verb as usize * 2 + usize::from(self.done)
    }
}
