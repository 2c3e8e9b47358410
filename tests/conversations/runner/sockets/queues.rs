//! What the kernel still holds of what was said to a server: the other half of a barrier.
//!
//! Bytes that a client writes on loopback are at once in the receive queue of the server's socket. When these queues are
//! empty, the server has taken in everything that was said until now, whatever the protocol thinks of it; so nobody's
//! stream has to carry a question that the script does not know of.

use std::time::{Duration, Instant};

/// A server that takes nothing in for so long does so on purpose.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks, each of which takes the kernel some milliseconds.
const PAUSE: Duration = Duration::from_millis(1);

/// Connections as the kernel lists them, of the server's side.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    /// Bytes that came and were not read, and bytes that were written and did not arrive.
    bytes: u64,
    /// Connections that the client has ended and the server has not.
    half_closed: usize,
    open: usize,
}

/// Waits until servers on these ports have read all that was said to them, and have seen who has hung up.
pub(super) fn wait_until_read(ports: &[u16]) -> Result<(), String> {
    wait(ports, |held| held.bytes == 0 && held.half_closed == 0).map(drop)
}

/// Waits until at most so many connections to these ports are open.
pub(super) fn wait_until_closed(ports: &[u16], rest: usize) -> Result<(), String> {
    match wait(ports, |held| held.half_closed == 0 && held.open <= rest)? {
        true => Ok(()),
        false => Err("the server keeps connections that are over".to_owned()),
    }
}

/// False: nothing has changed for a while, and what is awaited did not come.
fn wait(ports: &[u16], is_enough: impl Fn(&Held) -> bool) -> Result<bool, String> {
    let mut before = Held::default();
    let mut since = now();
    loop {
        let held = look(ports)?;
        if is_enough(&held) {
            return Ok(true);
        }
        if held != before {
            (before, since) = (held, now());
        } else if since.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
}

fn look(ports: &[u16]) -> Result<Held, String> {
    let table =
        std::fs::read_to_string("/proc/net/tcp").map_err(|error| format!("/proc/net/tcp: {error}"))?;
    let mut held = Held::default();
    for row in table.lines().skip(1) {
        let mut columns = row.split_ascii_whitespace().skip(1);
        let (Some(local), Some(_), Some(state), Some(queues)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let port = local
            .split_once(':')
            .and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        if !port.is_some_and(|port| ports.contains(&port)) {
            continue;
        }
        let waiting = queues
            .split(':')
            .filter_map(|queue| u64::from_str_radix(queue, 16).ok());
        match state {
            // Established.
            "01" => {
                held.bytes += waiting.sum::<u64>();
                held.open += 1;
            }
            // CLOSE-WAIT.
            "08" => {
                held.half_closed += 1;
                held.open += 1;
            }
            _ => {}
        }
    }
    Ok(held)
}

#[expect(clippy::disallowed_methods, reason = "real sockets live in real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}
