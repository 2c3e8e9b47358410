//! Calls for the user's attention in messages (XEP-0224), as far as the server has a say: the rate, and strangers.

use machine::Context;
use presence::{Attention, Judgement};

use crate::Settings;
use crate::account::Account;
use crate::door::Passed;

impl Account {
    /// The message as it may reach the user: with the call, without it, or not at all. Where nothing is to be judged, the
    /// message is not looked into.
    pub(crate) fn judge_attention(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: Passed,
    ) -> Option<Passed> {
        let rate = context.settings.presence.attention_rate;
        if rate.is_none() && !self.flags.attention_from_strangers_off {
            return Some(parcel);
        }
        let Some(place) = Attention::call(parcel.parcel().stanza()) else {
            return Some(parcel);
        };
        let is_stranger = self.flags.attention_from_strangers_off
            && parcel.parcel().from().is_some_and(|from| {
                // ATT-15: contacts, and peers with whom presence is shared for now.
                self.is_stranger(from) && !self.sessions.iter().any(|session| session.directed_to(from))
            });
        let message = parcel.parcel().stanza();
        match self
            .attention
            .judge(message, place, is_stranger, rate, context.now)
        {
            Judgement::Carry => Some(parcel),
            Judgement::Strip(place) => Some(parcel.without_child(place)),
            Judgement::Drop => None,
        }
    }
}
