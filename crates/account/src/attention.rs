//! Calls for the user's attention in messages (XEP-0224), as far as the server has a say: the rate, and strangers.

use machine::Context;
use presence::{Attention, Judgement};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::input::Tally;
use crate::{Effect, PresenceCount, Settings};

impl Account {
    /// The message as it may reach the user: with the call, without it, or not at all.
    pub(crate) fn judge_attention(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: Passed,
        out: &mut Out,
    ) -> Option<Passed> {
        let rate = context.settings.presence.attention_rate;
        let Some(place) = Attention::call(parcel.parcel().stanza()) else {
            return Some(parcel);
        };
        let is_stranger = self.flags.attention_from_strangers_off
            && parcel.parcel().from().is_some_and(|from| {
                // ATT-15: contacts, and peers with whom presence is shared for now.
                self.is_stranger(from) && !self.sessions.iter().any(|session| session.directed_to(from))
            });
        let message = parcel.parcel().stanza();
        let judgement = self
            .attention
            .judge(message, place, is_stranger, rate, context.now);
        let count = match judgement {
            Judgement::Carry => PresenceCount::AttentionDelivered,
            Judgement::Strip(_) | Judgement::Drop if is_stranger => PresenceCount::AttentionBlocked,
            Judgement::Strip(_) | Judgement::Drop => PresenceCount::AttentionRateLimited,
        };
        out.effects.push(Effect::Count(Tally::Presence(count)));
        match judgement {
            Judgement::Carry => Some(parcel),
            Judgement::Strip(place) => Some(parcel.without_child(place)),
            Judgement::Drop => None,
        }
    }
}
