use homeward_record::{Context, DeviceId};
use homeward_store::admin::{NewRule, set_rules};
use homeward_store::{BatchRow, insert_batch};
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Record, minute};

const LIMITS: Limits = Limits {
    readings: u64::MAX,
    workers: 2,
};

const DAY: i64 = 24 * 60;

fn low(below: f64, for_seconds: u32) -> Value {
    json!({
        "name": "Glucose low",
        "severity": "medium",
        "condition": {
            "kind": "sustained", "limits": [{"metric": "glucose", "below": below}],
            "for_seconds": for_seconds, "max_gap_seconds": 1800,
        },
        "guidance": "Measure again.",
        "source": "A test.",
    })
}

fn trial_rule(code: &str, definition: &Value) -> TrialRule {
    TrialRule {
        code: code.into(),
        definition: Arc::new(Definition::parse(definition).unwrap()),
    }
}

async fn set(record: &Record, patient: PatientId, code: &str, programme: &str, definition: &Value) {
    let mut transaction = record.pool().begin().await.unwrap();
    let new = NewRule {
        patient,
        code,
        programme,
        definition,
        always_on: false,
    };
    set_rules(&mut transaction, &[new], "a test", "a test", minute(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

/// Two days of glucose before noon, and some heart rates, which no rule looks at.
async fn store(record: &Record, patient: PatientId) -> Vec<Observation> {
    let row = |step: i64| {
        let device = DeviceId(step % 2 + 1);
        let phase = f64::from(i32::try_from(step * 7 + patient.0 * 31).unwrap());
        let (metric, value) = match step % 9 {
            0 => (Metric::HeartRate, 60.0),
            _ => (Metric::Glucose, 4.5 + 2.0 * (phase / 60.0).sin()),
        };
        BatchRow {
            part: 0,
            patient,
            metric,
            at: minute(step / 2 * 10 - 2 * DAY),
            device,
            value,
            context: Context::default(),
            received_at: minute(step / 2 * 10 - 2 * DAY + step % 40),
        }
    };
    let mut batch: Vec<BatchRow> = (0..2 * 288).map(row).collect();
    let mut connection = record.pool().acquire().await.unwrap();
    insert_batch(&mut connection, &mut batch).await.unwrap();
    let observation = |row: &BatchRow| Observation {
        metric: row.metric,
        at: row.at,
        value: row.value,
        device: row.device,
        received_at: row.received_at,
    };
    let mut history: Vec<_> = batch.iter().map(observation).collect();
    history.sort_by_key(Observation::key);
    history
}

fn proposal(rules: &[TrialRule], replaces: Replaces, scope: Scope) -> Proposal {
    Proposal {
        rules: rules.to_vec(),
        replaces,
        scope,
        from: minute(-DAY),
        to: minute(0),
        now: minute(0),
        listing: Listing { most: 7 },
    }
}

async fn rows(record: &Record) -> i64 {
    record
        .one(
            "SELECT (SELECT count(*) FROM episode) + (SELECT count(*) FROM plan_state)
             + (SELECT count(*) FROM care_plan_rule) + (SELECT count(*) FROM notification)",
        )
        .await
}

#[tokio::test]
async fn a_programme_is_the_sum_of_its_patients() {
    let record = Record::new().await;
    let (mine, other) = (low(3.5, 600), low(3.0, 600));
    let rules = [trial_rule("low", &low(3.9, 900)), trial_rule("new", &other)];
    let mut expected = Sums::new(Listing { most: 7 });
    for number in 0..11 {
        let patient = record.add_patient(None).await;
        let mut history = store(&record, patient).await;
        if number == 10 {
            // The programme is another's.
            set(&record, patient, "low", "hypertension", &other).await;
            continue;
        }
        set(&record, patient, "low", "diabetes", &mine).await;
        set(&record, patient, "old", "diabetes", &other).await;
        set(&record, patient, "kept", "hypertension", &other).await;
        let current = [trial_rule("low", &mine), trial_rule("old", &other)];
        history.retain(|observation| observation.metric == Metric::Glucose);
        let mut trial = Trial::new(patient, &rules, &current, minute(-DAY));
        trial.judge(&history);
        expected.add(trial.outcome(), &current);
    }
    let before = rows(&record).await;
    let scope = Scope::Programme("diabetes".to_owned());
    let mut come = Vec::new();
    let proposal = proposal(&rules, Replaces::Plan, scope);
    let report = dry_run(record.pool(), proposal, LIMITS, |progress| come.push(progress))
        .await
        .unwrap();
    let expected = expected.report(&rules, (minute(-DAY), minute(0)), vec![]);
    assert!(expected.difference.both > 0 && expected.difference.only_proposed > 0);
    assert!(expected.proposed.alerts.all > 10 && expected.episodes_left_out > 0);
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        serde_json::to_value(&expected).unwrap()
    );
    // Readings and time have been told as they came, but perhaps for what came at the very end.
    assert!(come.is_sorted_by(|one, next| one.done <= next.done && one.readings <= next.readings));
    assert!(come.last().unwrap().done > 0.5);
    assert_eq!(rows(&record).await, before);
}

#[tokio::test]
async fn a_proposal_is_compared_with_what_it_replaces() {
    let record = Record::new().await;
    let patient = record.add_patient(None).await;
    store(&record, patient).await;
    let (first, second) = (low(3.5, 600), low(3.9, 600));
    set(&record, patient, "low", "diabetes", &first).await;
    set(&record, patient, "old", "hypertension", &first).await;
    set(
        &record,
        patient,
        "odd",
        "diabetes",
        &json!({"name": "Not a rule"}),
    )
    .await;
    for (replaces, codes, notes) in [
        (Replaces::Rules, vec!["low"], 0),
        (Replaces::Plan, vec!["low", "old"], 1),
    ] {
        let scope = Scope::Patient(patient);
        let proposal = proposal(&[trial_rule("low", &second)], replaces, scope);
        let report = dry_run(record.pool(), proposal, LIMITS, |_| {}).await.unwrap();
        let found: Vec<&str> = report.rules.iter().map(|rule| &*rule.code).collect();
        assert_eq!(found, codes);
        assert!(report.rules.iter().all(|rule| rule.current.is_some()));
        let odd = report
            .notes
            .iter()
            .filter(|note| note.contains("rule odd of 1 patients"));
        assert_eq!(odd.count(), notes);
    }
}

#[tokio::test]
async fn what_was_entered_in_error_counts_for_nothing() {
    let record = Record::new().await;
    let patient = record.add_patient(None).await;
    store(&record, patient).await;
    sqlx::query("UPDATE reading SET entered_in_error = true WHERE value < 4")
        .execute(record.pool())
        .await
        .unwrap();
    let rules = [trial_rule("low", &low(4.0, 1))];
    let proposal = proposal(&rules, Replaces::Rules, Scope::Patient(patient));
    let report = dry_run(record.pool(), proposal, LIMITS, |_| {}).await.unwrap();
    assert_eq!((report.proposed.alerts.all, report.proposed.patient_days), (0, 2));
}

#[tokio::test]
async fn there_is_a_limit_and_there_has_to_be_somebody() {
    let record = Record::new().await;
    let patient = record.add_patient(None).await;
    let history = store(&record, patient).await;
    let rules = [trial_rule("low", &low(4.0, 1))];
    let glucose = history
        .iter()
        .filter(|observation| observation.metric == Metric::Glucose);
    let readings = glucose.count() as u64;
    let try_with = async |readings, scope| {
        let proposal = proposal(&rules, Replaces::Rules, scope);
        let limits = Limits { readings, ..LIMITS };
        dry_run(record.pool(), proposal, limits, |_| {}).await
    };
    let report = try_with(readings, Scope::Patient(patient)).await.unwrap();
    assert_eq!(report.readings, readings);
    let error = try_with(readings - 1, Scope::Patient(patient)).await.unwrap_err();
    assert!(matches!(error, DryRunError::TooMuch { most } if most == readings - 1));
    let error = try_with(readings, Scope::Patient(PatientId(9)))
        .await
        .unwrap_err();
    assert!(matches!(error, DryRunError::UnknownPatient(PatientId(9))));
    let error = try_with(readings, Scope::Programme("none".to_owned()))
        .await
        .unwrap_err();
    assert!(matches!(error, DryRunError::NobodyOn(_)));
}
