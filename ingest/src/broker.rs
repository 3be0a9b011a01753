//! The MQTT broker: rumqttd in the process, behind a guard.

mod auth;
mod connection;
mod control;
mod guard;
mod link;
mod reply;
mod session;
mod shared;
mod watch;
mod wire;

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use rumqttd::protocol::DisconnectReasonCode;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use rumqttd::protocol::PubAckReason;

pub(crate) use self::connection::Connection;
pub(crate) use self::control::{Control, Downlink};
pub(crate) use self::link::Link;
pub(crate) use self::session::refusal;
pub(crate) use self::shared::{Entry, Shared};
use crate::directory::Directory;
use crate::limits::MAX_PACKET;

/// Threads of the runtime that serves devices' connections.
const CONNECTION_THREADS: usize = 2;
/// The router keeps so many bytes of wake-ups for each connection, twice: the least that it can. A connection
/// has at most one that it has not heard.
const WAKE_LOG_BYTES: usize = 1024;
const WAKE_LOGS: usize = 2;
/// A connection is woken for its acknowledgements from another thread, one that its device has written to from
/// this runtime's own. After so many of the latter comes one of the former, also when there is no end to them:
/// by default it would be one in 61. Measured in turn, three runs each, with one reading a message: 93,000
/// readings/s against 85,000, and half of the PUBACKs within 118 ms against 139.
const WAKE_UPS: u32 = 4;
/// How often a port that the system chose, and somebody else then took, is chosen anew.
const PORT_ATTEMPTS: usize = 10;
/// How long, at a stop, acknowledgements of what is committed may take to leave.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Somebody else listens there, or nobody may.
    #[error("could not listen for MQTT on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No threads are to be had.
    #[error("could not start the broker's threads")]
    Threads(#[source] std::io::Error),
    /// The router refused the process itself.
    #[error("could not connect to the broker's own router")]
    Router(#[source] Box<rumqttd::local::LinkError>),
}

/// A running broker.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) link: Arc<Link>,
    pub(crate) shared: Arc<Shared>,
    /// Ends when the listener died.
    pub(crate) listener: JoinHandle<String>,
    runtime: DeviceThreads,
}

/// The runtime of devices' connections, which closes them when it is dropped; a bare one panics when that
/// happens in async code.
struct DeviceThreads(Option<Runtime>);

impl DeviceThreads {
    fn handle(&self) -> &tokio::runtime::Handle {
        self.0.as_ref().expect("taken by drop only").handle()
    }
}

impl Drop for DeviceThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Broker {
    /// Starts listening.
    pub(crate) async fn start(
        listen: SocketAddr,
        shared: Arc<Shared>,
        directory: Arc<Directory>,
        tasks: &TaskTracker,
    ) -> Result<Broker, BrokerError> {
        let router = Router::new(0, router_config(shared.limits.connections)).spawn();
        let link = Arc::new(
            Link::new(|name| {
                rumqttd::local::LinkBuilder::new(name, router.clone())
                    .build()
                    .map_err(Box::new)
            })
            .map_err(BrokerError::Router)?,
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONNECTION_THREADS)
            .global_queue_interval(WAKE_UPS)
            .thread_name("mqtt")
            .enable_all()
            .build()
            .map(|runtime| DeviceThreads(Some(runtime)))
            .map_err(BrokerError::Threads)?;

        let doorkeeper = auth::Doorkeeper::new(Arc::clone(&shared), directory, Arc::clone(&link), tasks);
        for attempt in 1.. {
            let address = choose_port(listen).map_err(|source| BrokerError::Listen {
                address: listen,
                source,
            })?;
            let mut settings = ServerSettings {
                name: "devices".to_owned(),
                listen: address,
                tls: None,
                next_connection_delay_ms: 0,
                connections: connection_settings(&shared),
            };
            let doorkeeper = doorkeeper.clone();
            settings.set_auth_handler(move |slot: String, _: String, secret: String| {
                let doorkeeper = doorkeeper.clone();
                // Always lets the connection in: a refusal is told in the CONNACK by the guard.
                async move {
                    doorkeeper.check(&slot, secret).await;
                    true
                }
            });
            let guard = guard::Guard::prototype(Arc::clone(&shared));
            let mut server = Server::new(settings, router.clone(), guard);
            let mut listener = runtime.handle().spawn(async move {
                match server.start(LinkType::Remote).await {
                    Ok(()) => "the MQTT listener ended".to_owned(),
                    Err(error) => error.to_string(),
                }
            });
            match listening(&mut listener, address).await {
                Ok(()) => {
                    return Ok(Broker {
                        address,
                        link,
                        shared,
                        listener,
                        runtime,
                    });
                }
                Err(_) if listen.port() == 0 && attempt < PORT_ATTEMPTS => {}
                Err(source) => {
                    return Err(BrokerError::Listen {
                        address: listen,
                        source,
                    });
                }
            }
        }
        unreachable!("the loop returns")
    }

    /// Starts what looks after the connections that there are.
    pub(crate) fn watch(&self, directory: &Arc<Directory>, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(watch::watch_connections(
            Arc::clone(&self.shared),
            Arc::clone(&self.link),
            stop.clone(),
        ));
        tasks.spawn(watch::watch_contacts(
            Arc::clone(&self.shared),
            Arc::clone(directory),
            stop.clone(),
        ));
        tasks.spawn(watch::watch_devices(
            Arc::clone(&self.shared),
            Arc::clone(&self.link),
            Arc::clone(directory),
            stop.clone(),
        ));
    }

    /// Waits until what was acknowledged has been written to the devices, says good-bye to them, and closes
    /// their connections. Everything that was taken must be committed before.
    pub(crate) async fn stop(self) {
        let acknowledged = async {
            while self.shared.connections.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // What still waits after that is not acknowledged: it was not committed, or its device does not read.
        let _ = tokio::time::timeout(FAREWELL, acknowledged).await;
        for connection in self.shared.connections.all() {
            self.link
                .close(&connection, DisconnectReasonCode::ServerShuttingDown);
        }
        let closed = async {
            while !self.shared.connections.all().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(500), closed).await;
        drop(self.runtime);
    }
}

fn router_config(connections: u32) -> RouterConfig {
    RouterConfig {
        // The process's own link, beside the devices.
        max_connections: connections as usize + 1,
        max_outgoing_packet_count: 200,
        max_segment_size: WAKE_LOG_BYTES,
        max_segment_count: WAKE_LOGS,
        ..RouterConfig::default()
    }
}

fn connection_settings(shared: &Shared) -> ConnectionSettings {
    ConnectionSettings {
        connection_timeout_ms: u16::try_from(shared.limits.connect_within.as_millis()).unwrap_or(u16::MAX),
        max_payload_size: MAX_PACKET,
        // Packets that a connection's task takes from its socket before it lets the router see them.
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: false,
    }
}

/// rumqttd binds its listener itself and does not say where, so that a free port must be found for it.
fn choose_port(listen: SocketAddr) -> std::io::Result<SocketAddr> {
    if listen.port() == 0 {
        StdTcpListener::bind(listen)?.local_addr()
    } else {
        Ok(listen)
    }
}

/// Waits until the listener accepts connections or has failed.
async fn listening(listener: &mut JoinHandle<String>, address: SocketAddr) -> std::io::Result<()> {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    loop {
        tokio::select! {
            ended = &mut *listener => {
                return Err(std::io::Error::other(ended.unwrap_or_else(|panic| panic.to_string())));
            }
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
        if tokio::net::TcpStream::connect(reachable).await.is_ok() && !listener.is_finished() {
            return Ok(());
        }
    }
}
