use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use homeward_record::EpisodeId;
use homeward_store::admin::{NewReceiver, disable_receiver};
use homeward_store::episodes::Action;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;
use crate::fixture::{NAME, NHS_NUMBER, Record, minute, team};

/// What waits for longer than this waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

const SECRET: &str = "whsec_test";

fn notifier(record: &Record, smtp_url: Option<String>) -> Notifier {
    let config = Config {
        link_base: "https://homeward.example".to_owned(),
        from: smtp_url
            .as_ref()
            .map(|_| "Homeward <alerts@homeward.example>".to_owned()),
        smtp_url,
    };
    Notifier::new(record.pool().clone(), &config).unwrap()
}

/// A receiver of webhooks, over a real connection.
struct Sink {
    address: SocketAddr,
    received: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// What it answers, in order; after that, 204.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    /// Told of each call; one that is to be answered with 202 never is.
    called: Arc<Notify>,
    _server: JoinSet<()>,
}

impl Sink {
    async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let called = Arc::new(Notify::new());
        let handler = {
            let (received, answers, called) =
                (Arc::clone(&received), Arc::clone(&answers), Arc::clone(&called));
            move |headers: HeaderMap, body: Bytes| async move {
                let body = String::from_utf8(body.to_vec()).unwrap();
                received.lock().unwrap().push((headers, body));
                called.notify_one();
                let answer = answers.lock().unwrap().pop_front();
                match answer.unwrap_or(StatusCode::NO_CONTENT) {
                    StatusCode::ACCEPTED => std::future::pending().await,
                    StatusCode::FOUND => (StatusCode::FOUND, [("location", "/elsewhere")]),
                    status => (status, [("location", "/")]),
                }
            }
        };
        let router = Router::new()
            .route("/hook", post(handler.clone()))
            .route("/elsewhere", post(handler));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Sink {
            address,
            received,
            answers,
            called,
            _server: server,
        }
    }

    fn answer(&self, statuses: &[u16]) {
        let statuses = statuses
            .iter()
            .map(|status| StatusCode::from_u16(*status).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    /// The bodies so far.
    fn bodies(&self) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// What each body said: the alert, or those of a digest.
    fn told(&self) -> Vec<Vec<i64>> {
        let ids = |body: &Value| match &body["alerts"] {
            Value::Array(alerts) => alerts
                .iter()
                .map(|alert| alert["alert_id"].as_i64().unwrap())
                .collect(),
            _ => vec![body["alert_id"].as_i64().unwrap()],
        };
        self.bodies().iter().map(ids).collect()
    }

    async fn receiver(&self, record: &Record, hourly_limit: i32) -> i64 {
        let address = format!("http://{}/hook?ward=3", self.address);
        let new = NewReceiver {
            secret: Some(SECRET),
            address: &address,
            hourly_limit,
            ..team()
        };
        record.add_receiver(new).await
    }
}

#[tokio::test]
async fn a_webhook_is_called_until_it_answers_well() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    // Neither a redirect nor an error is a success, and nothing follows a redirect.
    sink.answer(&[500, 302, 404]);
    for seconds in [0, 0, 7, 16, 46, 109, 109, 500] {
        notifier
            .run_once(minute(0) + TimeDelta::seconds(seconds))
            .await
            .unwrap();
    }
    assert_eq!(sink.bodies().len(), 4);
    let (state, attempts, error): (String, i32, Option<String>) =
        sqlx::query_as("SELECT state, attempts, last_error FROM notification")
            .fetch_one(record.pool())
            .await
            .unwrap();
    assert_eq!((state.as_str(), attempts, error), ("sent", 4, None));
    for body in sink.bodies() {
        assert_eq!(
            body,
            json!({
                "id": 1, "kind": "raised", "severity": "high", "alert_id": 1, "patient_id": 1001,
                "link": "https://homeward.example/alerts/1", "at": minute(0),
            })
        );
    }
}

#[tokio::test]
async fn a_webhook_can_tell_who_calls_and_what_it_has_heard_before() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    record.raise_for_new_patient("high", minute(0)).await;
    sink.answer(&[503, 503]);
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    notifier.run_once(minute(5)).await.unwrap();

    let mut deliveries = HashMap::new();
    let received = sink.received.lock().unwrap().clone();
    for (headers, body) in &received {
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/json");
        let message: Value = serde_json::from_str(body).unwrap();
        assert_eq!(header("homeward-delivery"), message["id"].to_string());
        *deliveries
            .entry(header("homeward-delivery").to_owned())
            .or_insert(0) += 1;
        // As a receiver does it, with tools of its own.
        let signature = header("homeward-signature");
        let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert!(
            [minute(0), minute(5)]
                .map(|at| at.timestamp().to_string())
                .contains(&time.to_owned())
        );
        assert_eq!(digest, openssl_hmac(SECRET, &format!("{time}.{body}")).await);
    }
    assert_eq!(
        deliveries,
        HashMap::from([("1".to_owned(), 2), ("2".to_owned(), 2)])
    );
}

/// HMAC-SHA256 by another program.
async fn openssl_hmac(secret: &str, text: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = openssl.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = openssl.wait_with_output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output.trim().rsplit_once(' ').unwrap().1.to_owned()
}

#[tokio::test]
async fn who_does_not_answer_is_given_up_after_a_day() {
    let record = Record::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    // Nothing is there any more.
    drop(listener);
    let new = NewReceiver {
        secret: Some(SECRET),
        address: &address,
        ..team()
    };
    record.add_receiver(new).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    for hour in 0..30 {
        notifier.run_once(minute(60 * hour)).await.unwrap();
    }
    let (state, attempts, error): (String, i32, String) =
        sqlx::query_as("SELECT state, attempts, last_error FROM notification")
            .fetch_one(record.pool())
            .await
            .unwrap();
    assert_eq!(state, "failed");
    assert!((20..=25).contains(&attempts), "{attempts}");
    assert!(
        error.starts_with("the webhook could not be called: it cannot be reached: "),
        "{error}"
    );
    // The address may have a secret in it.
    assert!(!error.contains("hook?"), "{error}");
}

#[tokio::test]
async fn who_dies_after_sending_has_it_sent_again_once() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    // It is received, and the sender dies before it hears of that.
    sink.answer(&[202]);
    tokio::select! {
        _ = notifier.run_once(minute(0)) => panic!("there is no answer"),
        () = sink.called.notified() => {}
    }
    // As long as the lease lasts, nobody knows.
    notifier
        .run_once(minute(0) + TimeDelta::seconds(59))
        .await
        .unwrap();
    assert_eq!(sink.bodies().len(), 1);
    for minutes in 1..5 {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    let bodies = sink.bodies();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]));
    assert_eq!(record.notifications().await[0].3, "sent");
}

#[tokio::test]
async fn many_workers_send_each_message_once() {
    let record = Record::new().await;
    let (one, other) = (Sink::start().await, Sink::start().await);
    one.receiver(&record, 1_000).await;
    other.receiver(&record, 1_000).await;
    for _ in 0..30 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    let notifiers = [(); 6].map(|()| notifier(&record, None));
    let working = notifiers.iter().map(|notifier| notifier.run_once(minute(0)));
    for outcome in join_all(working).await {
        outcome.unwrap();
    }
    for sink in [one, other] {
        let mut told = sink.told();
        told.sort();
        assert_eq!(told, (1..=30).map(|id| vec![id]).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn too_many_go_out_together() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 4).await;
    for severity in ["medium", "medium", "high", "medium", "medium", "medium", "high"] {
        record.raise_for_new_patient(severity, minute(0)).await;
    }
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    // The most urgent ones by themselves, all others in one.
    let mut told = sink.told();
    told[..2].sort();
    assert_eq!(told, [vec![3], vec![7], vec![1, 2, 4, 5, 6]]);
    let digest = &sink.bodies()[2];
    assert_eq!((&digest["kind"], &digest["count"]), (&json!("digest"), &json!(5)));
    assert_eq!(digest["alerts"][0]["link"], "https://homeward.example/alerts/1");

    // What comes now waits for its turn, and what is over by then is told nobody.
    for _ in 8..=10 {
        record.raise_for_new_patient("high", minute(1)).await;
    }
    notifier.run_once(minute(1)).await.unwrap();
    record.clear(EpisodeId(9), minute(2)).await;
    for minutes in [30, 59] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    assert_eq!(sink.bodies().len(), 3);
    notifier.run_once(minute(60)).await.unwrap();
    let mut told = sink.told().split_off(3);
    told.sort();
    assert_eq!(told, [[8], [10]]);
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM notification GROUP BY state ORDER BY state")
            .fetch_all(record.pool())
            .await
            .unwrap();
    assert_eq!(states, [("cancelled".to_owned(), 1), ("sent".to_owned(), 10)]);
}

#[tokio::test]
async fn a_digest_that_fails_is_tried_again_with_what_is_left_of_it() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 1).await;
    for _ in 1..=3 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    sink.answer(&[500, 500]);
    let notifier = notifier(&record, None);
    notifier.run_once(minute(0)).await.unwrap();
    record.clear(EpisodeId(2), minute(1)).await;
    notifier.run_once(minute(1)).await.unwrap();
    record.act(EpisodeId(1), Action::Acknowledge, minute(2)).await;
    record.act(EpisodeId(3), Action::Acknowledge, minute(2)).await;
    for minutes in [2, 3, 100] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    assert_eq!(sink.told(), [vec![1, 2, 3], vec![1, 3]]);
    assert_eq!(sink.bodies()[0]["id"], sink.bodies()[1]["id"]);
    for (.., state) in record.notifications().await {
        assert_eq!(state, "cancelled");
    }
}

#[tokio::test]
async fn digests_that_are_due_together_go_one_by_one() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 1).await;
    sink.answer(&[500, 500]);
    let notifier = notifier(&record, None);
    for _ in 1..=2 {
        record.raise_for_new_patient("high", minute(0)).await;
        record.raise_for_new_patient("high", minute(0)).await;
        notifier.run_once(minute(0)).await.unwrap();
    }
    for minutes in [100, 130, 160, 220] {
        notifier.run_once(minute(minutes)).await.unwrap();
    }
    let (first, second) = (vec![1, 2], vec![3, 4]);
    assert_eq!(sink.told(), [first.clone(), second.clone(), first, second]);
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM notification WHERE kind = 'digest'")
            .await,
        2
    );
    let notifications = record.notifications().await;
    assert!(notifications.iter().all(|(.., state)| state == "sent"));
}

#[tokio::test]
async fn what_is_taken_up_snoozed_or_over_before_it_is_sent_is_told_nobody() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    for _ in 0..4 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    record.act(EpisodeId(1), Action::Acknowledge, minute(1)).await;
    let (until, reason) = (minute(30), "Eating now".to_owned());
    record
        .act(EpisodeId(2), Action::Snooze { until, reason }, minute(1))
        .await;
    record.clear(EpisodeId(3), minute(1)).await;
    notifier(&record, None).run_once(minute(1)).await.unwrap();
    assert_eq!(sink.told(), [[4]]);
    let states = record.notifications().await.into_iter().map(|(.., state)| state);
    let expected = ["cancelled", "cancelled", "cancelled", "sent"];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_receiver_that_is_disabled_is_told_nothing() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    let receiver = sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let mut connection = record.pool().acquire().await.unwrap();
    disable_receiver(&mut connection, receiver, minute(1))
        .await
        .unwrap();
    record.raise_for_new_patient("high", minute(2)).await;
    notifier(&record, None).run_once(minute(3)).await.unwrap();
    assert_eq!(sink.bodies(), Vec::<Value>::new());
    let all = record.notifications().await;
    assert_eq!(all, [(receiver, 1, "raised".to_owned(), "cancelled".to_owned())]);
}

/// A server that accepts and never answers holds up neither the others nor itself.
#[tokio::test]
async fn who_is_silent_holds_up_nobody() {
    let record = Record::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", silent.local_addr().unwrap());
    let new = NewReceiver {
        secret: Some(SECRET),
        address: &address,
        ..team()
    };
    record.add_receiver(new).await;
    let sink = Sink::start().await;
    sink.receiver(&record, 20).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, None);
    let stop = CancellationToken::new();
    let clock = Clock::Fixed(minute(0));
    let running = notifier.run(&clock, &stop);
    let waiting = async {
        timeout(SEND_WITHIN / 2, sink.called.notified()).await.unwrap();
        stop.cancel();
    };
    timeout(PATIENCE, async { tokio::join!(running, waiting) })
        .await
        .unwrap();
    let mut states = record.notifications().await;
    states.sort();
    assert_eq!((states[0].3.as_str(), states[1].3.as_str()), ("pending", "sent"));
    let error: String = record
        .one("SELECT last_error FROM notification WHERE state = 'pending'")
        .await;
    assert_eq!(error, "there was no answer in time");
}

/// A mail server of other people's, as a process.
struct MailServer {
    address: SocketAddr,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    _process: tokio::process::Child,
}

impl MailServer {
    async fn start() -> MailServer {
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-tools/bin/python");
        assert!(
            std::path::Path::new(python).exists(),
            "{python} is not there: run scripts/test-tools.sh"
        );
        // A port that was free a moment ago; nobody else asks for one on this address.
        let listener = TcpListener::bind("127.0.0.77:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut process = Command::new(python)
            .args([
                "-u",
                "-m",
                "aiosmtpd",
                "--nosetuid",
                "--class",
                "aiosmtpd.handlers.Debugging",
                "stdout",
            ])
            .args(["--listen", &address.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, listening).await.unwrap();
        MailServer {
            address,
            lines,
            _process: process,
        }
    }

    /// The next e-mail, with its headers.
    async fn next(&mut self) -> String {
        let mut text = String::new();
        let reading = async {
            loop {
                let line = self.lines.next_line().await.unwrap().unwrap();
                if line.contains("MESSAGE FOLLOWS") {
                    text.clear();
                } else if line.contains("END MESSAGE") {
                    break;
                } else {
                    text += &(line + "\n");
                }
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
        text
    }
}

#[tokio::test]
async fn an_email_goes_through_a_mail_server() {
    let record = Record::new().await;
    let mut server = MailServer::start().await;
    record.add_receiver(team()).await;
    record.raise_for_new_patient("high", minute(0)).await;
    let notifier = notifier(&record, Some(format!("smtp://{}", server.address)));
    notifier.run_once(minute(1)).await.unwrap();
    let email = server.next().await;
    for line in [
        "From: Homeward <alerts@homeward.example>",
        "To: team@homeward.example",
        "Subject: Homeward: high alert 1 was raised",
        "Date: Sun, 22 Nov 2026 12:01:00 +0000",
        "Message-ID: <homeward-1@homeward.example>",
        "Auto-Submitted: auto-generated",
        "high alert 1 was raised at 12:00 GMT on 22 November 2026, patient 1001",
        "https://homeward.example/alerts/1",
    ] {
        assert!(email.lines().any(|found| found == line), "{line}\n{email}");
    }
    assert_eq!(record.notifications().await[0].3, "sent");
}

#[tokio::test]
async fn nothing_that_leaves_names_a_patient() {
    let record = Record::new().await;
    let sink = Sink::start().await;
    let mut server = MailServer::start().await;
    sink.receiver(&record, 1).await;
    record
        .add_receiver(NewReceiver {
            hourly_limit: 1,
            ..team()
        })
        .await;
    for _ in 0..3 {
        record.raise_for_new_patient("high", minute(0)).await;
    }
    let notifier = notifier(&record, Some(format!("smtp://{}", server.address)));
    notifier.run_once(minute(0)).await.unwrap();
    let bodies = sink.received.lock().unwrap().clone();
    assert_eq!(bodies.len(), 1);
    for text in [bodies[0].1.clone(), server.next().await] {
        assert!(text.contains("1003"), "{text}");
        let names = NAME.split(' ').chain([NHS_NUMBER, "lucose", "2.5", "2,5"]);
        for word in names {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

/// The server speaks, and refuses.
#[tokio::test]
async fn a_mail_server_that_refuses_is_asked_again() {
    let record = Record::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut refusing = JoinSet::new();
    refusing.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let answers = [
                "220 mail.example",
                "250 mail.example",
                "451 team@homeward.example is not here today",
                "221 bye",
            ];
            let mut command = String::new();
            for answer in answers {
                stream
                    .write_all(format!("{answer}\r\n").as_bytes())
                    .await
                    .unwrap();
                stream.read_line(&mut command).await.unwrap();
            }
        }
    });
    record.add_receiver(team()).await;
    record.raise_for_new_patient("high", minute(0)).await;
    notifier(&record, Some(format!("smtp://{address}")))
        .run_once(minute(0))
        .await
        .unwrap();
    let (state, error): (String, String) = sqlx::query_as("SELECT state, last_error FROM notification")
        .fetch_one(record.pool())
        .await
        .unwrap();
    assert_eq!(
        (state.as_str(), error.as_str()),
        (
            "pending",
            "the e-mail could not be sent: the mail server answered 451"
        )
    );
}

#[tokio::test]
async fn without_a_mail_server_it_is_said() {
    let record = Record::new().await;
    record.add_receiver(team()).await;
    record.raise_for_new_patient("high", minute(0)).await;
    notifier(&record, None).run_once(minute(0)).await.unwrap();
    let error: String = record.one("SELECT last_error FROM notification").await;
    assert_eq!(error, "no mail server is configured");
}
