//! The elements of XEP-0198 as they are written: the same between a client and a server, and between two servers.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use stanza::namespace::{STANZA_ERRORS, STREAM_MANAGEMENT};
use stanza::{Condition, StreamCondition, StreamError};

use crate::TooHigh;

/// The wish to be counted, and to resume (XEP-0198 §3, §5).
pub fn write_enable(out: &mut Vec<u8>) {
    write(
        out,
        format_args!("<enable xmlns='{STREAM_MANAGEMENT}' resume='true'/>"),
    );
}

/// Counting begins (XEP-0198 §3), with the name and the time of the resumption that is promised (§5).
pub fn write_enabled(out: &mut Vec<u8>, resumption: Option<(&str, Duration)>) {
    write(out, format_args!("<enabled xmlns='{STREAM_MANAGEMENT}'"));
    if let Some((id, time)) = resumption {
        let seconds = time.as_secs();
        write(out, format_args!(" id='{id}' resume='true' max='{seconds}'"));
    }
    out.extend_from_slice(b"/>");
}

/// Counting or resumption does not come about (XEP-0198 §6), with the last known count of a session that is over.
pub fn write_failed(out: &mut Vec<u8>, condition: Condition, handled: Option<u32>) {
    write(out, format_args!("<failed xmlns='{STREAM_MANAGEMENT}'"));
    if let Some(handled) = handled {
        write(out, format_args!(" h='{handled}'"));
    }
    let name = condition.as_str();
    write(out, format_args!("><{name} xmlns='{STANZA_ERRORS}'/></failed>"));
}

/// The question what was handled (XEP-0198 §4).
pub fn write_request(out: &mut Vec<u8>) {
    write(out, format_args!("<r xmlns='{STREAM_MANAGEMENT}'/>"));
}

/// The answer to that.
pub fn write_acknowledgement(out: &mut Vec<u8>, handled: u32) {
    write(
        out,
        format_args!("<a xmlns='{STREAM_MANAGEMENT}' h='{handled}'/>"),
    );
}

/// The wish to go on with an earlier stream (XEP-0198 §5).
pub fn write_resume(out: &mut Vec<u8>, id: &str, handled: u32) {
    write_resumption(out, "resume", id, handled);
}

/// That wish is granted.
pub fn write_resumed(out: &mut Vec<u8>, id: &str, handled: u32) {
    write_resumption(out, "resumed", id, handled);
}

fn write_resumption(out: &mut Vec<u8>, name: &str, id: &str, handled: u32) {
    write(
        out,
        format_args!("<{name} xmlns='{STREAM_MANAGEMENT}' h='{handled}' previd='"),
    );
    // It is what the peer gave to it, and may be anything.
    xml::escape_attribute(out, id);
    out.extend_from_slice(b"'/>");
}

fn write(out: &mut Vec<u8>, words: fmt::Arguments<'_>) {
    // In memory there is always room.
    let _ = out.write_fmt(words);
}

impl From<TooHigh> for StreamError {
    /// XEP-0198 §6: who acknowledges more than was sent is told both numbers.
    fn from(TooHigh { handled, sent }: TooHigh) -> StreamError {
        let numbers = format!(
            "<handled-count-too-high xmlns='{STREAM_MANAGEMENT}' h='{handled}' send-count='{sent}'/>"
        );
        StreamError::new(StreamCondition::UndefinedCondition)
            .text(format!(
                "You acknowledged {handled} stanzas, but were sent {sent}."
            ))
            .application(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn xep0198_what_is_promised_and_what_is_known_is_said_and_nothing_else() {
        let promised = Some(("some-long-sm-id", Duration::from_secs(300)));
        assert_eq!(
            written(|out| write_enabled(out, promised)),
            "<enabled xmlns='urn:xmpp:sm:3' id='some-long-sm-id' resume='true' max='300'/>"
        );
        assert_eq!(
            written(|out| write_enabled(out, None)),
            "<enabled xmlns='urn:xmpp:sm:3'/>"
        );
        let failed = |handled| written(|out| write_failed(out, Condition::ItemNotFound, handled));
        let not_found = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
        assert_eq!(
            failed(Some(7)),
            format!("<failed xmlns='urn:xmpp:sm:3' h='7'>{not_found}")
        );
        assert_eq!(failed(None), format!("<failed xmlns='urn:xmpp:sm:3'>{not_found}"));
    }

    #[test]
    fn xep0198_5_an_identifier_that_a_peer_chose_stays_inside_its_attribute() {
        assert_eq!(
            written(|out| write_resume(out, "a'/><b c='", 3)),
            "<resume xmlns='urn:xmpp:sm:3' h='3' previd='a&apos;/&gt;&lt;b c=&apos;'/>"
        );
    }
}
