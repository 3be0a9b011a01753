use chrono::TimeDelta;
use homeward_record::RuleId;
use serde_json::json;

use super::*;
use crate::testing::TestDatabase;
use crate::{GateChanges, devices, load_plans};

fn at(hour: u32) -> DateTime<Utc> {
    let midnight: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    midnight + TimeDelta::hours(hour.into())
}

fn number(stem: u32) -> NhsNumber {
    NhsNumber::from_stem(stem).unwrap()
}

async fn add_patient(connection: &mut PgConnection, stem: u32) -> PatientId {
    let new = NewPatient {
        nhs_number: &number(stem),
        name: "Ada Simulated",
        born: NaiveDate::default(),
        organisation: None,
        team: None,
    };
    add_patients(connection, &[new]).await.unwrap()[0]
}

async fn add_cuff(connection: &mut PgConnection, patient: PatientId, from: DateTime<Utc>) -> DeviceId {
    let new = NewDevice {
        kind: "cuff",
        secret: "secret",
        utc_offset_minutes: 60,
        patient,
        from,
    };
    add_devices(connection, &[new]).await.unwrap()[0]
}

#[tokio::test]
async fn patients_are_added_in_the_order_given_and_only_once() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let practice = add_organisation(&mut connection, "gp_practice", "High Street")
        .await
        .unwrap();

    let numbers = [999_000_003, 999_000_001, 999_000_002].map(number);
    let new = |nhs_number, organisation| NewPatient {
        nhs_number,
        name: "Ada Simulated",
        born: NaiveDate::default(),
        organisation,
        team: None,
    };
    let patients: Vec<_> = numbers.iter().map(|number| new(number, Some(practice))).collect();
    let ids = add_patients(&mut connection, &patients).await.unwrap();
    for (number, id) in numbers.iter().zip(&ids) {
        let again = add_patients(&mut connection, &[new(number, None)])
            .await
            .unwrap_err();
        assert!(
            matches!(again, AdminError::PatientExists { patient } if patient == *id),
            "{again}"
        );
    }

    let nowhere = add_patients(&mut connection, &[new(&number(999_000_004), Some(7))])
        .await
        .unwrap_err();
    assert_eq!(nowhere.to_string(), "there is no organisation 7");
}

#[tokio::test]
async fn a_device_is_known_by_its_hash_and_measures_its_patient_from_then_on() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let patients = [
        add_patient(&mut connection, 999_000_001).await,
        add_patient(&mut connection, 999_000_002).await,
    ];
    let new = |secret, patient| NewDevice {
        kind: "watch",
        secret,
        utc_offset_minutes: 60,
        patient,
        from: at(0),
    };
    let ids = add_devices(&mut connection, &[new("b", patients[1]), new("a", patients[0])])
        .await
        .unwrap();
    let known = devices::load(&mut connection, &ids).await.unwrap();
    for (id, secret, patient) in [(ids[0], "b", patients[1]), (ids[1], "a", patients[0])] {
        assert_eq!(known[&id].secret_hash, secret_hash(secret));
        assert_eq!(known[&id].utc_offset, TimeDelta::hours(1));
        assert_eq!(known[&id].patient_at(at(0)), Some(patient));
        assert_eq!(known[&id].patient_at(at(0) - TimeDelta::microseconds(1)), None);
    }

    let nobody = add_devices(&mut connection, &[new("c", PatientId(7))])
        .await
        .unwrap_err();
    assert_eq!(nobody.to_string(), "there is no patient 7");
}

#[tokio::test]
async fn a_device_goes_from_one_patient_to_the_next_without_overlap() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let one = add_patient(&mut connection, 999_000_001).await;
    let other = add_patient(&mut connection, 999_000_002).await;
    let cuff = add_cuff(&mut connection, one, at(1)).await;
    assign_device(&mut connection, cuff, other, at(3)).await.unwrap();

    let known = devices::load(&mut connection, &[cuff])
        .await
        .unwrap()
        .remove(&cuff)
        .unwrap();
    for (hour, patient) in [
        (0, None),
        (1, Some(one)),
        (2, Some(one)),
        (3, Some(other)),
        (4, Some(other)),
    ] {
        assert_eq!(known.patient_at(at(hour)), patient, "at {hour}");
    }
    for (hour, message) in [
        (
            3,
            "the device measures patient 1002 from 2026-03-01T03:00:00Z on, so another assignment cannot begin \
             at 2026-03-01T03:00:00Z",
        ),
        (
            2,
            "the device measures patient 1001 from 2026-03-01T01:00:00Z until 2026-03-01T03:00:00Z, so another \
             assignment cannot begin at 2026-03-01T02:00:00Z",
        ),
        (
            0,
            "the device measures patient 1001 from 2026-03-01T01:00:00Z until 2026-03-01T03:00:00Z, so another \
             assignment cannot begin at 2026-03-01T00:00:00Z",
        ),
    ] {
        let error = assign_device(&mut connection, cuff, one, at(hour))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), message, "at {hour}");
    }

    let listed = list_devices(&mut connection, one).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].from, listed[0].until), (at(1), Some(at(3))));
    let unknown = assign_device(&mut connection, DeviceId(7), one, at(0))
        .await
        .unwrap_err();
    assert_eq!(unknown.to_string(), "there is no device 7");
}

#[tokio::test]
async fn revoking_twice_keeps_the_first_time_and_caches_hear_of_it() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let patient = add_patient(&mut connection, 999_000_001).await;
    let cuff = add_cuff(&mut connection, patient, at(0)).await;
    let before = crate::Gate::version(&mut connection).await.unwrap();

    for hour in [1, 2] {
        assert_eq!(
            revoke_device(&mut connection, cuff, at(hour)).await.unwrap(),
            at(1)
        );
    }
    let changes = GateChanges::since(&mut connection, before).await.unwrap();
    assert!(changes.devices.contains(&cuff));
    let error = assign_device(&mut connection, cuff, patient, at(3))
        .await
        .unwrap_err();
    assert!(matches!(error, AdminError::Revoked { .. }), "{error}");

    let token = add_token(&mut connection, "dashboard", "hw_x").await.unwrap();
    for hour in [1, 2] {
        assert_eq!(
            revoke_token(&mut connection, token, at(hour)).await.unwrap(),
            at(1)
        );
    }
    let unknown = revoke_token(&mut connection, token + 1, at(1)).await.unwrap_err();
    assert_eq!(unknown.to_string(), format!("there is no token {}", token + 1));
}

#[tokio::test]
async fn a_rule_set_again_is_its_next_version() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let patient = add_patient(&mut connection, 999_000_001).await;
    let definitions = [json!({"limit": 1}), json!({"limit": 2})];
    let mut versions: Vec<RuleId> = Vec::new();
    for definition in &definitions {
        let rule = |code| NewRule {
            patient,
            code,
            programme: "hypertension",
            definition,
            always_on: code == "a",
        };
        set_rules(
            &mut connection,
            &[rule("a"), rule("b")],
            "Dr Ng",
            "enrolment",
            at(0),
        )
        .await
        .unwrap();
        let plan = load_plans(&mut connection, &[patient]).await.unwrap().remove(0);
        assert!(plan.rules.keys().eq(["a", "b"]));
        let current = plan.rules.values().map(|rule| rule.versions.last().unwrap());
        assert!(current.clone().all(|version| version.definition == *definition));
        versions.extend(current.map(|version| version.rule));
    }
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 4);
    let always_on: Vec<(String, bool)> =
        sqlx::query_as("SELECT DISTINCT code, always_on FROM care_plan_rule ORDER BY code")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    assert_eq!(always_on, [("a".to_owned(), true), ("b".to_owned(), false)]);

    let rule = NewRule {
        patient: PatientId(7),
        code: "a",
        programme: "hypertension",
        definition: &definitions[0],
        always_on: false,
    };
    let error = set_rules(&mut connection, &[rule], "Dr Ng", "enrolment", at(0))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no patient 7");
}
