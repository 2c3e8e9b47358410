//! The HTTP listener of the figures: `GET /metrics`, `/health/live`, `/health/ready`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::{Health, Registry};
use crate::report::Report;

/// A bound listener, so that a taken port is known before anything else starts.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr) -> Result<Listener, Report> {
        TcpListener::bind(address).await.map(Listener).map_err(|error| {
            Report::failed(
                format!("cannot listen on {address} (metrics.listen): {error}"),
                "Set metrics.listen to a free address of this machine, or to \"off\".",
            )
        })
    }

    /// Where it listens; differs from what was asked for when that was port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves until `stop` is done.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: Listener,
    registry: Registry,
    health: Health,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .with_state(registry)
        .route("/health/live", get(async || "alive\n"))
        .merge(
            Router::new()
                .route("/health/ready", get(ready))
                .with_state(health),
        );
    axum::serve(listener.0, routes).with_graceful_shutdown(stop).await
}

async fn metrics(Shared(registry): Shared<Registry>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        registry.scrape(),
    )
}

async fn ready(Shared(health): Shared<Health>) -> impl IntoResponse {
    let obstacles = health.obstacles();
    if obstacles.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", obstacles.join("\n")),
        )
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::State;
    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn figures_and_health_are_served() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let health = Health::new();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(serve(listener, Registry::new(), health.clone(), async {
            let _ = stopped.await;
        }));

        let told = ask(address, "GET /metrics").await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(
            told.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{told}"
        );
        assert!(told.contains("\nxmpp_build_info{"), "{told}");

        assert!(
            ask(address, "GET /health/live")
                .await
                .starts_with("HTTP/1.1 200 OK\r\n")
        );
        let told = ask(address, "GET /health/ready").await;
        assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
        assert!(told.ends_with("\r\n\r\nthe server is starting\n"), "{told}");
        health.set(State::Serving);
        assert!(
            ask(address, "GET /health/ready")
                .await
                .starts_with("HTTP/1.1 200 OK\r\n")
        );

        assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404 "));
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_the_setting() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let report = Listener::bind(first.address().unwrap()).await.unwrap_err();
        assert!(report.message.contains("(metrics.listen)"), "{report}");
    }
}
