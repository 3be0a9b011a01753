//! `homeward import`: takes a patient over from another record, by a patient passport or by another supplier's Bundle.
//!
//! A patient who is not here is taken over as they stood: readings with the times at which they arrived, devices, the
//! care plan with all versions, alerts with all that happened to them. Nothing is judged, and nobody is told. A patient
//! who is here already is left alone, but with `--merge`: then what is new among the readings is added as having come
//! late, and judged by the plan that is here.
//!
//! Each file is one transaction, and is taken over once: to give the same files again goes on where an error ended it.

mod kept;
mod take_over;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use homeward_record::decode::DecodeContext;
use homeward_record::fhir::{LeftOut, read_passport};
use homeward_store::PgPool;
use homeward_store::passport::digest_of;
use serde_json::{Value, json};

use self::kept::Kept;
use self::take_over::{Outcome, take_over};

/// The largest file: some times a page of a passport. It is in memory, and what is read of it takes about as much again.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How many things that were left out are told one by one.
const LEFT_OUT_TOLD: usize = 100;

/// What to take over, and into whose care.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// Bundles of FHIR R4 as JSON, each about one patient; the pages of a passport in their order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the patient is in the record already, add the readings that it does not have, as having come late. Plan
    /// and alerts stay those that are here
    #[arg(long)]
    merge: bool,
    /// The GP practice where a new patient is registered
    #[arg(long, value_name = "ID")]
    organisation: Option<i64>,
    /// The care team with which a new patient is enrolled [default: the default care team]
    #[arg(long, value_name = "ID")]
    team: Option<i64>,
}

/// Takes over each file, and answers what became of them.
pub(super) async fn run(
    pool: &PgPool,
    options: &ImportOptions,
    retention: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Value> {
    let mut answers = Vec::with_capacity(options.files.len());
    for path in &options.files {
        let taken = import(pool, path, options, retention, now).await;
        let taken = taken.with_context(|| match answers.len() {
            0 => format!("nothing of {} was taken over", path.display()),
            before => format!(
                "nothing of {} was taken over; the {before} before it were",
                path.display()
            ),
        });
        answers.push(taken?);
    }
    Ok(json!({"files": answers}))
}

async fn import(
    pool: &PgPool,
    path: &Path,
    options: &ImportOptions,
    retention: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Value> {
    let length = fs::metadata(path).context("could not read it")?.len();
    if length > LARGEST {
        bail!("it has {length} bytes; the most is {LARGEST}: ask for the passport in pages (_count)");
    }
    let bytes = fs::read(path).context("could not read it")?;
    let context = DecodeContext {
        received_at: now,
        retention,
        utc_offset: TimeDelta::zero(),
    };
    let mut passport = read_passport(&bytes, &context)?;
    let kept = Kept::read(&passport)?;
    let too_old = now - retention;
    let left_out = &mut passport.left_out;
    passport.readings.retain(|reading| {
        let keep = reading.reading.at >= too_old;
        if !keep {
            left_out.push(LeftOut {
                entry: reading.entry,
                kind: "Observation".to_owned(),
                why: "is older than the record keeps readings".to_owned(),
            });
        }
        keep
    });
    let digest = digest_of(&bytes);
    drop(bytes);
    let outcome = take_over(pool, digest, &mut passport, &kept, options, now).await?;
    Ok(answer(path, &outcome, &passport.left_out))
}

fn answer(path: &Path, outcome: &Outcome, left_out: &[LeftOut]) -> Value {
    let told: Vec<Value> = left_out
        .iter()
        .take(LEFT_OUT_TOLD)
        .map(|left| json!({"entry": left.entry, "resource": left.kind, "why": left.why}))
        .collect();
    match outcome {
        Outcome::Before(patient) => json!({
            "file": path.display().to_string(),
            "patient_id": patient,
            "taken_over_before": true,
        }),
        Outcome::Taken(taken) => json!({
            "file": path.display().to_string(),
            "patient_id": taken.patient,
            "new_patient": taken.new_patient,
            "readings": {"stored": taken.stored, "stored_earlier": taken.stored_earlier},
            "devices": taken.devices,
            "rules": taken.rules,
            "alerts": taken.episodes,
            "left_out": {"count": left_out.len(), "first": told},
        }),
    }
}
