//! The visiting card of a room, and the picture in it (XEP-0486).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use machine::Context;
use sha1::{Digest, Sha1};
use stanza::{Address, Condition, StanzaError};
use xml::{Limits, Tree};

use crate::Settings;
use crate::administration::Answer;
use crate::names::VCARD;
use crate::privilege::{Action, may};
use crate::room::{Out, Room};
use crate::stored::Change;

impl Room {
    /// `vcard-temp` at the room itself: everybody may see the card, owners replace it.
    pub(crate) fn show_card(
        &mut self,
        context: &Context<'_, Settings>,
        from: &Address,
        card: &Tree,
        is_set: bool,
        out: &mut Out,
    ) -> Answer {
        if !is_set {
            let kept = self.card.as_deref().and_then(parsed);
            return Ok(Some(kept.unwrap_or_else(|| Tree::new("vCard", VCARD))));
        }
        let (role, affiliation) = self.standing(from);
        if !may(role, affiliation, Action::Configure, &self.config) {
            return Err(StanzaError::new(Condition::Forbidden).text("only owners may do this"));
        }
        let bytes = card.to_bytes("");
        let max = context.settings.card_bytes;
        if bytes.len() > max {
            let text = format!("a vCard may have {max} bytes at most, picture included");
            return Err(StanzaError::new(Condition::PolicyViolation).text(text));
        }
        let is_empty = card.children().next().is_none();
        self.card = (!is_empty).then_some(bytes);
        if self.stored {
            out.commit.push(Change::Card(self.card.clone()));
        }
        // XEP-0486 §3.2: as a change of the configuration.
        self.tell_codes(&[104], out);
        Ok(None)
    }

    /// The hashes of its pictures (XEP-0486 §3.3, XEP-0153 §3.1).
    pub(crate) fn picture_hashes(&self) -> Vec<String> {
        let Some(card) = self.card.as_deref().and_then(parsed) else {
            return Vec::new();
        };
        let photos = card.children().filter(|child| child.is(VCARD, "PHOTO"));
        photos
            .filter_map(|photo| {
                let text = photo.find(VCARD, "BINVAL")?.content().into_owned();
                let text: String = text.split_whitespace().collect();
                let picture = STANDARD.decode(text).ok()?;
                let digest = Sha1::digest(picture);
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            })
            .collect()
    }
}

fn parsed(bytes: &[u8]) -> Option<Tree> {
    Tree::parse(bytes, "", &Limits::unlimited()).ok()
}
