//! `GET /fhir/R4/$export-file/{export}/{type}`: the resources of one type, a line of JSON each.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures_util::stream;
use homeward_record::PatientId;
use homeward_store::access::{act_as, basis_for};
use homeward_store::exports::{Export, episodes_of, patients_after};
use serde_json::Value as Json;
use sqlx::PgConnection;

use super::super::answer::no_such;
use super::super::observation::{self, Place};
use super::super::parameters::Search;
use super::super::{care_plan, device, episodes, patient};
use super::{NDJSON, Type, named};
use crate::access::{Exchange, Principal, may};
use crate::error::ApiError;
use crate::request::Path;
use crate::routes::App;

/// How many patients are looked up at once, and how many Observations or episodes of one are made at once: each takes
/// some kilobytes.
const PATIENTS: i64 = 100;
const RESOURCES: usize = 500;

/// `GET /fhir/R4/$export-file/{export}/{type}`.
pub(crate) async fn get(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    search: Search,
) -> Result<Response, ApiError> {
    search.take(&[])?;
    let export = named(&exchange, &path).await?;
    let kind = Type::named(path.text("type"));
    let kind = kind.filter(|kind| export.types.iter().any(|name| name == kind.name()));
    let kind = kind
        .filter(|_| export.completed_at.is_some())
        .ok_or_else(|| no_such("file"))?;
    if !exchange.includes(kind.action()) {
        return Err(ApiError::Forbidden(
            "the token is not for this: its scopes do not include it",
        ));
    }
    let mut after = 0;
    loop {
        let mut connection = exchange.connection().await;
        let patients = patients_after(&mut connection, &export.id, after, 100 * PATIENTS).await?;
        let Some(last) = patients.last() else { break };
        after = last.0;
        exchange.note_patients(patients);
    }
    let file = File {
        app,
        principal: exchange.principal().clone(),
        export,
        kind,
        patients: VecDeque::new(),
        after: 0,
        place: None,
    };
    let lines = stream::try_unfold(file, |mut file| async move {
        let part = file.next().await;
        // A stream that breaks off is known to be no whole file.
        let part = part.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(part.map(|part| (Bytes::from(part), file)))
    });
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response())
}

/// A file that is being fetched.
struct File {
    app: App,
    principal: Principal,
    export: Export,
    kind: Type,
    /// Whose resources come next; the first may be under way.
    patients: VecDeque<PatientId>,
    /// The last patient who was looked up.
    after: i64,
    /// How far the first patient's readings are.
    place: Option<Place>,
}

impl File {
    /// The next lines; none at the end.
    async fn next(&mut self) -> Result<Option<String>, ApiError> {
        loop {
            let now = self.app.clock.now();
            let role = self.principal.acts_as.id;
            let mut transaction = self.app.begin().await?;
            if self.patients.is_empty() {
                if !self.principal.is_good(&mut transaction, now).await? {
                    return Err(ApiError::BadToken);
                }
                act_as(&mut transaction, role, None, now).await?;
                let patients =
                    patients_after(&mut transaction, &self.export.id, self.after, PATIENTS).await?;
                let Some(last) = patients.last() else {
                    return Ok(None);
                };
                self.after = last.0;
                self.patients.extend(&patients);
            }
            let Some(&patient) = self.patients.front() else {
                continue;
            };
            let basis = basis_for(&mut transaction, role, patient, now).await?;
            let mut resources = Vec::new();
            if may(&self.principal, self.kind.action(), Some(basis)).is_ok() {
                act_as(&mut transaction, role, Some(patient), now).await?;
                resources = self.load(&mut transaction, patient, now).await?;
            }
            if self.place.is_none() {
                self.patients.pop_front();
            }
            if !resources.is_empty() {
                let mut lines = String::new();
                for resource in resources {
                    lines += &resource.to_string();
                    lines.push('\n');
                }
                return Ok(Some(lines));
            }
        }
    }

    /// Resources of a patient, as of when the export began.
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Json>, ApiError> {
        let window = (self.export.since, self.export.begun_at);
        Ok(match self.kind {
            Type::Patient => vec![patient::load(connection, patient).await?],
            Type::Device => {
                let devices = device::current(connection, patient, self.export.begun_at).await?;
                devices.iter().map(device::resource).collect()
            }
            Type::CarePlan => care_plan::of(connection, patient, now)
                .await?
                .into_iter()
                .collect(),
            Type::Flag => {
                let ids = episodes_of(connection, patient, window).await?;
                episodes::flags_of(connection, patient, &ids).await?
            }
            Type::DetectedIssue => {
                let ids = episodes_of(connection, patient, window).await?;
                episodes::issues_with(connection, patient, &ids).await?
            }
            Type::Observation => {
                let page =
                    observation::page_of_export(connection, patient, window, self.place, RESOURCES).await?;
                self.place = page.next;
                page.observations
                    .into_iter()
                    .map(|(_, resource)| resource)
                    .collect()
            }
        })
    }
}
