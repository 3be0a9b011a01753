//! MQTT clients of other people, unmodified: to them the broker is any broker.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::*;

/// What `scripts/test-tools.sh` makes.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client/device.py");

/// Messages of one client: far more than it has in flight at once.
const MESSAGES: usize = 1_500;
/// How many of them are acknowledged before something happens.
const FIRST: usize = 100;

fn payloads(count: usize) -> Vec<Vec<u8>> {
    times()
        .take(count)
        .zip(0_u16..)
        .map(|(at, n)| upload(&[heart_rate(at, 50 + n % 70)]))
        .collect()
}

async fn assert_all_stored(server: &Server, device: &Device, payloads: &[Vec<u8>]) {
    let stored = server.readings(device).await;
    let stored: Vec<_> = stored
        .iter()
        .map(|reading| upload(&[heart_rate(reading.time, reading.value)]))
        .collect();
    assert!(
        stored == payloads,
        "{} of {} readings are stored",
        stored.len(),
        payloads.len()
    );
}

/// `mosquitto_pub` for a device; the arguments that follow say what it publishes.
fn mosquitto(device: &Device, secret: &str, version: Version) -> Command {
    let mut command = Command::new("mosquitto_pub");
    let version = match version {
        Version::V4 => "mqttv311",
        Version::V5 => "mqttv5",
    };
    command
        .args(["-h", &device.broker.ip().to_string()])
        .args(["-p", &device.broker.port().to_string()])
        .args(["-V", version, "-i", &device.id.to_string()])
        .args(["-u", &device.id.to_string(), "-P", secret])
        .args(["-q", "1", "-t", &device.topic("readings")])
        .kill_on_drop(true);
    command
}

/// Runs a client with this input. Answers how it ended and what it said.
async fn run(mut command: Command, input: &[u8]) -> (ExitStatus, String) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = start(&mut command, "mosquitto_pub");
    let mut stdin = client.stdin.take().unwrap();
    // A client that is refused does not read it.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = soon("the client ends", client.wait_with_output()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

fn start(command: &mut Command, what: &str) -> Child {
    command.spawn().unwrap_or_else(|error| {
        panic!("{what} does not start ({error}). `make test` installs it, and so does scripts/test-tools.sh.")
    })
}

#[tokio::test]
async fn mosquitto_publishes_with_both_versions() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        // One message, for which it waits.
        let payloads = payloads(MESSAGES);
        let mut one = mosquitto(&watch, &watch.secret, version);
        one.arg("-m").arg(String::from_utf8(payloads[0].clone()).unwrap());
        let (status, said) = run(one, b"").await;
        assert!(status.success(), "{said}");
        assert_all_stored(&server, &watch, &payloads[..1]).await;

        // Many, a line each. It ends when the last is acknowledged.
        let mut many = mosquitto(&watch, &watch.secret, version);
        many.arg("-l");
        let (status, said) = run(many, &[payloads.join(&b'\n'), b"\n".to_vec()].concat()).await;
        assert!(status.success(), "{said}");
        assert_all_stored(&server, &watch, &payloads).await;

        let mut stranger = mosquitto(&watch, "a guess", version);
        stranger.args(["-m", "{}"]);
        let (status, said) = run(stranger, b"").await;
        assert!(!status.success(), "{said}");
        assert!(said.to_lowercase().contains("not auth"), "{said}");
    }
    let rejected: i64 = sqlx::query_scalar("SELECT count(*) FROM rejected_message")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(rejected, 0);
}

/// A device on the Python library Paho.
struct Paho {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Paho {
    /// Starts it; it publishes all of these.
    async fn start(device: &Device, version: Version, payloads: &[Vec<u8>]) -> Paho {
        assert!(
            Path::new(PYTHON).exists(),
            "there is no {PYTHON}: `make test` makes it, and so does scripts/test-tools.sh"
        );
        let mut command = Command::new(PYTHON);
        command
            .arg(SCRIPT)
            .args([device.broker.ip().to_string(), device.broker.port().to_string()])
            .args([device.id.to_string(), device.secret.clone()])
            .arg(if version == Version::V5 { "5" } else { "3.1.1" })
            .arg(device.topic("readings"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = start(&mut command, "Python with Paho");
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(&payloads.join(&b'\n')).await.unwrap();
        drop(stdin);
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Paho { process, said }
    }

    /// The next that it says: a word or the number of a line, and a reason code. None at its end.
    async fn says(&mut self) -> Option<(String, u8)> {
        let line = soon("the client says something", self.said.next_line())
            .await
            .unwrap()?;
        let (what, reason) = line.split_once(' ').unwrap();
        Some((what.to_owned(), reason.parse().unwrap()))
    }

    async fn connected(&mut self) {
        assert_eq!(self.says().await, Some(("connected".to_owned(), 0)));
    }

    /// Waits until it has ended, which must be well.
    async fn ended(mut self) {
        let status = soon("the client ends", self.process.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn paho_is_told_what_became_of_each_message() {
    let database = TestDatabase::create().await;
    let server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let mut payloads = payloads(3);
        let twice = payloads[1].clone();
        payloads.extend([twice, b"nonsense".to_vec()]);
        let mut paho = Paho::start(&watch, version, &payloads).await;
        paho.connected().await;
        let mut told = vec![None; payloads.len()];
        while let Some((line, reason)) = paho.says().await {
            told[line.parse::<usize>().unwrap()] = Some(reason);
        }
        let expected = match version {
            Version::V4 => [STORED; 5],
            Version::V5 => [STORED, STORED, STORED, STORED_EARLIER, PAYLOAD_INVALID],
        };
        assert_eq!(told, expected.map(Some));
        paho.ended().await;
        assert_all_stored(&server, &watch, &payloads[..3]).await;
        assert_eq!(server.rejected(&watch).await.len(), 1);
    }
}

#[tokio::test]
async fn invariant_10_paho_loses_nothing_when_the_process_is_killed() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    for version in Version::BOTH {
        let watch = server.enrol("watch").await;
        let payloads = payloads(MESSAGES);
        let mut paho = Paho::start(&watch, version, &payloads).await;
        paho.connected().await;
        let mut acknowledged = vec![0; MESSAGES];
        for _ in 0..FIRST {
            let (line, _) = paho.says().await.unwrap();
            acknowledged[line.parse::<usize>().unwrap()] += 1;
        }
        // It is killed with messages in its hands.
        let gate = server.hold_gate().await;
        gate.lane_waits().await;
        server.kill().await;
        gate.release().await;
        server.start_again().await;

        let mut connections = 0;
        while let Some((what, reason)) = paho.says().await {
            assert!(reason < 0x80, "{what}: {reason:#x}");
            match what.parse::<usize>() {
                Ok(line) => acknowledged[line] += 1,
                Err(_) => connections += usize::from(what == "connected"),
            }
        }
        paho.ended().await;
        assert_eq!(connections, 1, "it came back once");
        assert!(
            acknowledged.iter().all(|times| *times == 1),
            "each is acknowledged"
        );
        assert_all_stored(&server, &watch, &payloads).await;
    }
}
