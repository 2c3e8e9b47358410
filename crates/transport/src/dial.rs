//! Connecting to one of several addresses: both families are raced (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use s2s::explain::TcpFault;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The next address is tried when the one before has neither connected nor failed for so long (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// What came of a race.
#[derive(Debug, Default)]
pub(crate) struct Race {
    /// The first that connected.
    pub(crate) winner: Option<(SocketAddr, TcpStream)>,
    /// Those that failed before, and after how long.
    pub(crate) failed: Vec<(SocketAddr, TcpFault, Duration)>,
}

/// Connects to any of these, each of which has `patience`.
pub(crate) async fn race(addresses: &[SocketAddr], patience: Duration) -> Race {
    let mut waiting = addresses.iter().copied();
    let mut running = JoinSet::new();
    let mut race = Race::default();
    let Some(first) = waiting.next() else {
        return race;
    };
    running.spawn(connect(first, patience));
    loop {
        tokio::select! {
            joined = running.join_next() => match joined {
                Some(Ok((address, _, Ok(socket)))) => {
                    race.winner = Some((address, socket));
                    return race;
                }
                Some(Ok((address, took, Err(fault)))) => {
                    race.failed.push((address, fault, took));
                    if let Some(next) = waiting.next() {
                        running.spawn(connect(next, patience));
                    }
                }
                // Only a runtime that shuts down ends such a task otherwise.
                Some(Err(_)) => {}
                None => return race,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {
                if let Some(next) = waiting.next() {
                    running.spawn(connect(next, patience));
                }
            }
        }
    }
}

async fn connect(
    address: SocketAddr,
    patience: Duration,
) -> (SocketAddr, Duration, Result<TcpStream, TcpFault>) {
    let started = Instant::now();
    let outcome = match tokio::time::timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(TcpFault::TimedOut),
    };
    (address, started.elapsed(), outcome)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are told in the words of the system"
)]
fn fault(error: &io::Error) -> TcpFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TcpFault::Refused,
        io::ErrorKind::TimedOut => TcpFault::TimedOut,
        _ => TcpFault::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn rfc8305_5_a_refusal_makes_room_for_the_next_at_once() {
        let (gone, refused) = listener().await;
        drop(gone);
        let (_listener, good) = listener().await;
        let started = Instant::now();
        let race = race(&[refused, good], Duration::from_secs(5)).await;
        assert_eq!(race.winner.map(|(address, _)| address), Some(good));
        assert!(matches!(race.failed[..], [(address, TcpFault::Refused, _)] if address == refused));
        assert!(started.elapsed() < HEAD_START);
    }

    /// A listener whose backlog is full answers nobody: the nearest thing on loopback to a black hole.
    async fn black_hole() -> (socket2::Socket, Vec<std::net::TcpStream>, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut fillers = Vec::new();
        while let Ok(filler) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            fillers.push(filler);
        }
        (socket, fillers, address)
    }

    #[tokio::test]
    async fn rfc8305_5_whoever_does_not_answer_does_not_keep_the_next_from_connecting() {
        let (_socket, _fillers, silent) = black_hole().await;
        let (_listener, good) = listener().await;
        let race = race(&[silent, good], Duration::from_secs(5)).await;
        assert_eq!(race.winner.map(|(address, _)| address), Some(good));
    }

    #[tokio::test]
    async fn each_address_has_its_time_and_then_all_are_told_of() {
        let (_socket, _fillers, silent) = black_hole().await;
        let race = race(&[silent], Duration::from_millis(50)).await;
        assert!(race.winner.is_none());
        assert!(matches!(race.failed[..], [(_, TcpFault::TimedOut, _)]));
        let nowhere = super::race(&[], Duration::from_millis(50)).await;
        assert!(nowhere.winner.is_none() && nowhere.failed.is_empty());
    }
}
