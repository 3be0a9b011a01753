use axum::http::Method;
use homeward_record::{PatientId, RuleId};
use homeward_store::access::Role;
use homeward_store::admin::revoke_token;
use insta::assert_snapshot;

use super::*;
use crate::testing::{TOKEN, TestApp, now};

async fn app_with_rule() -> (TestApp, PatientId, RuleId) {
    let app = TestApp::start().await;
    let patient = app.add_patient().await;
    let rule = app.add_rule(patient).await;
    (app, patient, rule)
}

fn event(id: i64, kind: &str) -> (i64, String) {
    (id, kind.to_owned())
}

#[tokio::test]
async fn an_event_tells_what_happened_and_the_alert_as_it_stands() {
    let (app, patient, rule) = app_with_rule().await;
    let mut stream = app.stream("", None).await;
    app.raise(patient, rule, "high", false).await;
    assert_snapshot!(stream.next().await.unwrap(), @r#"
    id: 1
    event: raised
    data: {"transition":{"id":1,"kind":"raised","at":"2026-11-22T12:00:00Z","actor":null,"actor_account":null,"detail":null},"alert":{"id":1,"patient":1001,"rule":{"id":1,"code":"glucose-very-low","name":"Glucose very low","guidance":"Treat the low glucose now."},"severity":"high","status":"raised","late":false,"text":"Glucose 2.6 mmol/L, below 3.0 mmol/L since 11:50 GMT; lowest 2.4 mmol/L at 11:53 GMT.","raised_at":"2026-11-22T12:00:00Z","acknowledged_at":null,"acknowledged_by":null,"acknowledged_by_account":null,"cleared_at":null,"ended_at":null,"withdrawn_at":null,"assigned_to":null,"assigned_to_account":null,"snoozed_until":null,"escalation":0,"onset":{"metric":"glucose","at":"2026-11-22T11:50:00Z","value":2.8,"unit":"mmol/L","figure":null},"latest":{"metric":"glucose","at":"2026-11-22T11:55:00Z","value":2.6,"unit":"mmol/L","figure":null},"worst":{"metric":"glucose","at":"2026-11-22T11:53:00Z","value":2.4,"unit":"mmol/L","figure":null},"detail":null}}
    "#);
}

#[tokio::test]
async fn nobody_takes_all_the_streams_there_are() {
    let (app, ..) = app_with_rule().await;
    let mut streams = Vec::new();
    for _ in 0..MOST_STREAMS {
        streams.push(app.stream("", None).await);
    }
    let path = "/api/v1/alerts/stream";
    let status = async |token: &str| app.status_as(token, &Method::GET, path).await.as_u16();
    assert_eq!(status(TOKEN).await, 503);
    let other = app.token_of(Role::PrivacyOfficer, None, None).await;
    assert_eq!(status(&other).await, 403);
    let patient = app.token_of(Role::Patient, None, Some(PatientId(1_001))).await;
    assert_eq!(status(&patient).await, 200);
    streams.pop();
    assert_eq!(status(TOKEN).await, 200);
}

#[tokio::test]
async fn a_stream_begins_now_or_after_the_last_event() {
    let (app, patient, rule) = app_with_rule().await;
    app.raise(patient, rule, "high", false).await;
    app.clear(patient).await;

    let mut from_now = app.stream("", None).await;
    let mut from_empty = app.stream("", Some("")).await;
    let mut from_start = app.stream("", Some("0")).await;
    let mut from_first = app.stream("", Some("1")).await;
    // As of a record that was restored from a backup since.
    let mut from_future = app.stream("", Some("99")).await;
    app.post("/api/v1/alerts/1/acknowledge").await.json();

    let [raised, cleared] = [event(1, "raised"), event(2, "cleared")];
    let [acknowledged, closed] = [event(3, "acknowledged"), event(4, "closed")];
    for (stream, expected) in [
        (&mut from_now, vec![&acknowledged, &closed]),
        (&mut from_empty, vec![&acknowledged, &closed]),
        (&mut from_start, vec![&raised, &cleared, &acknowledged, &closed]),
        (&mut from_first, vec![&cleared, &acknowledged, &closed]),
        (&mut from_future, vec![&acknowledged, &closed]),
    ] {
        for expected in expected {
            assert_eq!(stream.next_transition().await, *expected);
        }
    }
}

#[tokio::test]
async fn a_stream_is_of_the_severities_asked_for() {
    let (app, patient, rule) = app_with_rule().await;
    let mut high = app.stream("?severity=high", None).await;
    let mut others = app.stream("?severity=medium,low", Some("0")).await;
    for severity in ["medium", "high", "low"] {
        app.raise(patient, rule, severity, false).await;
        app.clear(patient).await;
    }
    assert_eq!(high.next_transition().await, event(3, "raised"));
    assert_eq!(high.next_transition().await, event(4, "cleared"));
    for expected in [event(1, "raised"), event(2, "cleared"), event(5, "raised")] {
        assert_eq!(others.next_transition().await, expected);
    }
}

#[tokio::test]
async fn an_alert_is_on_the_wire_at_once() {
    let (app, patient, rule) = app_with_rule().await;
    let mut stream = app.stream("", None).await;
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let committed = if round % 2 == 0 {
            app.raise(patient, rule, "high", false).await;
            Instant::now()
        } else {
            app.clear(patient).await;
            Instant::now()
        };
        stream.next_transition().await;
        slowest = slowest.max(committed.elapsed());
    }
    println!("the slowest took {slowest:?}");
    // Far less than what looking every two seconds would need, on a machine that also compiles.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

/// Nobody reads the stream while far more happens than waits for it in memory.
#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let (app, patient, rule) = app_with_rule().await;
    let mut slow = app.stream("", None).await;
    let mut quick = app.stream("", None).await;
    app.raise(patient, rule, "high", false).await;
    sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) SELECT 1, 'cleared', now() FROM generate_series(1, 700)")
        .execute(app.pool())
        .await
        .unwrap();
    for stream in [&mut quick, &mut slow] {
        for id in 1..=701 {
            assert_eq!(stream.next_transition().await.0, id);
        }
    }
    app.clear(patient).await;
    assert_eq!(slow.next_transition().await, event(702, "cleared"));
}

#[tokio::test]
async fn streams_go_on_after_the_database_was_away() {
    let (app, patient, rule) = app_with_rule().await;
    let mut stream = app.stream("", None).await;
    app.raise(patient, rule, "high", false).await;
    assert_eq!(stream.next_transition().await, event(1, "raised"));

    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    cut.execute(app.pool()).await.unwrap();
    app.clear(patient).await;
    assert_eq!(stream.next_transition().await, event(2, "cleared"));
    // And again by notification.
    app.raise(patient, rule, "high", false).await;
    assert_eq!(stream.next_transition().await, event(3, "raised"));
}

/// Numbers are drawn and committed by several writers at once, of whom some give up.
#[tokio::test]
async fn nothing_is_missed_of_what_many_write_at_once() {
    let (app, patient, rule) = app_with_rule().await;
    app.raise(patient, rule, "high", false).await;
    let mut stream = app.stream("", Some("1")).await;
    let writer = async |part: u32| {
        for round in 0..40 {
            let mut transaction = app.pool().begin().await.unwrap();
            sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) VALUES (1, 'cleared', now())")
                .execute(&mut *transaction)
                .await
                .unwrap();
            if !(round + part).is_multiple_of(5) {
                transaction.commit().await.unwrap();
            }
        }
    };
    tokio::join!(writer(0), writer(1), writer(2), writer(3));
    let written: Vec<i64> =
        sqlx::query_scalar("SELECT transition_id FROM episode_transition WHERE transition_id > 1 ORDER BY 1")
            .fetch_all(app.pool())
            .await
            .unwrap();
    assert_eq!(written.len(), 128);
    for id in written {
        assert_eq!(stream.next_transition().await.0, id);
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let (app, patient, rule) = app_with_rule().await;
    let mut stream = app.stream("", None).await;
    app.raise(patient, rule, "high", false).await;
    assert_eq!(stream.next_transition().await, event(1, "raised"));
    let mut connection = app.pool().acquire().await.unwrap();
    revoke_token(&mut connection, 1, now()).await.unwrap();
    app.clear(patient).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn streams_end_at_shutdown() {
    let (mut app, ..) = app_with_rule().await;
    let mut stream = app.stream("", None).await;
    app.stop().await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_makes_no_sense_is_explained() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/api/v1/alerts/stream?severity=loud").await.status, 400);
    assert_eq!(app.get("/api/v1/alerts/stream?patient=1").await.status, 400);
    for id in ["x", "-1", "1.5"] {
        let request = axum::http::Request::get("/api/v1/alerts/stream")
            .header("authorization", format!("Bearer {}", crate::testing::TOKEN))
            .header("last-event-id", id);
        assert_eq!(app.send(request).await.status, 400, "{id}");
    }
}
