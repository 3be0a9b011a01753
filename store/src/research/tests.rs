use std::collections::BTreeMap;

use chrono::TimeDelta;
use homeward_record::{Context, DeviceId, NhsNumber};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::admin::{NewPatient, add_patients};
use crate::choices::{Chosen, ResearchSource, choose_research};
use crate::opt_out::{submit, take_answer};
use crate::testing::TestDatabase;
use crate::{BatchRow, insert_batch};

fn hour(hours: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-03-10T00:00:00Z".parse().unwrap();
    begin + TimeDelta::hours(hours)
}

fn window() -> Window {
    (hour(-48), hour(0))
}

/// Patients of whom each was measured on two days, with a heart rate that nobody else has.
async fn add(connection: &mut PgConnection, number: u32, born: &str) -> Vec<(PatientId, NhsNumber)> {
    let numbers: Vec<NhsNumber> = (999_000_000..)
        .filter_map(NhsNumber::from_stem)
        .take(number as usize)
        .collect();
    let new: Vec<NewPatient<'_>> = numbers
        .iter()
        .map(|nhs_number| NewPatient {
            nhs_number,
            name: "Ada Simulated",
            born: born.parse().unwrap(),
            organisation: None,
            team: None,
        })
        .collect();
    let patients = add_patients(connection, &new).await.unwrap();
    let mut batch: Vec<BatchRow> = patients
        .iter()
        .flat_map(|patient| {
            [-30, -6].map(|at| BatchRow {
                part: 0,
                patient: *patient,
                metric: Metric::HeartRate,
                at: hour(at),
                device: DeviceId(1),
                value: value_of(*patient),
                context: Context::default(),
                received_at: hour(at),
            })
        })
        .collect();
    insert_batch(connection, &mut batch).await.unwrap();
    patients.into_iter().zip(numbers).collect()
}

fn value_of(patient: PatientId) -> f64 {
    60.0 + (patient.0 - 1000) as f64 / 100.0
}

/// Has the national service asked, and lets it answer that these have opted out.
async fn ask(
    connection: &mut PgConnection,
    people: &[(PatientId, NhsNumber)],
    out: &[PatientId],
    at: DateTime<Utc>,
) {
    let check = submit(connection, "a test", at).await.unwrap().check;
    let returned: Vec<NhsNumber> = people
        .iter()
        .filter(|(patient, _)| !out.contains(patient))
        .map(|(_, number)| number.clone())
        .collect();
    let answer = (&returned[..], &[u8::try_from(check).unwrap(); 32]);
    take_answer(connection, Some(check), answer, "a test", at)
        .await
        .unwrap();
}

/// Everything that an export at a time would tell, and of whom.
async fn told(connection: &mut PgConnection, at: DateTime<Utc>) -> (BTreeSet<PatientId>, Vec<Day>) {
    let subjects = cohort(connection, window(), at).await.unwrap().subjects;
    let means = means_of(connection, &subjects, window()).await.unwrap();
    let patients: Vec<PatientId> = subjects.iter().map(|subject| subject.patient).collect();
    let days = days_of(connection, &patients, window()).await.unwrap();
    let of_means: BTreeSet<PatientId> = means.iter().map(|(patient, ..)| *patient).collect();
    assert_eq!(of_means, patients.iter().copied().collect());
    assert_eq!(of_means, days.iter().map(|day| day.patient).collect());
    (of_means, days)
}

/// Choices of many patients, of either source, for now and for later, one after the other; and what follows from them by
/// a rule of its own: the last that was made for a time counts, and each source can forbid.
#[tokio::test]
async fn nobody_who_has_opted_out_is_in_an_export_at_any_time() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let people = add(&mut connection, 40, "1970-01-01").await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    ask(&mut connection, &people, &[], hour(0)).await;
    let mut forbidden: BTreeMap<(PatientId, &str, i64), bool> = BTreeMap::new();
    let mut choose = |patient: PatientId, source: ResearchSource, from: i64, out: bool| {
        for hour in from..100 {
            forbidden.insert((patient, source.as_str(), hour), out);
        }
    };
    for now in 1..30 {
        // The patients' own choices, of which some are for later.
        for (patient, _) in &people {
            if random.random_range(0..8) == 0 {
                let from = now + random.random_range(0..3) * random.random_range(0..10);
                let out = random.random_range(0..3) > 0;
                let chosen = Chosen {
                    by: "Ada",
                    at: hour(now),
                    from: hour(from),
                };
                let source = ResearchSource::Patient;
                choose_research(&mut connection, &[*patient], source, out, chosen)
                    .await
                    .unwrap();
                choose(*patient, source, from, out);
            }
        }
        // And what the national service says now and then.
        if random.random_range(0..6) == 0 {
            let out: Vec<PatientId> = people
                .iter()
                .map(|(patient, _)| *patient)
                .filter(|_| random.random_range(0..5) == 0)
                .collect();
            ask(&mut connection, &people, &out, hour(now)).await;
            for (patient, _) in &people {
                choose(
                    *patient,
                    ResearchSource::NationalDataOptOut,
                    now,
                    out.contains(patient),
                );
            }
        }
    }
    let mut sizes = BTreeSet::new();
    for at in [0, 1, 5, 10, 20, 29, 30, 40, 59, 99] {
        let expected: BTreeSet<PatientId> = people
            .iter()
            .map(|(patient, _)| *patient)
            .filter(|patient| {
                ResearchSource::ALL
                    .iter()
                    .all(|source| !forbidden.get(&(*patient, source.as_str(), at)).unwrap_or(&false))
            })
            .collect();
        let (found, days) = told(&mut connection, hour(at)).await;
        assert_eq!(found, expected, "hour {at}");
        for (patient, _) in people.iter().filter(|(patient, _)| !expected.contains(patient)) {
            assert!(days.iter().all(|day| day.mean != value_of(*patient)), "hour {at}");
        }
        sizes.insert(found.len());
    }
    assert!(sizes.len() > 2, "the choices made no difference: {sizes:?}");
}

#[tokio::test]
async fn nobody_is_in_an_export_whose_opt_out_was_not_asked_for_of_late() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let people = add(&mut connection, 3, "1970-01-01").await;
    let counts = async |connection: &mut PgConnection, at| {
        let cohort = cohort(connection, window(), at).await.unwrap();
        (cohort.subjects.len(), cohort.opted_out, cohort.not_checked)
    };
    assert_eq!(counts(&mut connection, hour(0)).await, (0, 0, 3));
    // Asked, and not answered yet.
    submit(&mut connection, "a test", hour(0)).await.unwrap();
    assert_eq!(counts(&mut connection, hour(1)).await, (0, 0, 3));
    ask(&mut connection, &people, &[people[0].0], hour(2)).await;
    assert_eq!(counts(&mut connection, hour(2)).await, (2, 1, 0));
    let late = hour(2) + GOOD_FOR;
    assert_eq!(counts(&mut connection, late).await, (2, 1, 0));
    let too_late = late + TimeDelta::seconds(1);
    assert_eq!(counts(&mut connection, too_late).await, (0, 1, 2));
}

#[tokio::test]
async fn an_export_is_written_down_for_each_patient_unless_somebody_opted_out_meanwhile() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let people = add(&mut connection, 1_200, "1970-01-01").await;
    ask(&mut connection, &people, &[], hour(0)).await;
    let subjects = cohort(&mut connection, window(), hour(1)).await.unwrap().subjects;
    let export = Export {
        window: window(),
        requested_by: "Dr Ng, Green Lane University",
        purpose: "how pulses change with age",
        of_each: true,
        target: "research rows",
    };
    conclude(&mut connection, &subjects, &export, hour(1))
        .await
        .unwrap();
    let rows: Vec<(String, i32)> =
        sqlx::query_as("SELECT action, cardinality(patients) FROM audit_event ORDER BY sequence")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let row = |patients| ("research_rows".to_owned(), patients);
    assert_eq!(rows, [row(1_000), row(200)]);
    let seen = audit::accesses(
        &mut connection,
        people[1_100].0,
        audit::AccessFilter::default(),
        10,
    )
    .await
    .unwrap();
    assert_eq!(seen[0].reason.as_deref(), Some("how pulses change with age"));
    assert_eq!(audit::verify(&mut connection, None).await.unwrap().fault, None);

    let chosen = Chosen {
        by: "Ada",
        at: hour(2),
        from: hour(2),
    };
    choose_research(
        &mut connection,
        &[people[7].0],
        ResearchSource::Patient,
        true,
        chosen,
    )
    .await
    .unwrap();
    let refused = conclude(&mut connection, &subjects, &export, hour(2)).await;
    assert!(
        matches!(refused, Err(ResearchError::OptedOutMeanwhile(1))),
        "{refused:?}"
    );
}

fn subjects(bands: &[(&'static str, &[&str], usize)]) -> Vec<Subject> {
    let of = bands.iter().flat_map(|(age_band, programmes, number)| {
        (0..*number).map(|_| {
            (
                *age_band,
                programmes.iter().map(|name| (*name).to_owned()).collect(),
            )
        })
    });
    of.zip(1001..)
        .map(|((age_band, programmes), patient)| Subject {
            patient: PatientId(patient),
            age_band,
            programmes,
        })
        .collect()
}

#[test]
fn groups_are_summed_up_by_person_and_small_ones_are_not() {
    let subjects = subjects(&[
        ("40-49", &["hypertension"], 8),
        ("40-49", &["hypertension", "virtual-ward"], 2),
        ("50-59", &[], 7),
    ]);
    let means: Vec<_> = subjects
        .iter()
        .zip(1..)
        .map(|(subject, value)| (subject.patient, Metric::Systolic, 100.0 + f64::from(value)))
        .collect();
    let told: Vec<String> = aggregates(&subjects, &means)
        .iter()
        .map(|group| {
            let count = disclosure::count(group.patients);
            format!(
                "{} {} {count} {:?}",
                group.programme,
                group.age_band,
                group.figures.map(|f| f.mean)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "hypertension 40-49 10 Some(105.5)",
            "none 50-59 * None",
            "virtual-ward 40-49 * None",
        ]
    );
}

#[test]
fn of_each_person_in_rows_seven_others_are_said_to_be_the_same() {
    let all = subjects(&[
        ("40-49", &["hypertension"], 8),
        ("50-59", &[], 5),
        ("90+", &[], 3),
    ]);
    let told = profiles(&all);
    let known = Profile {
        age_band: "40-49",
        programmes: "hypertension".to_owned(),
    };
    let unknown = Profile {
        age_band: "*",
        programmes: "*".to_owned(),
    };
    assert_eq!(told[..8], vec![Some(known); 8]);
    assert_eq!(told[8..], vec![Some(unknown); 8]);
    let few = subjects(&[("40-49", &["hypertension"], 8), ("50-59", &[], 5)]);
    assert_eq!(profiles(&few)[8..], vec![None; 5]);
}
