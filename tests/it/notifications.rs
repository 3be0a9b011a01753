//! Whoever is to be told of an alert hears of it, and of its end; and of devices that fall silent.

use std::net::SocketAddr;

use homeward_store::admin::{self, NewRule};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::*;

/// More calls than any of these tests waits for.
const CALLS: usize = 32;

/// A webhook, over a plain connection.
struct Webhook {
    address: SocketAddr,
    calls: mpsc::Receiver<Value>,
    _server: JoinSet<()>,
}

impl Webhook {
    async fn start() -> Webhook {
        Webhook::listen(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn listen(listener: TcpListener) -> Webhook {
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::channel(CALLS);
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sender.send(answer(stream).await).await.unwrap();
            }
        });
        Webhook {
            address,
            calls,
            _server: server,
        }
    }

    /// Makes it a receiver of the team.
    async fn enter(&self, server: &Server) -> Value {
        enter(self.address, server).await
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        soon("a webhook is called", self.calls.recv()).await.unwrap()
    }
}

/// Makes a webhook a receiver of the team.
async fn enter(address: SocketAddr, server: &Server) -> Value {
    let url = format!("http://{address}/alerts");
    let add = [
        "receiver",
        "add",
        "--name",
        "ward 3",
        "--role",
        "team",
        "--webhook",
        &url,
    ];
    server.cli(&add).await
}

/// Takes one call, and answers that all is well.
async fn answer(stream: TcpStream) -> Value {
    let mut stream = BufReader::new(stream);
    let message = read(&mut stream).await;
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .await
        .unwrap();
    message
}

/// Takes one call.
async fn read(stream: &mut BufReader<TcpStream>) -> Value {
    let (mut length, mut signed) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("homeward-signature", value)) => signed = value.starts_with("t="),
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => assert!(line.starts_with("POST /alerts HTTP/1.1"), "{line}"),
        }
    }
    assert!(signed, "a call is signed");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The kind, the severity and the patient of a message.
fn told(message: &Value) -> (&str, &str, i64) {
    let text = |name: &str| message[name].as_str().unwrap();
    (
        text("kind"),
        text("severity"),
        message["patient_id"].as_i64().unwrap(),
    )
}

#[tokio::test]
async fn a_receiver_is_told_that_an_alert_began_and_that_it_is_over() {
    let database = TestDatabase::create().await;
    let settings = [("HOMEWARD_NOTIFICATIONS_LINK_BASE", "https://homeward.example")];
    let server = Server::start_with(&database, &settings).await;
    let mut webhook = Webhook::start().await;
    let receiver = webhook.enter(&server).await;
    assert_eq!(receiver["receiver_id"], 1);
    assert!(receiver["secret"].as_str().unwrap().starts_with("whsec_"));

    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = cgm.connect_v5().await;
    let topic = cgm.topic("readings");
    client
        .upload(&topic, upload(&[glucose(minutes_ago(2), 2.5)]))
        .await;
    let raised = webhook.next().await;
    assert_eq!(told(&raised), ("raised", "high", cgm.patient.0));
    assert_eq!(
        raised["link"],
        format!("https://homeward.example/alerts/{}", raised["alert_id"])
    );
    // That somebody takes it up is no news for the team, that it is over is.
    let token = server.add_token("ward 3").await;
    let path = format!("/api/v1/alerts/{}/acknowledge", raised["alert_id"]);
    assert_eq!(server.post(&path, &token).await.status, 200);
    client
        .upload(&topic, upload(&[glucose(minutes_ago(1), 6.0)]))
        .await;
    let cleared = webhook.next().await;
    assert_eq!(told(&cleared), ("cleared", "high", cgm.patient.0));
    assert_eq!(cleared["alert_id"], raised["alert_id"]);

    // Once it is disabled, it hears nothing more, and the secret is never shown again.
    let disabled = server.cli(&["receiver", "disable", "1"]).await;
    let list = server.cli(&["receiver", "list"]).await;
    assert_eq!(list["receivers"][0]["disabled_at"], disabled["disabled_at"]);
    assert_eq!(list["receivers"][0].get("secret"), None);
}

#[tokio::test]
async fn what_a_killed_process_was_sending_is_sent_by_the_next() {
    let database = TestDatabase::create().await;
    let mut server = Server::start(&database).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    enter(listener.local_addr().unwrap(), &server).await;
    let cgm = server.enrol_on("diabetes-type-1", "cgm").await;
    let mut client = cgm.connect_v5().await;
    client
        .upload(&cgm.topic("readings"), upload(&[glucose(minutes_ago(2), 2.5)]))
        .await;

    // It is on its way, and whether it arrived nobody knows.
    let (stream, _) = soon("a webhook is called", listener.accept()).await.unwrap();
    let first = read(&mut BufReader::new(stream)).await;
    server.kill().await;
    server.start_again().await;
    let mut webhook = Webhook::listen(listener);
    // As if its time had run out.
    let expired = sqlx::query("UPDATE notification SET leased_until = now() WHERE leased_until > now()")
        .execute(&server.pool)
        .await
        .unwrap();
    assert_eq!(expired.rows_affected(), 1);
    // The same message, with the number by which a receiver knows that it has had it.
    let again = webhook.next().await;
    assert_eq!(again, first);
    assert_eq!(told(&again), ("raised", "high", cgm.patient.0));
    eventually("it is sent", async || {
        let state: String = sqlx::query_scalar("SELECT string_agg(state, ' ') FROM notification")
            .fetch_one(&server.pool)
            .await
            .unwrap();
        (state == "sent").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_that_falls_silent_is_an_alert_until_it_is_heard_again() {
    let database = TestDatabase::create().await;
    // As if the timers had run for long: after a start, devices first get some minutes to be heard.
    sqlx::query("INSERT INTO timer_run (last_at, unbroken_since) VALUES (now(), now() - interval '1 hour')")
        .execute(database.pool())
        .await
        .unwrap();
    let server = Server::start(&database).await;
    let mut webhook = Webhook::start().await;
    webhook.enter(&server).await;
    let cgm = server.enrol("cgm").await;
    let definition = json!({
        "name": "No glucose",
        "severity": "medium",
        "condition": {"kind": "silence", "metric": "glucose", "expected_every_seconds": 2, "times": 3},
        "guidance": "Ask whether the sensor is worn.",
        "source": "A test.",
    });
    let rule = NewRule {
        patient: cgm.patient,
        code: "glucose-silent",
        programme: "a test",
        definition: &definition,
        always_on: false,
    };
    let mut client = cgm.connect_v5().await;
    let topic = cgm.topic("readings");
    client
        .upload(&topic, upload(&[glucose(minutes_ago(1), 6.0)]))
        .await;
    let mut transaction = server.pool.begin().await.unwrap();
    admin::set_rules(&mut transaction, &[rule], "a test", "a test", now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();

    for _ in 0..2 {
        let raised = webhook.next().await;
        assert_eq!(told(&raised), ("raised", "medium", cgm.patient.0));
        // What it sends from its memory does not say that it measures.
        client
            .upload(&topic, upload(&[glucose(minutes_ago(2), 6.0)]))
            .await;
        client.upload(&topic, upload(&[glucose(now(), 6.0)])).await;
        let cleared = webhook.next().await;
        assert_eq!(told(&cleared), ("cleared", "medium", cgm.patient.0));
        assert_eq!(cleared["alert_id"], raised["alert_id"]);
    }
}
