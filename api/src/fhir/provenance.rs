//! `GET /fhir/R4/Provenance/{id}` and `Provenance?target&patient`: who or what made an Observation or a care plan.
//!
//! Of an Observation: the device that measured it, the person who entered it, the passport it came with, and who marked it as
//! entered in error. Of a care plan: who put each version of a rule in force or took the rule out, and why. With `patient`
//! alone it is all that people did to the record: the plan and the corrections.

use axum::extract::State;
use chrono::{DateTime, Utc};
use homeward_record::fhir::{self, Activity, Kept, KeptCorrection, ObservationId, Origin, Source, keep};
use homeward_record::{DeviceId, Metric, PatientId};
use homeward_store::corrections::{Correction, corrections_of};
use homeward_store::observations::readings_at;
use homeward_store::passport::source_of;
use homeward_store::plans::{PlanVersion, load_versions};
use homeward_store::posted::posted_by;
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::answer::{Found, Resource, no_such, page};
use super::observation::first_of_panel;
use super::parameters::{Search, always};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// Its search parameters, with their types.
pub(super) const PARAMETERS: [(&str, &str); 2] = [("target", "reference"), ("patient", "reference")];

/// `GET /fhir/R4/Provenance/{provenance}`. The identifier says of what it is, and whose.
pub(crate) async fn read(exchange: Exchange, path: Path, search: Search) -> Result<Resource, ApiError> {
    search.take(&[])?;
    let id = path.text("provenance");
    let none = || no_such("Provenance");
    let (kind, of) = id.split_once('-').ok_or_else(none)?;
    let patient: Option<PatientId> = of.split('-').next().and_then(|patient| patient.parse().ok());
    let patient = patient.ok_or_else(none)?;
    if !exchange.turn_to(patient).await? {
        return Err(none());
    }
    let mut connection = exchange.connection().await;
    let all = match kind {
        "observation" => {
            let observation = of.parse().map_err(|_| none())?;
            of_observation(&mut connection, observation).await?
        }
        "correction" => of_corrections(&mut connection, patient, always(), false).await?,
        "rule" | "removal" => of_plan(&mut connection, patient).await?,
        _ => return Err(none()),
    };
    let found = all.into_iter().find(|provenance| provenance["id"] == id);
    found.map(Resource).ok_or_else(none)
}

/// `GET /fhir/R4/Provenance`.
pub(crate) async fn search(
    State(app): State<App>,
    exchange: Exchange,
    search: Search,
) -> Result<Resource, ApiError> {
    let search = search.take(&PARAMETERS.map(|(name, _)| name))?;
    let target = search.one("target")?.map(Target::read);
    let asked = match (&target, search.one("patient")?) {
        (None, None) => {
            let text = "a search is about one resource, or one patient: target= or patient=";
            return Err(ApiError::parameter("target", text));
        }
        (_, Some(_)) => search.patient(&["patient"])?,
        (Some(target), None) => target.patient(),
    };
    let patient = match asked {
        Some(patient) if exchange.turn_to(patient).await? => patient,
        _ => return Ok(page(&app, "Provenance", &search, Found::nothing())),
    };
    let mut connection = exchange.connection().await;
    let mut found = Vec::new();
    match target {
        Some(target) if target.patient() != Some(patient) => {}
        Some(Target::Observation(id)) => found.extend(of_observation(&mut connection, id).await?),
        Some(Target::CarePlan(_)) => found.extend(of_plan(&mut connection, patient).await?),
        Some(Target::Other) => {}
        None => {
            found.extend(of_plan(&mut connection, patient).await?);
            found.extend(of_corrections(&mut connection, patient, always(), false).await?);
        }
    }
    Ok(page(&app, "Provenance", &search, Found::all(found)))
}

/// What was made.
enum Target {
    Observation(ObservationId),
    CarePlan(PatientId),
    Other,
}

impl Target {
    fn read(reference: &str) -> Target {
        let mut parts = reference.rsplit('/');
        let (id, kind) = (parts.next().unwrap_or_default(), parts.next());
        match kind {
            Some("Observation") => id.parse().map_or(Target::Other, Target::Observation),
            Some("CarePlan") => id.parse().map_or(Target::Other, Target::CarePlan),
            _ => Target::Other,
        }
    }

    fn patient(&self) -> Option<PatientId> {
        match self {
            Target::Observation(id) => Some(id.patient),
            Target::CarePlan(patient) => Some(*patient),
            Target::Other => None,
        }
    }
}

/// Who or what made an Observation of a reading, and who marked it.
async fn of_observation(connection: &mut PgConnection, id: ObservationId) -> Result<Vec<Json>, ApiError> {
    let (first, last) = always();
    if id.at < first || id.at >= last {
        return Ok(Vec::new());
    }
    let mut readings = readings_at(connection, id.patient, &[id.at]).await?;
    readings.retain(|reading| reading.device == id.device);
    let metrics = |marked: bool| -> Vec<Metric> {
        let of = readings
            .iter()
            .filter(|reading| reading.entered_in_error == marked);
        of.map(|reading| reading.metric).collect()
    };
    let is_told = |reading: &&homeward_store::history::StoredReading| {
        let beside = metrics(reading.entered_in_error);
        first_of_panel(reading.metric, &beside) == id.metric
    };
    let Some(recorded_at) = readings
        .iter()
        .filter(is_told)
        .map(|reading| reading.received_at)
        .max()
    else {
        return Ok(Vec::new());
    };
    let person = posted_by(connection, id.patient, (id.at, id.device)).await?;
    let import = source_of(connection, id.patient, id.device).await?;
    let mut sources = vec![match &person {
        Some(name) => Source::Person(name),
        None => Source::Device(id.device),
    }];
    sources.extend(import.as_deref().map(Source::Import));
    let target = format!("Observation/{id}");
    let mut found = vec![fhir::provenance(&Origin {
        id: &format!("observation-{id}"),
        targets: std::slice::from_ref(&target),
        recorded_at,
        activity: Activity::Created,
        reason: None,
        sources: &sources,
    })];
    let moment = (id.at, id.at + chrono::TimeDelta::microseconds(1));
    let mut corrections = of_corrections(connection, id.patient, moment, false).await?;
    corrections.retain(|correction| correction["target"][0]["reference"] == target.as_str());
    found.extend(corrections);
    Ok(found)
}

/// Who marked readings of a time as entered in error; for a passport exactly.
pub(super) async fn of_corrections(
    connection: &mut PgConnection,
    patient: PatientId,
    window: (DateTime<Utc>, DateTime<Utc>),
    exactly: bool,
) -> Result<Vec<Json>, ApiError> {
    let corrections = corrections_of(connection, patient, window).await?;
    let mut times: Vec<DateTime<Utc>> = corrections
        .iter()
        .map(|correction| correction.measured_at)
        .collect();
    times.sort_unstable();
    times.dedup();
    let readings = readings_at(connection, patient, &times).await?;
    let marked_beside = |correction: &Correction| -> Vec<Metric> {
        let at = |device: DeviceId, time| device == correction.device && time == correction.measured_at;
        let beside = readings
            .iter()
            .filter(|one| one.entered_in_error && at(one.device, one.at));
        beside.map(|reading| reading.metric).collect()
    };
    let told = corrections.iter().map(|correction| {
        let observation = ObservationId {
            patient,
            device: correction.device,
            metric: first_of_panel(correction.metric, &marked_beside(correction)),
            at: correction.measured_at,
        };
        let mut provenance = fhir::provenance(&Origin {
            id: &format!("correction-{patient}-{}", correction.id),
            targets: &[format!("Observation/{observation}")],
            recorded_at: correction.at,
            activity: Activity::Nullified,
            reason: Some(&correction.reason),
            sources: &[Source::Person(&correction.author)],
        });
        if exactly {
            let kept = KeptCorrection {
                metric: correction.metric,
                measured_at: correction.measured_at,
                author: correction.author.clone(),
                reason: correction.reason.clone(),
                at: correction.at,
            };
            keep(&mut provenance, Kept::Correction, &kept);
        }
        provenance
    });
    Ok(told.collect())
}

/// Who made a care plan what it is, in the order of its rules and their versions.
async fn of_plan(connection: &mut PgConnection, patient: PatientId) -> Result<Vec<Json>, ApiError> {
    let targets = [format!("CarePlan/{patient}")];
    let mut found = Vec::new();
    for version in load_versions(connection, patient, None).await? {
        let PlanVersion {
            rule,
            author,
            reason,
            removal,
            ..
        } = &version;
        found.push(fhir::provenance(&Origin {
            id: &format!("rule-{patient}-{rule}"),
            targets: &targets,
            recorded_at: version.made_at,
            activity: match version.version {
                1 => Activity::Created,
                _ => Activity::Changed,
            },
            reason: Some(reason),
            sources: &[Source::Person(author)],
        }));
        if let (Some(removal), Some(until)) = (removal, version.valid_until) {
            found.push(fhir::provenance(&Origin {
                id: &format!("removal-{patient}-{rule}"),
                targets: &targets,
                recorded_at: until,
                activity: Activity::Ended,
                reason: Some(&removal.reason),
                sources: &[Source::Person(&removal.by)],
            }));
        }
    }
    Ok(found)
}
