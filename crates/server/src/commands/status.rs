//! `balcony status`: one page about the running server.

use super::{Output, ask, configuration_of_running, misunderstood, say_json};
use crate::admin::{Reply, Request, Status};
use crate::cli::Arguments;
use crate::metrics::State;
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn status(arguments: &Arguments, output: Output) -> Result<Exit, Report> {
    let reply = ask(&configuration_of_running(arguments)?, &Request::Status)?;
    let Reply::Status(status) = &reply else {
        return Err(misunderstood(&reply));
    };
    match output {
        Output::Machines => say_json(status),
        Output::People => say(page(status)),
    }
    Ok(Exit::Fine)
}

/// The page stays one: further domains are only counted.
const UNREACHABLE_TOLD: usize = 5;

fn page(status: &Status) -> String {
    let state = match status.state {
        State::Starting => "starting",
        State::Serving if status.obstacles.is_empty() => "serving",
        State::Serving => "in trouble",
        State::Draining => "about to stop",
    };
    let uptime = uptime(status.uptime_seconds);
    let mut lines = vec![format!(
        "Balcony {} (process {}), {state}, running for {uptime}",
        status.version, status.process
    )];
    lines.extend(status.obstacles.iter().map(|obstacle| format!("  ! {obstacle}")));
    lines.push(format!("Database   {}", status.database));
    for listener in &status.listeners {
        lines.push(format!("Listening  {} ({})", listener.address, listener.setting));
    }
    for host in &status.hosts {
        let accounts = plural(host.accounts, "account");
        let sessions = plural(host.sessions, "session");
        let paused = match host.paused {
            0 => String::new(),
            paused => format!(", {paused} of them waiting for their clients"),
        };
        lines.push(format!(
            "Host       {}: {accounts}, {sessions}{paused}",
            host.host
        ));
    }
    let told = status.unreachable.iter().take(UNREACHABLE_TOLD);
    lines.extend(
        told.map(|domain| format!("  ! {domain} cannot be reached; see: balcony link explain {domain}")),
    );
    let more = status.unreachable.len().saturating_sub(UNREACHABLE_TOLD);
    if more > 0 {
        lines.push(format!("  ! nor can {more} others; see: balcony link list"));
    }
    lines.join("\n")
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

/// The two largest units.
fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{HostStatus, ListenerStatus};

    #[test]
    fn the_page_fits_a_screen_and_shows_troubles_first() {
        let status = Status {
            version: "0.1.0".to_owned(),
            process: 4711,
            uptime_seconds: 93_784,
            state: State::Serving,
            obstacles: vec!["storage: the disk is full".to_owned()],
            listeners: vec![ListenerStatus {
                setting: "c2s.listen".to_owned(),
                address: "[::]:5222".to_owned(),
            }],
            hosts: vec![HostStatus {
                host: "montague.lit".to_owned(),
                accounts: 12,
                sessions: 3,
                paused: 2,
            }],
            database: "SQLite, /var/lib/balcony/balcony.db".to_owned(),
            unreachable: (1..8).map(|n| format!("capulet{n}.lit")).collect(),
        };
        let expected = "\
Balcony 0.1.0 (process 4711), in trouble, running for 1 d 2 h
  ! storage: the disk is full
Database   SQLite, /var/lib/balcony/balcony.db
Listening  [::]:5222 (c2s.listen)
Host       montague.lit: 12 accounts, 3 sessions, 2 of them waiting for their clients
  ! capulet1.lit cannot be reached; see: balcony link explain capulet1.lit
  ! capulet2.lit cannot be reached; see: balcony link explain capulet2.lit
  ! capulet3.lit cannot be reached; see: balcony link explain capulet3.lit
  ! capulet4.lit cannot be reached; see: balcony link explain capulet4.lit
  ! capulet5.lit cannot be reached; see: balcony link explain capulet5.lit
  ! nor can 2 others; see: balcony link list";
        assert_eq!(page(&status), expected);
    }

    #[test]
    fn times_are_told_in_two_units() {
        for (seconds, told) in [
            (0, "0 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h 0 min"),
            (86_400, "1 d 0 h"),
        ] {
            assert_eq!(uptime(seconds), told);
        }
    }
}
