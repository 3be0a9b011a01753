//! `GET /api/v1/alerts`: episodes, the latest raised first.
//!
//! Parameters: `status` and `severity` (several with commas between them; all), `patient`, `late` (`true` or
//! `false`; both), `limit` (1 to 500; 50), `after` (the `next` of the page before, which is `null` on the
//! last).

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use homeward_record::{EpisodeId, PatientId};
use homeward_store::alerts::{EpisodeFilter, EpisodeStatus, list_episodes};
use serde::{Deserialize, Serialize};

use super::{Alert, SEVERITIES};
use crate::error::ApiError;
use crate::request::{Limit, Query, choose_some, parsed};
use crate::routes::App;
use crate::series::require_patient;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    status: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    severity: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    patient: Option<PatientId>,
    #[serde(default, deserialize_with = "parsed")]
    late: Option<bool>,
    #[serde(default, deserialize_with = "parsed")]
    limit: Option<Limit<50, 500>>,
    #[serde(default, deserialize_with = "parsed")]
    after: Option<Cursor>,
}

#[derive(Serialize)]
pub(crate) struct Page {
    alerts: Vec<Alert>,
    /// What `after` has to be for the next page.
    next: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let statuses = EpisodeStatus::ALL.map(|status| (status.as_str(), status));
    let severities = choose_some("severity", parameters.severity.as_deref(), &SEVERITIES)?;
    let filter = EpisodeFilter {
        statuses: choose_some("status", parameters.status.as_deref(), &statuses)?,
        severities: severities.iter().map(ToString::to_string).collect(),
        patient: parameters.patient,
        late: parameters.late,
        before: parameters.after.map(|Cursor(episode)| episode),
    };
    let Limit(limit) = parameters.limit.unwrap_or_default();

    let mut connection = app.record().await?;
    if let Some(patient) = filter.patient {
        require_patient(&mut connection, patient).await?;
    }
    let mut episodes = list_episodes(&mut connection, &filter, limit + 1).await?;
    let more = episodes.len() > limit as usize;
    episodes.truncate(limit as usize);
    let next = episodes.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(Page {
        alerts: episodes.into_iter().map(Alert::from).collect(),
        next,
    }))
}

/// The last episode of a page, as callers hand it back: opaque to them.
struct Cursor(EpisodeId);

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let episode = text.parse().map_err(|_| "expected the next of an earlier page")?;
        Ok(Cursor(episode))
    }
}
