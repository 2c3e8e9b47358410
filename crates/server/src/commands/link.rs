//! `balcony link …`: how other domains are reached, and why not.

use super::{Output, ask, configuration_of_running, misunderstood, say_all, say_json};
use crate::admin::{Attempt, Link, Reply, Request, Try};
use crate::cli::{Arguments, LinkCommand};
use crate::report::{Exit, Report};
use crate::terminal::say;

/// A link lives while it carries something, waits, or somebody watches.
const NO_LINKS: &str = "there are no links: nothing is said to other domains, and nobody waits for any; `balcony link explain \
                        DOMAIN` tries one";

/// Attempts that are told in full; of older ones only what came of them.
const IN_FULL: usize = 1;

pub(super) fn link(arguments: &Arguments, command: &LinkCommand, output: Output) -> Result<Exit, Report> {
    let (request, done) = match command {
        LinkCommand::List => (Request::LinkList { domain: None }, ""),
        LinkCommand::Explain { domain } => (
            Request::LinkExplain {
                domain: domain.clone(),
            },
            "",
        ),
        LinkCommand::Connect { domain } => (
            Request::LinkConnect {
                domain: domain.clone(),
            },
            "an attempt has begun; balcony link explain tells what comes of it",
        ),
        LinkCommand::Drop { domain } => (
            Request::LinkDrop {
                domain: domain.clone(),
            },
            "the streams are being closed",
        ),
    };
    let reply = ask(&configuration_of_running(arguments)?, &request)?;
    match (&reply, output) {
        (Reply::Links { .. } | Reply::Done, Output::Machines) => say_json(&reply),
        (Reply::Done, Output::People) => say(done),
        (Reply::Links { links }, Output::People) => match command {
            LinkCommand::Explain { .. } => links.iter().map(explanation).for_each(say),
            LinkCommand::List | LinkCommand::Connect { .. } | LinkCommand::Drop { .. } => {
                say_all(links, line, NO_LINKS);
            }
        },
        (
            Reply::Status(_)
            | Reply::Accounts { .. }
            | Reply::Account(_)
            | Reply::Sessions { .. }
            | Reply::Ended { .. }
            | Reply::PrivacyExplained { .. }
            | Reply::PresenceExplained(_)
            | Reply::Poked(_)
            | Reply::Rooms { .. }
            | Reply::Reloaded(_),
            _,
        ) => return Err(misunderstood(&reply)),
    }
    Ok(Exit::Fine)
}

/// One link on one line.
fn line(link: &Link) -> String {
    let mut parts = vec![format!("{} for {}", link.state, span(link.seconds))];
    parts.extend(link.cause.as_deref().map(|cause| {
        let cause = cause.trim_end_matches('.');
        cause.to_owned()
    }));
    let ways: Vec<String> = link
        .streams
        .iter()
        .map(|stream| match stream.broken {
            true => format!("{} (broken)", stream.ways),
            false => stream.ways.clone(),
        })
        .collect();
    if !ways.is_empty() {
        parts.push(format!("streams: {}", ways.join(", ")));
    }
    if let Some(seconds) = link.last_exchange_seconds {
        parts.push(format!("last heard {} ago", span(seconds)));
    }
    if let Some(micros) = link.rtt_microseconds {
        parts.push(format!("round trip {}.{} ms", micros / 1000, micros % 1000 / 100));
    }
    if link.connecting {
        parts.push(String::from("connecting"));
    }
    if let Some(seconds) = link.retry_in_seconds.filter(|_| !link.connecting) {
        parts.push(format!("next attempt in {}", span(seconds)));
    }
    match link.waiting {
        0 => {}
        1 => parts.push(String::from("1 stanza waits")),
        waiting => parts.push(format!("{waiting} stanzas wait")),
    }
    format!("{} - {}  {}", link.local, link.remote, parts.join("; "))
}

/// All that is known of one link.
fn explanation(link: &Link) -> String {
    let mut lines = vec![line(link)];
    for direction in ["out", "in"] {
        let attempts = link
            .attempts
            .iter()
            .filter(|attempt| attempt.direction == direction);
        let attempts: Vec<&Attempt> = attempts.rev().collect();
        let title = match direction {
            "out" => format!("From here to {}:", link.remote),
            _ => format!("From {} to here:", link.remote),
        };
        lines.push(title);
        let carries_both = link.streams.iter().any(|stream| stream.ways == "both");
        if attempts.is_empty() {
            lines.push(match carries_both {
                true => String::from("  no attempt was needed: one connection carries both directions"),
                false => String::from("  no attempt is remembered"),
            });
        }
        for (place, attempt) in attempts.iter().enumerate() {
            lines.push(format!("  {}  {}", attempt.started, attempt.sentence));
            if place < IN_FULL {
                in_full(attempt, &mut lines);
            }
        }
    }
    lines.join("\n")
}

fn in_full(attempt: &Attempt, lines: &mut Vec<String>) {
    if let Some(lookup) = &attempt.lookup {
        let found = lookup.services.iter().chain(&lookup.addresses);
        lines.extend(found.map(|record| format!("    DNS: {record}")));
        lines.extend(lookup.fault.iter().map(|fault| format!("    DNS: {fault}")));
    }
    for Try {
        target,
        encryption,
        steps,
        milliseconds,
    } in &attempt.tries
    {
        lines.push(format!("    {target}, {encryption}, {milliseconds} ms"));
        lines.extend(steps.iter().map(|step| format!("      {step}")));
    }
}

/// A time in its largest whole unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{LinkStream, Lookup};

    fn down() -> Link {
        Link {
            local: String::from("montague.lit"),
            remote: String::from("capulet.lit"),
            state: String::from("down"),
            cause: Some(String::from("The server of the domain refuses connections.")),
            seconds: 130,
            connecting: false,
            retry_in_seconds: Some(20),
            waiting: 3,
            waiting_bytes: 900,
            last_exchange_seconds: None,
            rtt_microseconds: None,
            watchers: 1,
            announced: true,
            streams: Vec::new(),
            attempts: vec![Attempt {
                direction: String::from("out"),
                started: String::from("2026-01-01T00:00:00Z"),
                milliseconds: 7,
                verdict: String::from("refused"),
                sentence: String::from("Every server of capulet.lit refuses connections."),
                lookup: Some(Lookup {
                    services: vec![String::from("_xmpp-server 0 5 xmpp.capulet.lit:5269")],
                    addresses: vec![String::from("xmpp.capulet.lit: 127.0.0.12")],
                    fault: None,
                    milliseconds: 1,
                }),
                tries: vec![Try {
                    target: String::from("xmpp.capulet.lit (127.0.0.12:5269)"),
                    encryption: String::from("starttls"),
                    steps: vec![String::from("TCP: refused")],
                    milliseconds: 1,
                }],
            }],
        }
    }

    #[test]
    fn a_link_stands_on_one_line() {
        assert_eq!(
            line(&down()),
            "montague.lit - capulet.lit  down for 2 min; The server of the domain refuses connections; next attempt in \
             20 s; 3 stanzas wait"
        );
        let up = Link {
            state: String::from("up"),
            cause: None,
            retry_in_seconds: None,
            waiting: 0,
            last_exchange_seconds: Some(5),
            rtt_microseconds: Some(1_290),
            streams: vec![LinkStream {
                ways: String::from("both"),
                broken: false,
            }],
            ..down()
        };
        assert_eq!(
            line(&up),
            "montague.lit - capulet.lit  up for 2 min; streams: both; last heard 5 s ago; round trip 1.2 ms"
        );
    }

    #[test]
    fn an_explanation_names_every_step_in_both_directions() {
        assert_eq!(
            explanation(&down()).lines().skip(1).collect::<Vec<_>>(),
            [
                "From here to capulet.lit:",
                "  2026-01-01T00:00:00Z  Every server of capulet.lit refuses connections.",
                "    DNS: _xmpp-server 0 5 xmpp.capulet.lit:5269",
                "    DNS: xmpp.capulet.lit: 127.0.0.12",
                "    xmpp.capulet.lit (127.0.0.12:5269), starttls, 1 ms",
                "      TCP: refused",
                "From capulet.lit to here:",
                "  no attempt is remembered",
            ]
        );
    }
}
