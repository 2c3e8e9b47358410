//! The command line's side of `DATA_DIR/admin.sock`.

use std::io;
use std::path::{Path, PathBuf};

use axum::http::{self, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{BODY_BYTES_MAX, Outcome, PATH, Refusal, Request, TRACE_PATH, TraceRequest, Traced};
use crate::report::Report;

/// A running server, reached through its socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no server is running ({socket})", socket = socket.display())]
    NotRunning {
        /// Where one would listen.
        socket: PathBuf,
    },
    /// Somebody else's server.
    #[error("the server at {socket} is not yours to command", socket = socket.display())]
    Forbidden {
        /// Its socket.
        socket: PathBuf,
    },
    /// The conversation broke off or made no sense.
    #[error("the server at {socket} does not answer as expected: {reason}", socket = socket.display())]
    Broken {
        /// Its socket.
        socket: PathBuf,
        /// What happened.
        reason: String,
    },
}

impl Client {
    /// A client of the server that listens on `socket`, if one does.
    pub fn new(socket: &Path) -> Client {
        Client {
            socket: socket.to_path_buf(),
        }
    }

    /// Asks the server.
    ///
    /// # Errors
    /// When there is no server, or no sense in what it says. What a server refuses is an [`Outcome`].
    pub async fn ask(&self, request: &Request) -> Result<Outcome, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.not_connected(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let conversation = self.converse(&mut sender, request);
        tokio::pin!(conversation);
        tokio::select! {
            outcome = &mut conversation => outcome,
            // The connection ends first when the server closes it behind its answer.
            _ = connection => conversation.await,
        }
    }

    /// Shows what passes from and to `who`, until the server ends it.
    ///
    /// # Errors
    /// When there is no server, or no sense in what it says.
    pub async fn trace(
        &self,
        who: &str,
        show: impl FnMut(Traced),
    ) -> Result<Result<(), Refusal>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.not_connected(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let watching = self.watch(&mut sender, who, show);
        tokio::pin!(watching);
        tokio::select! {
            outcome = &mut watching => outcome,
            _ = connection => watching.await,
        }
    }

    async fn watch(
        &self,
        sender: &mut http1::SendRequest<Full<Bytes>>,
        who: &str,
        mut show: impl FnMut(Traced),
    ) -> Result<Result<(), Refusal>, ClientError> {
        let request = TraceRequest { who: who.to_owned() };
        let body = serde_json::to_vec(&request).map_err(|error| self.broken(error))?;
        let response = sender
            .send_request(self.post(TRACE_PATH, body)?)
            .await
            .map_err(|error| self.broken(error))?;
        let status = response.status();
        let mut body = response.into_body();
        if status != StatusCode::OK {
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| self.broken(error))?.to_bytes();
            return serde_json::from_slice(&body)
                .map(Err)
                .map_err(|_| self.broken(format!("HTTP status {status}")));
        }
        let mut unread = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(error))?;
            let Ok(data) = frame.into_data() else { continue };
            unread.extend_from_slice(&data);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                show(serde_json::from_slice(&line).map_err(|error| self.broken(error))?);
            }
        }
        Ok(Ok(()))
    }

    fn post(&self, path: &str, body: Vec<u8>) -> Result<http::Request<Full<Bytes>>, ClientError> {
        http::Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, "balcony")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error))
    }

    async fn converse(
        &self,
        sender: &mut http1::SendRequest<Full<Bytes>>,
        request: &Request,
    ) -> Result<Outcome, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.broken(error))?;
        let response = sender
            .send_request(self.post(PATH, body)?)
            .await
            .map_err(|error| self.broken(error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.broken(error))?.to_bytes();
        if status == StatusCode::OK {
            serde_json::from_slice(&body)
                .map(Ok)
                .map_err(|error| self.broken(error))
        } else {
            serde_json::from_slice(&body)
                .map(Err)
                .map_err(|_| self.broken(format!("HTTP status {status}")))
        }
    }

    fn not_connected(&self, error: &io::Error) -> ClientError {
        let socket = self.socket.clone();
        if matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        ) {
            ClientError::NotRunning { socket }
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            ClientError::Forbidden { socket }
        } else {
            self.broken(error)
        }
    }

    fn broken(&self, reason: impl ToString) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            reason: reason.to_string(),
        }
    }
}

impl From<ClientError> for Report {
    fn from(error: ClientError) -> Report {
        let message = error.to_string();
        match error {
            ClientError::NotRunning { .. } => Report::not_running(message, "Start it with: balcony run"),
            ClientError::Forbidden { .. } => {
                Report::failed(message, "Run the command as the user who runs the server.")
            }
            ClientError::Broken { .. } => Report::failed(
                message,
                "Look into its log; the command line and the server should be of the same version.",
            ),
        }
    }
}
