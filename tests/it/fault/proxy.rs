//! A way to the database that breaks when a test wants it to: in the middle of a commit.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use homeward_store::testing::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What becomes of the next commit of readings. The client's connection ends in any case, unanswered.
pub(crate) enum Cut {
    /// The database never hears of it.
    Before,
    /// The database has committed.
    After,
    /// The database hears of it once it is told to go on, and nothing of the client's end before.
    Late(oneshot::Receiver<()>),
}

/// Forwards connections to a test's database.
pub(crate) struct Proxy {
    url: String,
    next: Arc<Mutex<Option<Armed>>>,
    _running: JoinSet<()>,
}

struct Armed {
    cut: Cut,
    /// Is told when the client's connection is cut.
    cut_off: oneshot::Sender<()>,
    /// Is told when the database has done all that it will do.
    done: oneshot::Sender<()>,
}

/// The progress of an armed cut.
pub(crate) struct Progress {
    pub(crate) cut_off: oneshot::Receiver<()>,
    pub(crate) done: oneshot::Receiver<()>,
}

/// A frontend message as it stands on the wire.
struct Message {
    bytes: Vec<u8>,
}

impl Proxy {
    pub(crate) async fn start(database: &TestDatabase) -> Proxy {
        let options = PgConnectOptions::from_str(&database.url()).unwrap();
        let target = target(&options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Arc::new(Mutex::new(None));
        let mut running = JoinSet::new();
        let armed = Arc::clone(&next);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, target.clone(), Arc::clone(&armed)));
                while connections.try_join_next().is_some() {}
            }
        });
        Proxy {
            url: url(&options, address),
            next,
            _running: running,
        }
    }

    /// The URL of the test's database by this way.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Decides what becomes of the next commit of readings.
    pub(crate) fn cut_next_commit(&self, cut: Cut) -> Progress {
        let (cut_off, is_cut_off) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let armed = Armed { cut, cut_off, done };
        let before = self.next.lock().unwrap().replace(armed);
        assert!(before.is_none(), "one cut at a time");
        Progress {
            cut_off: is_cut_off,
            done: is_done,
        }
    }
}

/// Where the real server is.
#[derive(Clone)]
enum Target {
    Socket(PathBuf),
    Address(String),
}

fn target(options: &PgConnectOptions) -> Target {
    match options.get_socket() {
        Some(folder) => Target::Socket(folder.join(format!(".s.PGSQL.{}", options.get_port()))),
        None if options.get_host().starts_with('/') => {
            Target::Socket(PathBuf::from(options.get_host()).join(format!(".s.PGSQL.{}", options.get_port())))
        }
        None => Target::Address(format!("{}:{}", options.get_host(), options.get_port())),
    }
}

fn url(options: &PgConnectOptions, address: SocketAddr) -> String {
    let database = options.get_database().unwrap();
    format!(
        "postgres://{}@{address}/{database}?sslmode=disable",
        options.get_username()
    )
}

async fn forward(client: TcpStream, target: Target, armed: Arc<Mutex<Option<Armed>>>) {
    client.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    match target {
        Target::Socket(path) => {
            let (from_server, to_server) = UnixStream::connect(path).await.unwrap().into_split();
            pump(from_client, to_client, from_server, to_server, armed).await;
        }
        Target::Address(address) => {
            let (from_server, to_server) = TcpStream::connect(address).await.unwrap().into_split();
            pump(from_client, to_client, from_server, to_server, armed).await;
        }
    }
}

/// Forwards both ways until either end is gone, or a commit of readings is cut.
async fn pump(
    mut from_client: impl AsyncRead + Unpin,
    mut to_client: impl AsyncWrite + Unpin,
    mut from_server: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
    armed: Arc<Mutex<Option<Armed>>>,
) {
    let forwarding = forward_until_commit(&mut from_client, &mut to_server, &armed);
    let cut = tokio::select! {
        cut = forwarding => cut,
        _ = tokio::io::copy(&mut from_server, &mut to_client) => None,
    };
    let Some((commit, Armed { cut, cut_off, done })) = cut else {
        return;
    };
    match cut {
        Cut::Before => drop((from_client, to_client)),
        Cut::After => {
            to_server.write_all(&commit.bytes).await.unwrap();
            answered(&mut from_server).await;
            drop((from_client, to_client));
        }
        Cut::Late(go_on) => {
            drop((from_client, to_client));
            cut_off.send(()).unwrap();
            // Without a word that it shall go on, the transaction ends with this connection.
            if go_on.await.is_ok() {
                to_server.write_all(&commit.bytes).await.unwrap();
                answered(&mut from_server).await;
            }
            let _ = done.send(());
            return;
        }
    }
    let _ = cut_off.send(());
    let _ = done.send(());
}

/// Forwards what the client says. Answers the commit that is to be cut, and how; none when the client is gone.
async fn forward_until_commit(
    from_client: &mut (impl AsyncRead + Unpin),
    to_server: &mut (impl AsyncWrite + Unpin),
    armed: &Mutex<Option<Armed>>,
) -> Option<(Message, Armed)> {
    let mut first = true;
    let mut writes_readings = false;
    loop {
        let message = Message::read(from_client, first).await?;
        first = false;
        // Statements are prepared once for a connection.
        writes_readings |= message.contains(b"INSERT INTO reading (");
        if writes_readings && message.is_commit() {
            let armed = armed.lock().unwrap().take();
            if let Some(armed) = armed {
                return Some((message, armed));
            }
        }
        to_server.write_all(&message.bytes).await.ok()?;
    }
}

impl Message {
    /// The next message. The first of a connection has no type.
    async fn read(from: &mut (impl AsyncRead + Unpin), first: bool) -> Option<Message> {
        let head = if first { 4 } else { 5 };
        let mut bytes = vec![0; head];
        from.read_exact(&mut bytes).await.ok()?;
        let length = u32::from_be_bytes(*bytes.last_chunk().unwrap());
        bytes.resize(head + usize::try_from(length).unwrap() - 4, 0);
        from.read_exact(&mut bytes[head..]).await.ok()?;
        Some(Message { bytes })
    }

    fn contains(&self, text: &[u8]) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text)
    }

    fn is_commit(&self) -> bool {
        self.bytes.first() == Some(&b'Q') && self.bytes.get(5..11) == Some(b"COMMIT")
    }
}

/// Waits until the server is ready for the next statement: its transaction has ended.
async fn answered(from_server: &mut (impl AsyncRead + Unpin)) {
    loop {
        let message = Message::read(from_server, false)
            .await
            .expect("the server answers");
        if message.bytes.first() == Some(&b'Z') {
            return;
        }
    }
}
