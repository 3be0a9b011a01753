//! The patients of the demo and their devices.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use homeward_alerts::Programme;
use homeward_alerts::plans::copy_programme;
use homeward_record::{NhsNumber, PatientId};
use homeward_simulators::enrolment::{self, Enrolment, Secret};
use homeward_simulators::physiology::DeviceKind;
use homeward_simulators::profile;
use homeward_store::PgPool;
use homeward_store::admin::{NewDevice, NewPatient, add_devices, add_patients};

use super::people::LEAD;
use crate::admin::random_secret;

/// The first nine digits of the first NHS number: numbers that begin with 999 belong to nobody.
const FIRST_STEM: u32 = 999_000_000;

/// Patients to a transaction. Each holds the gate's lock, and what it changes in the gate grows with the
/// square of this.
const PATIENTS_A_TRANSACTION: usize = 50;

/// The devices with their secrets, which the record does not keep.
const FLEET_FILE: &str = "demo-fleet.jsonl";

const FIRST_NAMES: [&str; 30] = [
    "Aisha", "Alan", "Amara", "Brian", "Carys", "Chloe", "David", "Dilys", "Edward", "Farah", "George",
    "Grace", "Hamish", "Ian", "Ifeoma", "Jean", "Joseph", "Karen", "Leila", "Margaret", "Mohammed", "Nia",
    "Olu", "Patricia", "Priya", "Rhys", "Ruth", "Sunil", "Tomasz", "Wei",
];

const LAST_NAMES: [&str; 30] = [
    "Adeyemi",
    "Ahmed",
    "Bailey",
    "Begum",
    "Brown",
    "Campbell",
    "Chen",
    "Clarke",
    "Davies",
    "Evans",
    "Fraser",
    "Green",
    "Hughes",
    "Iqbal",
    "Jones",
    "Khan",
    "Kowalska",
    "Lewis",
    "MacDonald",
    "Morgan",
    "Nowak",
    "O'Brien",
    "Okafor",
    "Patel",
    "Roberts",
    "Singh",
    "Smith",
    "Taylor",
    "Williams",
    "Wright",
];

/// The patients of a demo.
pub(super) struct Cohort {
    /// Their devices, as the simulators know them.
    pub(super) fleet: Vec<Enrolment>,
    /// Their numbers, in the order of their places in the cohort; see [`profile`].
    pub(super) patients: Vec<u64>,
    /// Whether they are new, and so have no past yet.
    pub(super) fresh: bool,
}

impl Cohort {
    /// Those who are in the data folder's record already, from an earlier demo.
    pub(super) fn load(data_dir: &Path) -> Result<Option<Cohort>> {
        let path = data_dir.join(FLEET_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let fleet: Vec<Enrolment> = enrolment::read_file(&path)?;
        let patients = numbers_of(&fleet);
        Ok(Some(Cohort {
            fleet,
            patients,
            fresh: false,
        }))
    }

    /// Enrols new ones. Their devices measure them from `since` on, and their care plans are in force from then on.
    pub(super) async fn enrol(
        pool: &PgPool,
        patients: usize,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        data_dir: &Path,
    ) -> Result<Cohort> {
        let numbers = (FIRST_STEM..).filter_map(NhsNumber::from_stem);
        let people: Vec<(usize, NhsNumber)> = (0..patients).zip(numbers).collect();
        let mut fleet = Vec::new();
        for people in people.chunks(PATIENTS_A_TRANSACTION) {
            fleet.extend(enrol_chunk(pool, people, since, now).await.with_context(|| {
                format!(
                    "could not enrol the patients of the demo; to begin anew, remove {}",
                    data_dir.display()
                )
            })?);
        }
        save(&fleet, &data_dir.join(FLEET_FILE))
            .context("could not keep the secrets of the demo's devices")?;
        let patients = numbers_of(&fleet);
        Ok(Cohort {
            fleet,
            patients,
            fresh: true,
        })
    }
}

/// The record numbers patients in the order in which they are enrolled.
fn numbers_of(fleet: &[Enrolment]) -> Vec<u64> {
    let mut patients: Vec<u64> = fleet.iter().map(|device| device.patient).collect();
    patients.sort_unstable();
    patients.dedup();
    patients
}

async fn enrol_chunk(
    pool: &PgPool,
    people: &[(usize, NhsNumber)],
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Enrolment>> {
    let mut transaction = pool.begin().await?;
    let names: Vec<String> = people.iter().map(|(number, _)| name(*number)).collect();
    let new = people
        .iter()
        .zip(&names)
        .map(|((number, nhs_number), name)| NewPatient {
            nhs_number,
            name,
            born: born(*number, now),
            organisation: None,
            team: None,
        });
    let ids = add_patients(&mut transaction, &new.collect::<Vec<_>>()).await?;
    for programme in Programme::names().filter_map(Programme::named) {
        let with = |number: usize| profile(number).programmes.contains(&programme.name.as_str());
        let enrolled = people.iter().zip(&ids).filter(|((number, _), _)| with(*number));
        let enrolled: Vec<PatientId> = enrolled.map(|(_, id)| *id).collect();
        copy_programme(&mut transaction, &enrolled, programme, (LEAD, "Enrolment"), since).await?;
    }

    let mut secrets = Vec::new();
    for ((number, _), id) in people.iter().zip(&ids) {
        for kind in profile(*number).devices {
            secrets.push((*number, *id, *kind, random_secret()));
        }
    }
    let mut new = Vec::with_capacity(secrets.len());
    for (_, patient, kind, secret) in &secrets {
        new.push(NewDevice {
            kind: kind_name(*kind),
            secret,
            utc_offset_minutes: 0,
            patient: *patient,
            from: since,
        });
    }
    let devices = add_devices(&mut transaction, &new).await?;
    transaction.commit().await?;

    let enrolled = devices
        .into_iter()
        .zip(secrets)
        .map(|(device_id, (_, patient, kind, secret))| Enrolment {
            device_id,
            secret: Secret(secret),
            kind,
            patient: patient.0.unsigned_abs(),
            every_s: None,
        });
    Ok(enrolled.collect())
}

fn kind_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Smartwatch => "smartwatch",
        DeviceKind::Cuff => "cuff",
        DeviceKind::Cgm => "cgm",
        DeviceKind::Meter => "meter",
        DeviceKind::Hub => "hub",
        DeviceKind::Scale => "scale",
    }
}

/// No two of the first 900 have the same.
fn name(number: usize) -> String {
    let first = FIRST_NAMES[number % FIRST_NAMES.len()];
    let last = LAST_NAMES[(number + number / FIRST_NAMES.len()) % LAST_NAMES.len()];
    format!("{first} {last}")
}

/// A date of birth within the ages of the patient's profile.
fn born(number: usize, now: DateTime<Utc>) -> NaiveDate {
    let (youngest, oldest) = profile(number).ages;
    // Steps that have no divisor in common with what they go around in.
    let spread = u32::try_from(number % 10_000).unwrap_or(0);
    let age = youngest + spread * 17 % (oldest - youngest + 1);
    let year = now.year() - i32::try_from(age).unwrap_or(0);
    let new_year = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
    new_year + TimeDelta::days(i64::from(spread * 101 % 365)) - TimeDelta::days(365)
}

/// For this user only: whoever has a secret can send readings.
fn save(fleet: &[Enrolment], path: &Path) -> Result<()> {
    let unfinished = path.with_extension("new");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    let mut file = BufWriter::new(file);
    for device in fleet {
        serde_json::to_writer(&mut file, device)?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_all()?;
    Ok(fs::rename(&unfinished, path)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn patients_are_adults_with_names_of_their_own() {
        let now: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        let names: BTreeSet<String> = (0..900).map(name).collect();
        assert_eq!(names.len(), 900);
        for number in 0..900 {
            let age = now.date_naive().years_since(born(number, now)).unwrap();
            assert!((18..=93).contains(&age), "{number}: {age}");
        }
    }

    #[test]
    fn every_programme_of_the_demo_exists_and_everyone_over_80_has_the_right_one() {
        let now: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        for number in 0..900 {
            let age = now.date_naive().years_since(born(number, now)).unwrap();
            for name in profile(number).programmes {
                assert!(Programme::named(name).is_some(), "{name}");
                assert!(*name != "hypertension" || age < 80, "{number}: {age}");
                assert!(*name != "hypertension-over-80" || age >= 80, "{number}: {age}");
            }
        }
    }

    #[test]
    fn a_fleet_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Cohort::load(folder.path()).unwrap().is_none());
        let device = |device, patient| Enrolment {
            device_id: homeward_record::DeviceId(device),
            secret: Secret("s".to_owned()),
            kind: DeviceKind::Cgm,
            patient,
            every_s: None,
        };
        let fleet = vec![device(10_001, 1001), device(10_002, 1001), device(10_003, 1002)];
        save(&fleet, &folder.path().join(FLEET_FILE)).unwrap();
        let cohort = Cohort::load(folder.path()).unwrap().unwrap();
        assert_eq!((cohort.fleet, cohort.patients), (fleet, vec![1001, 1002]));
        assert!(!cohort.fresh);
    }
}
