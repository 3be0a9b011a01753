//! Serving HTTP on a listener, with limits that axum's own server lacks.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chrono::TimeDelta;
use homeward_alerts::outgoing::Caller;
use homeward_front::Introductions;
use homeward_record::Clock;
use homeward_store::PgPool;
use homeward_store::secrets::Keyring;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::{Allowances, Origin};
use crate::entering::{Enter, Replay};
use crate::routes::{Shared, router};
use crate::sign_in::IdentityProvider;

/// How many connections there may be at once. Each screen with live alerts keeps one, and costs some tens of
/// kilobytes. More than this wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 2_000;

/// How long the head of a request may take to arrive; also how long a connection may stay idle between
/// requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long requests at work may take to end at shutdown: a little longer than any may last.
const DRAIN_WITHIN: Duration = Duration::from_secs(11);

/// How long to wait when no connection can be accepted, most likely because there are no file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What the interface needs of the process.
#[derive(Clone)]
pub struct ApiState {
    /// Connections to the record for requests, which see only whom they may: see
    /// [`homeward_store::connect_for_requests`].
    pub requests: PgPool,
    /// Connections that see all of it, for what is no request's alone; one of them is kept to listen for alerts.
    pub pool: PgPool,
    /// Where others reach the interface, without a slash at its end: `https://homeward.example`.
    pub base_url: String,
    /// What seals secrets that have to be known as they are.
    pub keys: Keyring,
    /// Through whom people may sign in.
    pub identity_providers: Vec<IdentityProvider>,
    /// What calls them.
    pub caller: Caller,
    /// How many requests each caller may send in a minute.
    pub requests_per_minute: NonZeroU32,
    /// How many those may send who are no callers yet.
    pub strangers: Allowances,
    /// Where the time comes from.
    pub clock: Clock,
    /// Takes a reading that comes over HTTP to the lane of its patient.
    pub enter: Enter,
    /// Takes what a device was refused to the lanes once more.
    pub replay: Replay,
    /// For how long the record keeps readings.
    pub retention: TimeDelta,
    /// Whether readings are being taken; else why not, in words for whoever runs the process.
    pub ingest_ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The process's metrics as Prometheus text.
    pub render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("pool", &self.pool)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// Serves the interface on a listener until `shutdown`. Then streams end, requests at work are answered, and
/// the connections close. `introductions` are of those who connect for others.
///
/// # Errors
///
/// When an identity provider's issuer is no URL. What else may fail is waited for.
pub async fn serve(
    (listener, introductions): (TcpListener, Introductions),
    state: ApiState,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let app = Shared::new(state, shutdown.clone());
    let app = app.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let router = router(&app);
    tokio::join!(
        accept(&listener, &introductions, &router, &shutdown),
        app.hub.run(&app.pool, &shutdown)
    );
    Ok(())
}

/// Serves every connection in a task of its own. All of them end with this.
async fn accept(
    listener: &TcpListener,
    introductions: &Introductions,
    router: &Router,
    shutdown: &CancellationToken,
) {
    let mut connections = JoinSet::new();
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let (introductions, router) = (introductions.clone(), router.clone());
                    let shutdown = shutdown.clone();
                    connections.spawn(async move {
                        if let Some((stream, origin)) = begin(stream, peer, &introductions, &shutdown).await {
                            serve_connection(stream, origin, router, shutdown).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "could not accept a connection");
                    sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_WITHIN, drained).await.is_err() {
        tracing::warn!("connections were cut off at shutdown");
    }
}

/// Finds out whose connection it is. None: it ends before its first request.
async fn begin(
    mut stream: TcpStream,
    peer: SocketAddr,
    introductions: &Introductions,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, Origin)> {
    let taken = tokio::select! {
        taken = timeout(HEAD_WITHIN, introductions.take(&mut stream)) => taken.ok()?,
        () = shutdown.cancelled() => return None,
    };
    match taken {
        Ok(introduction) => {
            let client = introduction.and_then(|introduction| introduction.client);
            Some((stream, Origin(client.unwrap_or(peer.ip()))))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let error = &error as &dyn std::error::Error;
            tracing::info!(error, "a connection to the HTTP listener is closed");
            None
        }
        // It was closed before it said anything.
        Err(_) => None,
    }
}

async fn serve_connection(stream: TcpStream, origin: Origin, router: Router, shutdown: CancellationToken) {
    // An alert is sent when it is there, not when the packet is full. Where this fails, so will the rest.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(origin);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // Clients come and go as they like.
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a connection ended early"
        );
    }
}

#[cfg(test)]
mod tests {
    use homeward_store::admin::add_token;
    use homeward_store::testing::TestDatabase;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::testing::{PATIENCE, TOKEN, api_state};

    /// What arrives until it contains `end`.
    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut bytes = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&bytes).contains(end) {
                assert!(
                    stream.read_buf(&mut bytes).await.unwrap() > 0,
                    "the connection closed early"
                );
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_listener_serves_until_shutdown() {
        let database = TestDatabase::create().await;
        let mut connection = database.pool().acquire().await.unwrap();
        add_token(&mut connection, "a screen", TOKEN).await.unwrap();
        drop(connection);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve(
            (listener, Introductions::new(false)),
            api_state(&database),
            shutdown.clone(),
        );

        let calling = async {
            let mut idle = TcpStream::connect(address).await.unwrap();
            idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
                .await
                .unwrap();
            read_until(&mut idle, "alive").await;

            let mut screen = TcpStream::connect(address).await.unwrap();
            let request = format!(
                "GET /api/v1/alerts/stream HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            );
            screen.write_all(request.as_bytes()).await.unwrap();
            let head = read_until(&mut screen, "retry: 1000").await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            assert!(
                head.contains("strict-transport-security: max-age=31536000"),
                "{head}"
            );

            shutdown.cancel();
            // The end of the chunked body, and then of both connections.
            assert!(read_until(&mut screen, "0\r\n\r\n").await.ends_with("0\r\n\r\n"));
            for stream in [&mut idle, &mut screen] {
                assert_eq!(
                    timeout(PATIENCE, stream.read(&mut [0])).await.unwrap().unwrap(),
                    0
                );
            }
        };
        let (served, ()) = timeout(PATIENCE, async { tokio::join!(serving, calling) })
            .await
            .unwrap();
        served.unwrap();
        TcpStream::connect(address).await.unwrap_err();
    }
}
