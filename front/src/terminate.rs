//! A listener that ends TLS, and carries each connection to the listener behind it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::certificates::{Certificates, common_name};
use crate::introduction::Introductions;

/// How long a handshake may take: some round trips of a poor mobile network.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes that one address may have begun and not ended: the devices behind one home or ward router that come back
/// together. Further ones are closed, so that nobody keeps others out by silence.
const HANDSHAKES_OF_ADDRESS: usize = 128;

/// What is carried at one time, in each direction: some messages.
const CARRIED: usize = 4 * 1024;

/// How often to see whether the certificates have been renewed.
const RENEWALS: Duration = Duration::from_secs(30);

/// How long to wait when no connection can be accepted, most likely because there are no file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Ends TLS for a listener of this process.
#[derive(Debug)]
pub struct Front {
    name: &'static str,
    listener: TcpListener,
    certificates: Certificates,
}

/// The listener behind a front.
#[derive(Clone, Debug)]
pub struct Behind {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it believes.
    pub introductions: Introductions,
    /// How many connections it may have; further ones wait in the kernel's queue.
    pub connections: usize,
}

/// What the tasks of connections share.
struct Shared {
    name: &'static str,
    introductions: Introductions,
    behind: SocketAddr,
    handshakes: Handshakes,
}

impl Front {
    /// Listens; `name` stands in logs and metrics.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub async fn bind(
        name: &'static str,
        listen: SocketAddr,
        certificates: Certificates,
    ) -> io::Result<Front> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Front {
            name,
            listener,
            certificates,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until `stop`, and then carries those that there are until they end.
    pub async fn run(self, behind: Behind, stop: CancellationToken) {
        let Front {
            name,
            listener,
            certificates,
        } = self;
        let shared = Arc::new(Shared {
            name,
            introductions: behind.introductions,
            behind: reachable(behind.address),
            handshakes: Handshakes::default(),
        });
        let mut carried = JoinSet::new();
        let mut renewals = interval(RENEWALS);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = carried.join_next(), if !carried.is_empty() => {}
                _ = renewals.tick() => renew(name, &certificates),
                accepted = listener.accept(), if carried.len() < behind.connections => match accepted {
                    Ok((stream, client)) => {
                        let acceptor = TlsAcceptor::from(certificates.config());
                        carried.spawn(Arc::clone(&shared).serve(stream, client, acceptor));
                    }
                    Err(error) => {
                        tracing::warn!(
                            listener = name,
                            error = &error as &dyn std::error::Error,
                            "could not accept a connection"
                        );
                        sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        drop(listener);
        while carried.join_next().await.is_some() {}
    }
}

impl Shared {
    async fn serve(self: Arc<Shared>, stream: TcpStream, client: SocketAddr, acceptor: TlsAcceptor) {
        let count = |outcome| {
            metrics::counter!("homeward_tls_connections_total", "listener" => self.name, "outcome" => outcome)
                .increment(1);
        };
        let Some(handshake) = self.handshakes.begin(client.ip()) else {
            count("too_many_handshakes");
            return;
        };
        // What is small is sent at once. Where this fails, so will the rest.
        let _ = stream.set_nodelay(true);
        let stream = match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                count("handshake_failed");
                // Scanners do this all day; a device that cannot connect says why itself.
                tracing::debug!(
                    listener = self.name,
                    client = %client.ip(),
                    error = &error as &dyn std::error::Error,
                    "a TLS handshake failed"
                );
                return;
            }
            Err(_) => return count("handshake_too_slow"),
        };
        drop(handshake);
        match self.introduce(client, &stream).await {
            Ok(behind) => {
                count("accepted");
                carry(stream, behind).await;
            }
            Err(error) => {
                count("nobody_behind");
                tracing::warn!(
                    listener = self.name,
                    error = &error as &dyn std::error::Error,
                    "could not reach the listener behind TLS"
                );
            }
        }
    }

    /// Connects to the listener behind, and says for whom.
    async fn introduce(&self, client: SocketAddr, stream: &TlsStream<TcpStream>) -> io::Result<TcpStream> {
        let (_, tls) = stream.get_ref();
        let certificate = tls
            .peer_certificates()
            .and_then(|chain| common_name(chain.first()?));
        let introduction = self.introductions.write(client, certificate.as_deref())?;
        let mut behind = TcpStream::connect(self.behind).await?;
        behind.set_nodelay(true)?;
        behind.write_all(&introduction).await?;
        Ok(behind)
    }
}

/// Carries what both sides say until the side behind has said all.
async fn carry(client: TlsStream<TcpStream>, behind: TcpStream) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_behind, mut to_behind) = behind.into_split();
    let inward = async {
        // However the client ends, the side behind hears that it did, and may still have something to say.
        let _ = copy(&mut from_client, &mut to_behind).await;
        let _ = to_behind.shutdown().await;
        std::future::pending::<()>().await;
    };
    let outward = async {
        // A client that has gone is told nothing any more.
        let _ = copy(&mut from_behind, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}

async fn copy(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut bytes = vec![0; CARRIED];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
        // TLS keeps back what its socket had no room for.
        to.flush().await?;
    }
}

fn renew(name: &'static str, certificates: &Certificates) {
    match certificates.renew() {
        Ok(false) => {}
        Ok(true) => tracing::info!(listener = name, "new certificates are in use"),
        Err(error) => tracing::error!(
            listener = name,
            error = &error as &dyn std::error::Error,
            "could not read the certificates anew: those from before stay in use"
        ),
    }
    let until = certificates
        .valid_until()
        .and_then(|until| until.duration_since(UNIX_EPOCH).ok());
    metrics::gauge!("homeward_tls_certificate_valid_until_seconds", "listener" => name)
        .set(until.map_or(f64::NAN, |until| until.as_secs_f64()));
}

/// Where this machine reaches a listener of its own.
fn reachable(mut listens: SocketAddr) -> SocketAddr {
    if listens.ip().is_unspecified() {
        listens.set_ip(match listens {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listens
}

/// How many handshakes each address has begun and not ended.
#[derive(Default)]
struct Handshakes(Mutex<HashMap<IpAddr, usize>>);

/// A handshake, until it is dropped.
struct Handshake<'a> {
    of: &'a Handshakes,
    address: IpAddr,
}

impl Handshakes {
    /// Begins one, if the address has not begun too many.
    fn begin(&self, address: IpAddr) -> Option<Handshake<'_>> {
        let address = network(address);
        let mut begun = self.lock();
        let count = begun.entry(address).or_default();
        if *count >= HANDSHAKES_OF_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Handshake { of: self, address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let mut begun = self.of.lock();
        if let Some(count) = begun.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                begun.remove(&self.address);
            }
        }
    }
}

/// Whoever has one address of version 6 has the 2^64 that begin like it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}
