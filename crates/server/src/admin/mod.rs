//! The operator's commands: what can be asked of a server, and the socket on which a running one is asked.
//!
//! A command is one [`Request`] and gets one [`Reply`] or [`Refusal`]. Whoever can carry them out is an [`Admin`]: the running
//! server, which a [`Client`] asks through `DATA_DIR/admin.sock`; or, when none runs, the command line with the database
//! in its own hands.

mod client;
mod links;
mod listener;
mod reply;
mod request;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

pub use client::{Client, ClientError};
pub use links::{Attempt, Link, LinkStream, Lookup, Try};
pub use listener::{Listener, serve};
pub use reply::{
    Account, AccountDetails, HostStatus, ListenerStatus, Poked, PresenceExplained, PresencePath,
    PresenceTold, PrivacyVerdict, Refusal, RefusalKind, Reloaded, Reply, Room, Session, Status, Traced, Way,
};
pub use request::{AccountFlag, AccountSetting, Password, Request, StanzaKind, TraceRequest};

/// What comes of a request.
pub type Outcome = Result<Reply, Refusal>;

/// Somebody who carries out requests.
pub trait Admin: Send + Sync {
    /// Carries out one request. What it confirms is durable.
    fn perform(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;

    /// Shows stanzas as they pass, until the receiver is dropped.
    ///
    /// # Errors
    /// When there is nothing to be seen, or `who` is no address.
    fn trace(&self, who: &str) -> Result<mpsc::Receiver<Traced>, Refusal>;
}

/// Where requests go; its version changes when an old command line would be misunderstood.
const PATH: &str = "/v1/requests";

/// Where stanzas are seen to pass: a request is a [`TraceRequest`], the answer one [`Traced`] on each line.
const TRACE_PATH: &str = "/v1/trace";

/// The largest request or reply: a list of a million accounts fits.
const BODY_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::{Exit, Report};
    use crate::system::TemporaryDirectory;

    /// Keeps accounts in memory.
    #[derive(Default)]
    struct Memory(Mutex<Vec<crate::config::AccountName>>);

    impl Admin for Memory {
        fn perform(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
            let mut accounts = self.0.lock().unwrap();
            let outcome = match request {
                Request::AccountAdd { account, .. } if accounts.contains(&account) => Err(Refusal::new(
                    RefusalKind::Exists,
                    format!("{account} exists already"),
                    "Take another name.",
                )),
                Request::AccountAdd { account, .. } => {
                    accounts.push(account);
                    Ok(Reply::Done)
                }
                Request::AccountList { .. } => Ok(Reply::Accounts {
                    accounts: accounts
                        .iter()
                        .map(|account| Account {
                            account: account.clone(),
                        })
                        .collect(),
                }),
                Request::AccountPassword { .. }
                | Request::AccountDelete { .. }
                | Request::AccountShow { .. }
                | Request::AccountSet { .. }
                | Request::SessionList { .. }
                | Request::SessionKick { .. }
                | Request::Reload
                | Request::Drain { .. }
                | Request::PrivacyExplain { .. }
                | Request::PresenceExplain { .. }
                | Request::Poke { .. }
                | Request::LinkList { .. }
                | Request::LinkExplain { .. }
                | Request::LinkConnect { .. }
                | Request::LinkDrop { .. }
                | Request::RoomList
                | Request::RoomShow { .. }
                | Request::RoomDestroy { .. }
                | Request::Status => Err(Refusal::new(RefusalKind::Failed, "not in this test", "")),
            };
            Box::pin(std::future::ready(outcome))
        }

        fn trace(&self, who: &str) -> Result<mpsc::Receiver<Traced>, Refusal> {
            let (show, shown) = mpsc::channel(4);
            for id in ["m1", "m2"] {
                let traced = Traced {
                    id: Some(format!("{who} {id}")),
                    ..Traced::default()
                };
                show.try_send(traced).unwrap();
            }
            Ok(shown)
        }
    }

    fn add(account: &str) -> Request {
        let password = Password::new("rose by any other name".to_owned()).unwrap();
        Request::AccountAdd {
            account: account.parse().unwrap(),
            password,
        }
    }

    #[tokio::test]
    async fn requests_reach_the_server_and_its_answers_come_back() {
        let directory = TemporaryDirectory::new("admin");
        let path = directory.path().join("admin.sock");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(serve(listener, Arc::new(Memory::default()), async {
            let _ = stopped.await;
        }));

        let client = Client::new(&path);
        assert_eq!(
            client.ask(&add("romeo@montague.lit")).await.unwrap(),
            Ok(Reply::Done)
        );
        let refusal = client.ask(&add("Romeo@Montague.lit")).await.unwrap().unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Exists);
        assert_eq!(refusal.message, "romeo@montague.lit exists already");
        let Ok(Reply::Accounts { accounts }) =
            client.ask(&Request::AccountList { host: None }).await.unwrap()
        else {
            panic!("no accounts")
        };
        assert_eq!(accounts.len(), 1);

        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
        assert!(!path.exists());
        let report = Report::from(client.ask(&Request::Status).await.unwrap_err());
        assert_eq!(report.exit, Exit::NotRunning);
    }

    #[tokio::test]
    async fn what_passes_is_shown_line_by_line() {
        let directory = TemporaryDirectory::new("admin-trace");
        let path = directory.path().join("admin.sock");
        let listener = Listener::bind(&path).unwrap();
        let serving = tokio::spawn(serve(
            listener,
            Arc::new(Memory::default()),
            std::future::pending(),
        ));
        let mut seen = Vec::new();
        let show = |traced: Traced| seen.push(traced.id.unwrap());
        Client::new(&path)
            .trace("romeo@montague.lit", show)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen, ["romeo@montague.lit m1", "romeo@montague.lit m2"]);
        serving.abort();
    }

    #[tokio::test]
    async fn a_socket_left_behind_by_a_crash_means_that_no_server_runs_and_is_replaced() {
        let directory = TemporaryDirectory::new("admin-stale");
        let path = directory.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let report = Report::from(Client::new(&path).ask(&Request::Status).await.unwrap_err());
        assert_eq!(report.exit, Exit::NotRunning);
        Listener::bind(&path).unwrap();
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_read_is_refused_without_repeating_it() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let directory = TemporaryDirectory::new("admin-bad");
        let path = directory.path().join("admin.sock");
        let listener = Listener::bind(&path).unwrap();
        let serving = tokio::spawn(serve(
            listener,
            Arc::new(Memory::default()),
            std::future::pending(),
        ));
        let body = r#"{"request":"account_add","account":"not an address","password":"verona"}"#;
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(
            answer.contains("the request cannot be read") && !answer.contains("verona"),
            "{answer}"
        );
        serving.abort();
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", add("romeo@montague.lit"));
        assert!(
            shown.contains("Password(…)") && !shown.contains("rose"),
            "{shown}"
        );
        for wrong in ["", "two\nlines"] {
            assert_eq!(Password::new(wrong.to_owned()).unwrap_err().exit, Exit::WrongUse);
        }
    }
}
