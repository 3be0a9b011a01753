//! What stands in front of the listeners: TLS, and proxies that say for whom they connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hyper::Method;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::*;

/// Where the clients of these tests come from, so that it can be told from where a proxy does.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An authority, and the folder of what it has signed.
struct Authority {
    folder: TempDir,
}

/// Files of a certificate and its key.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Authority {
        let authority = Authority {
            folder: TempDir::new().unwrap(),
        };
        authority.openssl("authority", "/CN=An authority", &[]);
        authority
    }

    /// The certificate of the server, or of the device of this name.
    fn sign(&self, name: &str) -> Certificate {
        let (chain, key) = (self.path("authority.pem"), self.path("authority.key"));
        let signed = [
            &["-CA", chain.to_str().unwrap(), "-CAkey", key.to_str().unwrap()][..],
            &["-addext", "basicConstraints=critical,CA:FALSE"],
            &["-addext", "subjectAltName=IP:127.0.0.1"],
        ];
        self.openssl(name, &format!("/CN={name}"), &signed.concat());
        Certificate {
            chain: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        }
    }

    fn root(&self) -> PathBuf {
        self.path("authority.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, name: &str, subject: &str, more: &[&str]) {
        let [chain, key] = ["pem", "key"].map(|kind| self.path(&format!("{name}.{kind}")));
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args(["-days", "2", "-subj", subject])
            .args(more)
            .args([Path::new("-out"), &chain, Path::new("-keyout"), &key])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What a client is to know: this authority, and its own certificate if it has one.
    fn client(&self, own: Option<&Certificate>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.root()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from_pem_file(&own.chain).unwrap()];
                let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// Starts a server that takes TLS too, with these settings beside.
async fn start_with_tls(database: &TestDatabase, authority: &Authority, more: &[(&str, &str)]) -> Server {
    let certificate = authority.sign("homeward");
    let settings = [
        ("HOMEWARD_TLS_MQTT_LISTEN", "127.0.0.1:0"),
        ("HOMEWARD_TLS_HTTP_LISTEN", "127.0.0.1:0"),
        ("HOMEWARD_TLS_CERTIFICATE", certificate.chain.to_str().unwrap()),
        ("HOMEWARD_TLS_KEY", certificate.key.to_str().unwrap()),
    ];
    Server::start_with(database, &[&settings, more].concat()).await
}

async fn dial(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((CLIENT, 0).into()).unwrap();
    soon("a connection is accepted", socket.connect(to))
        .await
        .unwrap()
}

/// A way to the server: whoever connects to the address is carried over a connection that `dial` makes.
struct Way {
    address: SocketAddr,
    _carrying: JoinSet<()>,
}

impl Way {
    async fn by<S>(dial: impl AsyncDial<S>) -> Way
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut carrying = JoinSet::new();
        carrying.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                let dialled = dial.dial();
                connections.spawn(async move {
                    if let Some(mut there) = dialled.await {
                        let _ = copy_bidirectional(&mut here, &mut there).await;
                    }
                });
            }
        });
        Way {
            address,
            _carrying: carrying,
        }
    }

    async fn by_tls(to: SocketAddr, connector: TlsConnector) -> Way {
        Way::by(move || {
            let connector = connector.clone();
            async move {
                let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
                connector.connect(name, dial(to).await).await.ok()
            }
        })
        .await
    }

    /// Through a proxy that says this before.
    async fn by_proxy(to: SocketAddr, introduction: Vec<u8>) -> Way {
        Way::by(move || {
            let introduction = introduction.clone();
            async move {
                let mut there = dial(to).await;
                there.write_all(&introduction).await.ok()?;
                Some(there)
            }
        })
        .await
    }
}

/// A function that makes a connection, if it can.
trait AsyncDial<S>: Send + 'static {
    fn dial(&self) -> impl Future<Output = Option<S>> + Send + 'static;
}

impl<S, F, R> AsyncDial<S> for F
where
    F: Fn() -> R + Send + 'static,
    R: Future<Output = Option<S>> + Send + 'static,
{
    fn dial(&self) -> impl Future<Output = Option<S>> + Send + 'static {
        self()
    }
}

/// PROXY protocol version 2, of a client at 192.0.2.7 that showed a verified certificate of this name.
fn introduction(certificate: &str) -> Vec<u8> {
    let name = certificate.as_bytes();
    let name_length = u8::try_from(name.len()).unwrap();
    let tls = [&[0x07, 0, 0, 0, 0, 0x22, 0, name_length], name].concat();
    let tls_length = u8::try_from(tls.len()).unwrap();
    let rest = [
        &[192, 0, 2, 7, 127, 0, 0, 1, 0xc3, 0x50, 0x22, 0xb3][..],
        &[0x20, 0, tls_length],
        &tls,
    ]
    .concat();
    let head = [
        b"\r\n\r\n\0\r\nQUIT\n".as_slice(),
        &[0x21, 0x11, 0, u8::try_from(rest.len()).unwrap()],
    ];
    [head.concat(), rest].concat()
}

fn through(way: &Way, device: &Device) -> Device {
    Device {
        broker: way.address,
        ..device.clone()
    }
}

/// The address of whoever asked last, by the log of accesses.
async fn asked_from(server: &Server) -> String {
    sqlx::query_scalar("SELECT origin FROM audit_event ORDER BY sequence DESC LIMIT 1")
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

async fn is_stored_by_way_of(device: &Device) {
    for version in Version::BOTH {
        let mut client = device.connect(version).await;
        let reading = upload(&[heart_rate(minutes_ago(version as i64 + 1), 72)]);
        assert_eq!(client.upload(&device.topic("readings"), reading).await, STORED);
        client.disconnect().await;
    }
}

/// Reads a patient's readings by way of an address.
async fn readings_by_way_of(server: &Server, way: &Way, device: &Device) -> Answer {
    let token = server.add_token("a program").await;
    let path = format!("/api/v1/patients/{}/readings", device.patient);
    let bearer = format!("Bearer {token}");
    ask_at(way.address, Method::GET, &path, &[("authorization", &bearer)]).await
}

/// Whether the server ends a connection to which this is said first.
async fn is_closed(address: SocketAddr, said: &[u8]) -> bool {
    let mut client = Client::dial(address, Version::V5).await;
    client.send(said).await;
    client.next().await.is_none()
}

#[tokio::test]
async fn devices_and_programs_come_by_tls() {
    let database = TestDatabase::create().await;
    let authority = Authority::new();
    let server = start_with_tls(&database, &authority, &[]).await;
    let tls = server.tls.unwrap();
    let watch = server.enrol("watch").await;

    let mqtt = Way::by_tls(tls.mqtt, authority.client(None)).await;
    is_stored_by_way_of(&through(&mqtt, &watch)).await;
    let http = Way::by_tls(tls.http, authority.client(None)).await;
    let answer = readings_by_way_of(&server, &http, &watch).await;
    assert_eq!(answer.json()["readings"].as_array().unwrap().len(), 2);
    assert_eq!(asked_from(&server).await, CLIENT.to_string());

    // A client of other people, which checks whom it talks to.
    let publish = |authority: &Path| {
        let mut command = Command::new("mosquitto_pub");
        let id = watch.id.to_string();
        command
            .args(["-h", "127.0.0.1", "-p", &tls.mqtt.port().to_string()])
            .args(["-V", "mqttv5", "-i", &id, "-u", &id, "-P", &watch.secret])
            .args(["-q", "1", "-t", &watch.topic("readings")])
            .arg("-m")
            .arg(String::from_utf8(upload(&[heart_rate(minutes_ago(9), 80)])).unwrap())
            .arg("--cafile")
            .arg(authority);
        command.output().unwrap()
    };
    let output = publish(&authority.root());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        !publish(&Authority::new().root()).status.success(),
        "it is not whom that authority knows"
    );
    assert_eq!(server.readings(&watch).await.len(), 3);
}

#[tokio::test]
async fn a_certificate_is_asked_for_beside_the_secret() {
    let database = TestDatabase::create().await;
    let (authority, devices) = (Authority::new(), Authority::new());
    let root = devices.root();
    let asked = [
        ("HOMEWARD_DEVICE_CERTIFICATES", "true"),
        ("HOMEWARD_TLS_DEVICE_AUTHORITY", root.to_str().unwrap()),
    ];
    let server = start_with_tls(&database, &authority, &asked).await;
    let (watch, other) = (server.enrol("watch").await, server.enrol("watch").await);
    let mqtt = server.tls.unwrap().mqtt;

    let own = devices.sign(&watch.id.to_string());
    let way = Way::by_tls(mqtt, authority.client(Some(&own))).await;
    is_stored_by_way_of(&through(&way, &watch)).await;

    let (_, ack) = Client::connect(way.address, &other.credentials(Version::V5)).await;
    assert_eq!(ack.code, 0x87, "it is another device's");
    let (_, ack) = Client::connect(server.mqtt, &watch.credentials(Version::V5)).await;
    assert_eq!(
        ack.code, 0x87,
        "nor does anybody come in without one where there is no TLS"
    );
    for certificate in [None, Some(authority.sign(&watch.id.to_string()))] {
        let way = Way::by_tls(mqtt, authority.client(certificate.as_ref())).await;
        let hello = watch.credentials(Version::V5).encode();
        assert!(is_closed(way.address, &hello).await, "none of that authority's");
    }
}

#[tokio::test]
async fn who_begins_a_handshake_and_says_nothing_keeps_nobody_out() {
    let database = TestDatabase::create().await;
    let authority = Authority::new();
    let server = start_with_tls(&database, &authority, &[]).await;
    let mqtt = server.tls.unwrap().mqtt;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(
            soon("a connection is accepted", TcpStream::connect(mqtt))
                .await
                .unwrap(),
        );
    }
    let watch = server.enrol("watch").await;
    let way = Way::by_tls(mqtt, authority.client(None)).await;
    is_stored_by_way_of(&through(&way, &watch)).await;
}

#[tokio::test]
async fn what_came_by_tls_is_acknowledged_before_the_stop() {
    let database = TestDatabase::create().await;
    let authority = Authority::new();
    let mut server = start_with_tls(&database, &authority, &[]).await;
    let watch = server.enrol("watch").await;
    let way = Way::by_tls(server.tls.unwrap().mqtt, authority.client(None)).await;
    let mut client = through(&way, &watch).connect_v5().await;
    let gate = server.hold_gate().await;
    let packet = client
        .publish(
            &watch.topic("readings"),
            upload(&[heart_rate(minutes_ago(1), 72)]),
        )
        .await;
    gate.lane_waits().await;
    server.terminate();
    gate.release().await;
    assert_eq!(client.acknowledged(packet).await, STORED);
    assert!(server.exited().await.success());
    assert_eq!(server.readings(&watch).await.len(), 1);
}

#[tokio::test]
async fn a_proxy_says_for_whom_it_connects() {
    let database = TestDatabase::create().await;
    let proxied = [
        ("HOMEWARD_PROXY_PROTOCOL", "true"),
        ("HOMEWARD_DEVICE_CERTIFICATES", "true"),
    ];
    let server = Server::start_with(&database, &proxied).await;
    let watch = server.enrol("watch").await;
    let said = introduction(&watch.id.to_string());
    let way = Way::by_proxy(server.mqtt, said.clone()).await;
    is_stored_by_way_of(&through(&way, &watch)).await;
    let way = Way::by_proxy(server.mqtt, introduction("1")).await;
    let (_, ack) = Client::connect(way.address, &watch.credentials(Version::V5)).await;
    assert_eq!(ack.code, 0x87, "it showed another device's certificate");

    let way = Way::by_proxy(server.http, said).await;
    let answer = readings_by_way_of(&server, &way, &watch).await;
    assert_eq!(answer.json()["readings"].as_array().unwrap().len(), 2);
    assert_eq!(asked_from(&server).await, "192.0.2.7");

    let hello = watch.credentials(Version::V5).encode();
    assert!(is_closed(server.mqtt, &hello).await, "only proxies connect");
    assert!(is_closed(server.http, b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n").await);
}

#[tokio::test]
async fn nobody_says_for_whom_they_connect_unless_proxies_do() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    let watch = server.enrol("watch").await;
    let said = introduction(&watch.id.to_string());
    for (address, first) in [
        (server.mqtt, watch.credentials(Version::V5).encode()),
        (
            server.http,
            b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
        ),
    ] {
        assert!(is_closed(address, &[said.clone(), first].concat()).await);
        assert!(is_closed(address, &[said[..20].to_vec(), b"nonsense".repeat(400)].concat()).await);
    }
    is_stored_by_way_of(&watch).await;
}
