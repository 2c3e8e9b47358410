//! A relay between the store and a database server, which fails on demand.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It carries everything.
    Pass,
    /// It carries nothing, and keeps the connections.
    Hold,
    /// It closes every connection.
    Refuse,
    /// The next COMMIT does not arrive, and its connection is closed. Then it passes.
    LoseCommit,
    /// The next COMMIT arrives, but the answer does not, and its connection is closed. Then it passes.
    LoseAnswer,
    /// The same, and then it refuses.
    LoseAnswerAndRefuse,
    /// The next COMMIT arrives, but the answer does not, and its connection stays open. Others pass.
    SwallowAnswer,
}

pub(crate) struct Relay {
    mode: Arc<watch::Sender<Mode>>,
    pub(crate) url: String,
}

impl Relay {
    /// In front of the server of this URL.
    pub(crate) async fn before(url: &str) -> Relay {
        let (scheme_and_user, rest) = url.split_once('@').expect("the URL names a user");
        let (server, database) = rest.split_once('/').expect("the URL names a database");
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let modes = Arc::clone(&mode);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *modes.borrow() == Mode::Refuse {
                    continue;
                }
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&modes)));
            }
        });
        let url = format!("{scheme_and_user}@127.0.0.1:{port}/{database}?sslmode=disable");
        Relay { mode, url }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes every connection; new ones are carried in the given mode.
    pub(crate) async fn cut(&self, then: Mode) {
        self.set(Mode::Refuse);
        while self.mode.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
        self.set(then);
    }
}

/// How a pair of sockets goes on.
enum Next {
    Carry,
    Close,
    /// Nothing more is carried.
    Keep,
}

async fn carry(client: TcpStream, server: TcpStream, modes: Arc<watch::Sender<Mode>>) {
    let mut changes = modes.subscribe();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    loop {
        let mode = *changes.borrow_and_update();
        let (mut question, mut answer) = ([0; 16 << 10], [0; 16 << 10]);
        let next = match mode {
            Mode::Refuse => Next::Close,
            Mode::Hold => Next::Keep,
            Mode::Pass
            | Mode::LoseCommit
            | Mode::LoseAnswer
            | Mode::LoseAnswerAndRefuse
            | Mode::SwallowAnswer => {
                tokio::select! {
                    _ = changes.changed() => Next::Carry,
                    read = from_client.read(&mut question) => match read {
                        Ok(bytes) if bytes > 0 => ask(&question[..bytes], &mut to_server, &mut from_server, &modes).await,
                        Ok(_) | Err(_) => Next::Close,
                    },
                    read = from_server.read(&mut answer) => match read {
                        Ok(bytes) if bytes > 0 => forward(&answer[..bytes], &mut to_client).await,
                        Ok(_) | Err(_) => Next::Close,
                    },
                }
            }
        };
        match next {
            Next::Carry => {}
            Next::Close => return,
            Next::Keep => {
                if changes.wait_for(|mode| *mode == Mode::Refuse).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn ask(
    question: &[u8],
    to_server: &mut OwnedWriteHalf,
    from_server: &mut OwnedReadHalf,
    modes: &watch::Sender<Mode>,
) -> Next {
    let mode = *modes.borrow();
    if !question.windows(7).any(|bytes| bytes == b"COMMIT\0") {
        return forward(question, to_server).await;
    }
    let (then, next) = match mode {
        Mode::Pass | Mode::Hold | Mode::Refuse => return forward(question, to_server).await,
        Mode::LoseCommit => {
            modes.send_replace(Mode::Pass);
            return Next::Close;
        }
        Mode::LoseAnswer => (Mode::Pass, Next::Close),
        Mode::LoseAnswerAndRefuse => (Mode::Refuse, Next::Close),
        Mode::SwallowAnswer => (Mode::Pass, Next::Keep),
    };
    forward(question, to_server).await;
    // It answers, so it was done.
    let answered = from_server.read(&mut [0; 1024]).await.unwrap();
    assert!(answered > 0);
    modes.send_replace(then);
    next
}

async fn forward(bytes: &[u8], to: &mut OwnedWriteHalf) -> Next {
    match to.write_all(bytes).await {
        Ok(()) => Next::Carry,
        Err(_) => Next::Close,
    }
}
