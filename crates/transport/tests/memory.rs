//! What an idle session takes on the heap: its connection, its account, its mailbox (docs/benchmarks.md, `idle`).
//!
//! The figures are those of the allocator's callers. A release takes a little more, because an allocator rounds up, and
//! the kernel has its own. `MEMORY_OF=plain` (or `tls`) writes `dhat-heap.json`, which says where it is asked for.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::net::TcpStream;
use std::time::Duration;

use c2s::Encryption;
use ground::{Line, Server, settings};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const SESSIONS: usize = 100;

/// How long, at most, and how often to look whether everything has come to rest.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// On a connection without TLS.
const PLAIN_MAX: usize = 3_700;

/// With TLS 1.3.
const TLS_MAX: usize = 10 << 10;

fn log_in(server: &Server, number: usize, is_tls: bool) -> TcpStream {
    let account = format!("user{number}@montague.lit");
    let mut line = Line::dial(if is_tls { server.direct } else { server.address });
    if is_tls {
        line.secure("montague.lit");
    }
    line.open("montague.lit");
    line.log_in(&account, "orchard");
    line.appear();
    line.into_socket()
}

/// Bytes and blocks that are in use when nothing happens any more, or as soon as they are no more than `enough`.
fn at_rest(enough: usize) -> (usize, usize) {
    let mut before = usize::MAX;
    for _ in 0..ATTEMPTS {
        let stats = dhat::HeapStats::get();
        if stats.curr_bytes == before || stats.curr_bytes <= enough {
            break;
        }
        before = stats.curr_bytes;
        std::thread::sleep(PAUSE);
    }
    let stats = dhat::HeapStats::get();
    (stats.curr_bytes, stats.curr_blocks)
}

/// Bytes and blocks that one more idle session takes.
fn of_one_session(server: &Server, first: usize, is_tls: bool, most: usize) -> (usize, usize) {
    // What a thread needs once is there.
    let before: Vec<TcpStream> = (first..first + 8)
        .map(|number| log_in(server, number, is_tls))
        .collect();
    let (bytes, blocks) = at_rest(0);
    let mut sockets = Vec::with_capacity(SESSIONS);
    let own = SESSIONS * size_of::<TcpStream>();
    for number in first + 8..first + 8 + SESSIONS {
        sockets.push(log_in(server, number, is_tls));
    }
    let (more_bytes, more_blocks) = at_rest(bytes + own + SESSIONS * most);
    drop((before, sockets));
    (
        more_bytes.saturating_sub(bytes + own) / SESSIONS,
        more_blocks.saturating_sub(blocks) / SESSIONS,
    )
}

#[test]
fn an_idle_session_takes_little() {
    let wanted = std::env::var("MEMORY_OF").ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async {
        let server = Server::start(settings(Encryption::Optional));
        for number in 0..2 * (SESSIONS + 8) {
            server.account(&format!("user{number}@montague.lit")).await;
        }
        server
    });
    let profiler = match &wanted {
        Some(_) => dhat::Profiler::new_heap(),
        None => dhat::Profiler::builder().testing().build(),
    };
    for (name, is_tls, first, most) in [
        ("plain", false, 0, PLAIN_MAX),
        ("tls", true, SESSIONS + 8, TLS_MAX),
    ] {
        if wanted.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let (bytes, blocks) = of_one_session(&server, first, is_tls, most);
        println!("{name}: {bytes} bytes in {blocks} blocks");
        assert!(
            wanted.is_some() || bytes <= most,
            "{name}: {bytes} bytes in {blocks} blocks"
        );
    }
    drop(profiler);
}
