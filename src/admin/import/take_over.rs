//! One file, in one transaction.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use homeward_alerts::LATE_AFTER;
use homeward_alerts::carry_over::renumber;
use homeward_alerts::judging::{Plans, observed};
use homeward_record::fhir::{LeftOut, ReadDevice, ReadPassport, ReadReading};
use homeward_record::{DeviceId, PatientId};
use homeward_store::admin::{NewPatient, add_patients};
use homeward_store::choices::{Chosen, ResearchSource, choose_research};
use homeward_store::passport::{self, Import, ImportedDevice};
use homeward_store::{BatchRow, Gate, PgPool, insert_batch, mark_dirty, save_plan_states};
use sqlx::PgConnection;

use super::super::{AUTHOR, note};
use super::ImportOptions;
use super::kept::Kept;

/// How many readings one statement stores.
const BATCH: usize = 2_000;

/// The system of what stands for a device that another supplier does not name.
const NOT_SAID: &str = "https://homeward.example/fhir/Id/device-not-said";

/// What became of a file.
pub(super) enum Outcome {
    /// It was taken over before, with this patient.
    Before(PatientId),
    /// It is taken over now.
    Taken(Taken),
}

/// What a file brought.
pub(super) struct Taken {
    pub(super) patient: PatientId,
    pub(super) new_patient: bool,
    pub(super) stored: usize,
    pub(super) stored_earlier: usize,
    pub(super) devices: usize,
    pub(super) rules: usize,
    pub(super) episodes: usize,
}

/// How a patient is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not until now.
    New,
    /// By the document that this one continues.
    Continued,
    /// On their own.
    Here,
}

/// Takes a file over.
pub(super) async fn take_over(
    pool: &PgPool,
    digest: [u8; 32],
    passport: &mut ReadPassport,
    kept: &Kept,
    options: &ImportOptions,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let mut transaction = pool.begin().await.context("could not begin a transaction")?;
    let connection = &mut *transaction;
    let document = passport.document.as_deref();
    if let Some(patient) = passport::earlier_import(connection, &digest, document).await? {
        return Ok(Outcome::Before(patient));
    }
    // From here on nobody writes readings, and nobody else changes what they are judged by.
    let gate = Gate::hold_and_write(connection).await?;
    let (patient, standing) = find_or_add(connection, passport, options).await?;
    let (devices, new_devices) = devices(connection, patient, passport).await?;
    let exactly = standing != Standing::Here;
    let mut plans = Plans::default();
    if !exactly {
        // Before the readings are stored, so that these are what is new to it.
        plans.load(connection, HashSet::from([patient])).await?;
    }
    let rows = rows(patient, passport, &devices, exactly, now);
    let (stored, stored_earlier) = store(connection, rows, &gate).await?;
    mark(connection, patient, passport, &devices, (&stored, exactly)).await?;
    let (rules, episodes) = match standing {
        Standing::New => plan_and_alerts(connection, patient, passport, kept).await?,
        _ => {
            leave_out(
                passport,
                "the plan and the alerts of the patient are those that are here",
            );
            (0, 0)
        }
    };
    if let Some(since) = passport.opted_out.filter(|_| standing == Standing::New) {
        let chosen = Chosen {
            by: AUTHOR,
            at: now,
            from: since.min(now),
        };
        choose_research(connection, &[patient], ResearchSource::Patient, true, chosen).await?;
    }
    if !exactly {
        let wrong: HashSet<_> = marked(passport, &devices).collect();
        let key = |row: &&BatchRow| (row.metric.code(), row.at, row.device);
        let counts = stored.iter().filter(|row| !wrong.contains(&key(row)));
        plans.judge(connection, counts.map(observed), now).await?;
    }
    passport::forget_rules(connection, patient).await?;
    let import = Import {
        digest,
        document: passport.document.as_deref(),
        patient,
        whole: standing != Standing::Here,
        source: passport.author.as_deref().unwrap_or("another supplier"),
        by: AUTHOR,
    };
    passport::note_import(connection, &import, now).await?;
    let target = passport
        .document
        .as_deref()
        .unwrap_or("a Bundle without identifier");
    note(connection, "import_passport", target, &[patient], now).await?;
    transaction.commit().await.context("could not commit")?;
    Ok(Outcome::Taken(Taken {
        patient,
        new_patient: standing == Standing::New,
        stored: stored.len(),
        stored_earlier,
        devices: new_devices,
        rules,
        episodes,
    }))
}

async fn find_or_add(
    connection: &mut PgConnection,
    passport: &ReadPassport,
    options: &ImportOptions,
) -> Result<(PatientId, Standing)> {
    let whose = &passport.patient;
    let Some((patient, born)) = passport::patient_with(connection, &whose.nhs_number).await? else {
        if passport.continues.is_some() {
            bail!("it continues a passport that was not taken over: begin with the first page");
        }
        let new = NewPatient {
            nhs_number: &whose.nhs_number,
            name: &whose.name,
            born: whose.born,
            organisation: options.organisation,
            team: options.team,
        };
        let added = add_patients(connection, &[new]).await?;
        return Ok((added[0], Standing::New));
    };
    if born != whose.born {
        bail!("patient {patient} has this NHS number and another date of birth: one of the two is wrong");
    }
    if let Some(document) = &passport.continues
        && passport::is_whole(connection, document, patient).await?
    {
        return Ok((patient, Standing::Continued));
    }
    match options.merge {
        true => Ok((patient, Standing::Here)),
        false => bail!(
            "patient {patient} is in the record already. With --merge, the readings that it does not have are added, \
             as having come late, and judged by the plan that is here; plan and alerts of the file are left out"
        ),
    }
}

/// The devices of the passport as this record numbers them, and how many are new to it.
async fn devices(
    connection: &mut PgConnection,
    patient: PatientId,
    passport: &ReadPassport,
) -> Result<(Vec<DeviceId>, usize)> {
    let mut ids = Vec::with_capacity(passport.devices.len());
    let mut new = 0;
    for (index, device) in passport.devices.iter().enumerate() {
        let mut identifiers = device.identifiers.clone();
        if identifiers.is_empty() {
            // One for each patient.
            let value = format!("{}.{patient}", passport::record_uuid(connection).await?);
            identifiers.push((NOT_SAID.to_owned(), value));
        }
        let id = match passport::known_device(connection, &identifiers).await? {
            Some(id) => id,
            None => {
                new += 1;
                let taken = ImportedDevice {
                    identifiers: &identifiers,
                    kind: &device.kind,
                    utc_offset_minutes: device.utc_offset_minutes,
                    revoked_at: device.revoked_at,
                    secret_hash: rand::random(),
                };
                passport::take_over_device(connection, &taken).await?
            }
        };
        for period in uses(index, device, passport) {
            if !passport::take_over_use(connection, id, patient, period).await? {
                bail!(
                    "the device {:?} is device {id} here, which measured somebody else from {} on",
                    identifiers[0].1,
                    period.0.to_rfc3339()
                );
            }
        }
        ids.push(id);
    }
    Ok((ids, new))
}

/// When a device measured the patient: as the passport says, or from its first reading to its last.
fn uses(
    index: usize,
    device: &ReadDevice,
    passport: &ReadPassport,
) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    if !device.uses.is_empty() {
        return device.uses.clone();
    }
    let of_device = passport.readings.iter().filter(|reading| reading.device == index);
    let times = of_device.map(|reading| reading.reading.at);
    let ends = times.clone().min().zip(times.max());
    let period = ends.map(|(first, last)| (first, Some(last + TimeDelta::microseconds(1))));
    period.into_iter().collect()
}

/// The readings as they are stored: as having come when the passport says, or late.
fn rows(
    patient: PatientId,
    passport: &ReadPassport,
    devices: &[DeviceId],
    exactly: bool,
    now: DateTime<Utc>,
) -> Vec<BatchRow> {
    let row = |read: &ReadReading| BatchRow {
        part: 0,
        patient,
        metric: read.reading.metric,
        at: read.reading.at,
        device: devices[read.device],
        value: read.reading.value,
        context: read.reading.context.clone(),
        received_at: match read.received_at {
            Some(received_at) if exactly => received_at,
            // Later than rules allow for what is to page anybody.
            _ => now.max(read.reading.at + LATE_AFTER + TimeDelta::seconds(1)),
        },
    };
    passport.readings.iter().map(row).collect()
}

/// Stores readings. Answers those that are new, and how many are not.
async fn store(
    connection: &mut PgConnection,
    rows: Vec<BatchRow>,
    gate: &Gate,
) -> Result<(Vec<BatchRow>, usize)> {
    let all = rows.len();
    let mut stored = Vec::with_capacity(all);
    let mut rest = rows.into_iter();
    loop {
        let mut batch: Vec<BatchRow> = rest.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        let is_new = insert_batch(connection, &mut batch).await?;
        let new = batch.into_iter().zip(is_new).filter(|(_, is_new)| *is_new);
        stored.extend(new.map(|(row, _)| row));
    }
    mark_dirty(connection, gate, &stored).await?;
    let stored_earlier = all - stored.len();
    Ok((stored, stored_earlier))
}

type Key = (i16, DateTime<Utc>, DeviceId);

/// The readings of the passport that are marked as entered in error.
fn marked(passport: &ReadPassport, devices: &[DeviceId]) -> impl Iterator<Item = Key> {
    let marked = passport.readings.iter().filter(|read| read.entered_in_error);
    marked.map(|read| (read.reading.metric.code(), read.reading.at, devices[read.device]))
}

/// Marks those of the new readings that came marked, and notes who marked them; of a patient who is taken over also those
/// that come with a later page.
async fn mark(
    connection: &mut PgConnection,
    patient: PatientId,
    passport: &ReadPassport,
    devices: &[DeviceId],
    (stored, exactly): (&[BatchRow], bool),
) -> Result<()> {
    let new: HashSet<Key> = stored
        .iter()
        .map(|row| (row.metric.code(), row.at, row.device))
        .collect();
    let marked: Vec<Key> = marked(passport, devices)
        .filter(|key| new.contains(key))
        .collect();
    passport::mark_entered_in_error(connection, patient, &marked).await?;
    let corrections: Vec<_> = passport
        .corrections
        .iter()
        .map(|read| (devices[read.device], &read.kept))
        .filter(|(device, kept)| exactly || new.contains(&(kept.metric.code(), kept.measured_at, *device)))
        .collect();
    Ok(passport::take_over_corrections(connection, patient, &corrections).await?)
}

/// Takes over the care plan and the alerts of a patient who has none here, and answers how many of each.
async fn plan_and_alerts(
    connection: &mut PgConnection,
    patient: PatientId,
    passport: &mut ReadPassport,
    kept: &Kept,
) -> Result<(usize, usize)> {
    let rules = passport::take_over_rules(connection, patient, &kept.rules).await?;
    if let Some(memory) = &passport.memory {
        let versions = kept
            .rules
            .iter()
            .map(|version| (version.id, &version.code, version.version));
        let numbers = versions.filter_map(|(former, code, version)| {
            let number = rules.get(&(code.clone(), version))?;
            Some((former, *number))
        });
        match renumber(memory, &numbers.collect()) {
            Ok(memory) => save_plan_states(connection, &[(patient, memory)]).await?,
            // They begin with the readings since they were made.
            Err(other) => passport.left_out.push(LeftOut {
                entry: passport.rules.first().map_or(0, |(place, _)| *place),
                kind: "CarePlan".to_owned(),
                why: other.to_string(),
            }),
        }
    }
    let mut episodes = Vec::with_capacity(kept.episodes.len());
    for episode in &kept.episodes {
        let rule = rules.get(&(episode.code.clone(), episode.version));
        let rule = rule.context("the rule of an alert was not taken over")?;
        episodes.push((*rule, episode));
    }
    passport::take_over_episodes(connection, patient, &episodes).await?;
    Ok((rules.len(), episodes.len()))
}

/// Says of plan and alerts that they are not taken.
fn leave_out(passport: &mut ReadPassport, why: &str) {
    let mut places: Vec<(usize, &str)> = passport
        .rules
        .iter()
        .map(|(place, _)| (*place, "CarePlan"))
        .collect();
    places.extend(
        passport
            .episodes
            .iter()
            .map(|(place, _)| (*place, "DetectedIssue")),
    );
    places.dedup();
    let left = places.into_iter().map(|(entry, kind)| LeftOut {
        entry,
        kind: kind.to_owned(),
        why: why.to_owned(),
    });
    passport.left_out.extend(left);
}
