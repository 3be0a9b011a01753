//! `GET` and `DELETE /fhir/R4/$export-status/{export}`.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{EXPIRES, HeaderName, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use homeward_record::PatientId;
use homeward_store::access::act_as;
use homeward_store::exports::{Export, count_observations, end, episodes_of, note_counted, patients_after};
use homeward_store::plans::load_versions;
use serde_json::json;
use sqlx::PgConnection;

use super::super::answer::root;
use super::super::device;
use super::super::parameters::Search;
use super::{Type, named};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

const PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// For how long a question counts on: a share of what an answer may take. Tests count one patient a question.
const COUNTS_FOR: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(3)
};

/// How many patients are looked up at once.
const PAGE: i64 = 100;

/// `GET /fhir/R4/$export-status/{export}`.
pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    search: Search,
) -> Result<Response, ApiError> {
    search.take(&[])?;
    let mut export = named(&exchange, &path).await?;
    if export.completed_at.is_none() {
        let all = count_on(&exchange, &mut export).await?;
        let completed_at = all.then(|| exchange.now());
        note_counted(&mut *exchange.connection().await, &export, completed_at).await?;
        if completed_at.is_none() {
            let progress = format!("{} of {} patients", export.done, export.patients);
            let headers = [(PROGRESS, progress), (RETRY_AFTER, "1".to_owned())];
            return Ok((StatusCode::ACCEPTED, headers).into_response());
        }
    }
    let base = root(&app);
    let files = export
        .types
        .iter()
        .zip(&export.counts)
        .filter(|(_, count)| **count > 0);
    let output: Vec<_> = files
        .map(|(kind, count)| {
            let url = format!("{base}/$export-file/{}/{kind}", export.id);
            json!({"type": kind, "url": url, "count": count})
        })
        .collect();
    let manifest = json!({
        "transactionTime": export.begun_at,
        "request": export.request,
        "requiresAccessToken": true,
        "output": output,
        "error": [],
    });
    let expires = export.expires_at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(([(EXPIRES, expires)], Json(manifest)).into_response())
}

/// `DELETE /fhir/R4/$export-status/{export}`.
pub(crate) async fn delete(exchange: Exchange, path: Path, search: Search) -> Result<StatusCode, ApiError> {
    search.take(&[])?;
    let export = named(&exchange, &path).await?;
    end(&mut *exchange.connection().await, &export.id, exchange.now()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Counts for a while, and answers whether that was all.
async fn count_on(exchange: &Exchange, export: &mut Export) -> Result<bool, ApiError> {
    let begun = Instant::now();
    let role = exchange.principal().acts_as.id;
    let mut connection = exchange.connection().await;
    loop {
        act_as(&mut connection, role, None, exchange.now()).await?;
        let patients = patients_after(&mut connection, &export.id, export.counted, PAGE).await?;
        if patients.is_empty() {
            return Ok(true);
        }
        for patient in patients {
            // What is asked of one patient is quicker than of all.
            act_as(&mut connection, role, Some(patient), exchange.now()).await?;
            count(&mut connection, patient, export).await?;
            export.counted = patient.0;
            export.done += 1;
            if begun.elapsed() >= COUNTS_FOR {
                return Ok(false);
            }
        }
    }
}

/// Counts the resources of a patient.
async fn count(
    connection: &mut PgConnection,
    patient: PatientId,
    export: &mut Export,
) -> Result<(), ApiError> {
    let window = (export.since, export.begun_at);
    for (kind, count) in export.types.iter().zip(&mut export.counts) {
        *count += match Type::named(kind) {
            None => 0,
            Some(Type::Patient) => 1,
            Some(Type::Observation) => count_observations(connection, patient, window).await?,
            Some(Type::Device) => {
                let devices = device::current(connection, patient, export.begun_at).await?;
                number(devices.len())
            }
            Some(Type::Flag | Type::DetectedIssue) => {
                number(episodes_of(connection, patient, window).await?.len())
            }
            Some(Type::CarePlan) => {
                let versions = load_versions(connection, patient, None).await?;
                i64::from(!versions.is_empty())
            }
        };
    }
    Ok(())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
