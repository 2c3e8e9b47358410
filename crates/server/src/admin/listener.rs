//! The server's side of `DATA_DIR/admin.sock`.

use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::body::Frame;
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::{Admin, BODY_BYTES_MAX, PATH, Refusal, RefusalKind, Request, TRACE_PATH, TraceRequest, Traced};
use crate::report::Report;

/// The bound socket; its file is removed when this goes.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Listener {
    /// Binds the socket for the user of the server alone. The lock on the data directory is held, so a socket that is
    /// there already belongs to nobody.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(path: &Path) -> Result<Listener, Report> {
        // Made under another name and renamed when its permissions are right, so that nobody ever finds it open.
        let unfinished = path.with_extension("new");
        let make = || {
            remove(&unfinished)?;
            let socket = UnixListener::bind(&unfinished)?;
            std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&unfinished, path)?;
            Ok(Listener {
                socket,
                file: SocketFile(path.to_path_buf()),
            })
        };
        make().map_err(|error: io::Error| {
            Report::failed(
                format!("cannot make the admin socket {}: {error}", path.display()),
                "The data directory belongs to the user who runs balcony, and its path is shorter than about 90 bytes.",
            )
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = remove(&self.0);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Serves until `stop` is done.
///
/// # Errors
/// When the socket breaks.
pub async fn serve(
    listener: Listener,
    admin: Arc<dyn Admin>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Listener { socket, file } = listener;
    let routes = Router::new()
        .route(PATH, post(perform))
        .route(TRACE_PATH, post(trace))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(admin);
    let served = axum::serve(socket, routes).with_graceful_shutdown(stop).await;
    drop(file);
    served
}

async fn perform(State(admin): State<Arc<dyn Admin>>, body: Bytes) -> Response {
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            // Where it is wrong, never what it holds: it might hold a password.
            let message = format!(
                "the request cannot be read (line {}, column {})",
                error.line(),
                error.column()
            );
            let advice = "Use the command line of the version that the server has.";
            return answer(
                StatusCode::BAD_REQUEST,
                &Refusal::new(RefusalKind::BadRequest, message, advice),
            );
        }
    };
    match admin.perform(request).await {
        Ok(reply) => answer(StatusCode::OK, &reply),
        Err(refusal) => answer(status_of(refusal.kind), &refusal),
    }
}

async fn trace(State(admin): State<Arc<dyn Admin>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<TraceRequest>(&body) else {
        let refusal = Refusal::new(RefusalKind::BadRequest, "the request cannot be read", "");
        return answer(StatusCode::BAD_REQUEST, &refusal);
    };
    match admin.trace(&request.who) {
        Ok(passing) => {
            let body = Body::new(Lines(passing));
            (StatusCode::OK, [(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
        }
        Err(refusal) => answer(status_of(refusal.kind), &refusal),
    }
}

/// What passes, each on a line of its own.
struct Lines(mpsc::Receiver<Traced>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, serde_json::Error>>> {
        self.0.poll_recv(context).map(|traced| {
            traced.map(|traced| {
                let mut line = serde_json::to_vec(&traced)?;
                line.push(b'\n');
                Ok(Frame::data(Bytes::from(line)))
            })
        })
    }
}

fn status_of(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::BadRequest => StatusCode::BAD_REQUEST,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Exists => StatusCode::CONFLICT,
        RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
