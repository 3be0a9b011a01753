//! E-mails go out through a mail server.

use homeward_store::admin::NewReceiver;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::mail_server::MailServer;
use super::notifier;
use super::sink::Sink;
use crate::fixture::{NAME, NHS_NUMBER, Record, minute, team};

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
