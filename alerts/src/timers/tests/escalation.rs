//! What nobody takes up is told to others.

use std::time::Duration;

use futures_util::future::join_all;
use homeward_record::EpisodeId;
use homeward_store::admin::NewReceiver;
use homeward_store::episodes::Action;
use serde_json::json;

use super::{kinds, lead, on_call, run, send_all, telling, told};
use crate::fixture::{Record, minute, team};
use crate::timers::run_once;

#[tokio::test]
async fn what_nobody_takes_up_is_told_to_others() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let episode = record.raise_for_new_patient("high", minute(0)).await;
    // In the transaction that raised it.
    assert_eq!(told(&record, episode).await, [telling(1, "raised", "pending")]);
    for at in [0, 5, 14, 15, 15, 20] {
        run(&record, at).await;
        send_all(&record).await;
    }
    for at in [30, 44, 60, 60, 75] {
        run(&record, at).await;
        send_all(&record).await;
    }
    let expected = [
        (1, "raised"),
        (2, "escalated"),
        (2, "escalated"),
        (3, "escalated"),
        (3, "escalated"),
    ];
    let expected = expected.map(|(receiver, kind)| telling(receiver, kind, "sent"));
    assert_eq!(told(&record, episode).await, expected);
    let escalated = |level: u32, to: &str| {
        let detail = json!({"level": level, "to": to, "receivers": 1});
        ("escalated".to_owned(), Some(detail))
    };
    assert_eq!(
        record.happenings(episode).await[1..],
        [
            escalated(1, "lead"),
            escalated(1, "lead"),
            escalated(2, "on_call"),
            escalated(2, "on_call")
        ]
    );
    assert_eq!(record.one::<i32>("SELECT escalation FROM episode").await, 3);

    record.act(episode, Action::Acknowledge, minute(80)).await;
    for at in [90, 200, 5_000] {
        assert_eq!(run(&record, at).await.escalations, 0);
    }
}

#[tokio::test]
async fn an_outage_makes_no_storm() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let episodes = [
        record.raise_for_new_patient("high", minute(0)).await,
        record.raise_for_new_patient("medium", minute(0)).await,
    ];
    // Two days later.
    for at in [2_880, 2_880, 2_881] {
        run(&record, at).await;
    }
    let [high, medium] = episodes;
    assert_eq!(
        told(&record, high).await,
        [
            telling(1, "raised", "pending"),
            telling(3, "escalated", "pending")
        ]
    );
    assert_eq!(
        told(&record, medium).await,
        [
            telling(1, "raised", "pending"),
            telling(2, "escalated", "pending")
        ]
    );
    // Whoever has not been told yet is not told again on top of it.
    run(&record, 3_000).await;
    assert_eq!(told(&record, high).await.len(), 2);
    assert_eq!(kinds(&record, high).await, ["raised", "escalated"]);
}

#[tokio::test]
async fn receivers_hear_of_their_patients_and_of_what_is_urgent_enough() {
    let record = Record::new().await;
    let practice = record.add_organisation().await;
    let all = record.add_receiver(team()).await;
    let of_practice = record
        .add_receiver(NewReceiver {
            organisation: Some(practice),
            ..team()
        })
        .await;
    let urgent = record
        .add_receiver(NewReceiver {
            lowest_severity: "high",
            ..team()
        })
        .await;
    let mut heard = Vec::new();
    for organisation in [None, Some(practice)] {
        for severity in ["high", "medium", "low", "info"] {
            let patient = record.add_patient(organisation).await;
            record.add_rule(patient, "glucose", severity, json!({})).await;
            let episode = record.raise(patient, "glucose", minute(0)).await;
            let receivers: Vec<i64> = told(&record, episode)
                .await
                .into_iter()
                .map(|told| told.0)
                .collect();
            heard.push(receivers);
        }
    }
    run(&record, 10_000).await;
    assert_eq!(
        heard,
        [
            vec![all, urgent],
            vec![all],
            vec![],
            vec![],
            vec![all, of_practice, urgent],
            vec![all, of_practice],
            vec![],
            vec![],
        ]
    );
    assert_eq!(
        record
            .one::<i64>("SELECT count(*) FROM notification JOIN episode USING (episode_id) WHERE severity IN ('low', 'info')")
            .await,
        0
    );
}

#[tokio::test]
async fn a_rule_has_an_escalation_of_its_own() {
    let record = Record::new().await;
    let (team, lead) = (
        record.add_receiver(team()).await,
        record.add_receiver(lead()).await,
    );
    let patient = record.add_patient(None).await;
    let escalation = json!({"escalation": [
        {"after_seconds": 600, "to": "team"}, {"after_seconds": 1_200, "to": "lead"},
    ]});
    record.add_rule(patient, "glucose", "low", escalation).await;
    let episode = record.raise(patient, "glucose", minute(0)).await;
    for at in [0, 9] {
        run(&record, at).await;
        assert_eq!(told(&record, episode).await, []);
    }
    for at in [10, 20, 40] {
        run(&record, at).await;
    }
    assert_eq!(
        told(&record, episode).await,
        [
            telling(team, "escalated", "pending"),
            telling(lead, "escalated", "pending")
        ]
    );
    // Who is told of something not urgent is not told of its end.
    send_all(&record).await;
    record.clear(episode, minute(50)).await;
    assert_eq!(run(&record, 51).await.ends, 1);
    assert_eq!(told(&record, episode).await.len(), 2);
}

#[tokio::test]
async fn many_workers_do_everything_once() {
    let record = Record::new().await;
    for receiver in [team(), lead(), on_call()] {
        record.add_receiver(receiver).await;
    }
    let mut episodes = Vec::new();
    for index in 0..60 {
        let episode = record.raise_for_new_patient("high", minute(0)).await;
        if index % 3 == 0 {
            let (until, reason) = (minute(15), "Eating now".to_owned());
            record
                .act(episode, Action::Snooze { until, reason }, minute(1))
                .await;
        }
        episodes.push(episode);
    }
    send_all(&record).await;
    for at in [15, 30] {
        for outcome in join_all((0..8).map(|_| run_once(record.pool(), minute(at)))).await {
            outcome.unwrap();
        }
        send_all(&record).await;
    }
    for episode in &episodes {
        record.clear(*episode, minute(31)).await;
    }
    for outcome in join_all((0..8).map(|_| run_once(record.pool(), minute(31)))).await {
        outcome.unwrap();
    }
    for (index, episode) in episodes.into_iter().enumerate() {
        let escalated = ["escalated", "escalated"];
        let (happened, told_to): (Vec<&str>, Vec<i64>) = if index % 3 == 0 {
            // The team is told again, and its lead a quarter of an hour after the beginning without the snooze.
            (
                [&["raised", "snoozed", "snooze_ended"], &escalated[..]].concat(),
                vec![1, 2],
            )
        } else {
            ([&["raised"], &escalated[..]].concat(), vec![1, 2, 2])
        };
        assert_eq!(
            kinds(&record, episode).await,
            [happened, vec!["cleared"]].concat()
        );
        let mut told = told(&record, episode).await;
        told.retain(|(_, _, state)| state != "cancelled");
        let (ends, beginnings): (Vec<_>, Vec<_>) = told.iter().partition(|(_, kind, _)| kind == "cleared");
        let receivers = |told: Vec<&(i64, String, String)>| -> Vec<i64> {
            told.into_iter().map(|(receiver, ..)| *receiver).collect()
        };
        assert_eq!(receivers(beginnings), told_to);
        assert_eq!(receivers(ends), [1, 2]);
    }
}

/// A lane that writes episodes holds the lock of the transitions' numbers, and waits for rows.
#[tokio::test]
async fn a_lane_at_work_is_no_deadlock() {
    let record = Record::new().await;
    record.add_receiver(team()).await;
    let mut episodes = Vec::new();
    for _ in 0..2 {
        episodes.push(record.raise_for_new_patient("high", minute(0)).await);
    }
    let mut lane = record.pool().begin().await.unwrap();
    let write = async |lane: &mut sqlx::PgConnection, episode: EpisodeId| {
        sqlx::query("UPDATE episode SET latest_value = 2.4 WHERE episode_id = $1")
            .bind(episode.0)
            .execute(&mut *lane)
            .await
            .unwrap();
        sqlx::query("INSERT INTO episode_transition (episode_id, kind, at) VALUES ($1, 'amended', now())")
            .bind(episode.0)
            .execute(&mut *lane)
            .await
            .unwrap();
    };
    write(&mut lane, episodes[0]).await;
    let running = run_once(record.pool(), minute(15));
    let going_on = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::query("SET LOCAL lock_timeout = '500ms'")
            .execute(&mut *lane)
            .await
            .unwrap();
        write(&mut lane, episodes[1]).await;
        lane.commit().await.unwrap();
    };
    let (done, ()) = tokio::join!(running, going_on);
    assert_eq!(done.unwrap().escalations, 2);
}
