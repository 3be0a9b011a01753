//! `POST /api/v1/patients/{patient}/passport-shares`: a patient shares the summary of the record with somebody who has no
//! account, such as an ambulance crew or another hospital. `GET` of the same: what is shared, and was.
//!
//! The body is `{}` or says for how many `hours` (1 to 168; 24), and for whom, `made_for`, which is a note of the patient's
//! own and lets in nobody. The answer, 201, has what is told once and kept only as hashes:
//! the `link`, its `qr_svg` (the image that a telephone reads it from) and the `code` of eight digits that has to be typed
//! too; so neither somebody who reads over a shoulder nor somebody who finds the letter gets in with one of them. Five wrong
//! codes end the share. It can be revoked at any time, [`revoke`]; each use and each wrong code is in the access log, and in
//! the list, as `tries` of each share.
//!
//! For the patient alone: a proxy sees the list, which has no secrets, and shares nothing. What the link leads to is
//! [`crate::share`].

pub(crate) mod revoke;
#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use homeward_record::PatientId;
use homeward_store::shares::{NewShare, Opening, SharedSummary, add_share, openings_of, shares_of};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::access::{Exchange, ShownOnce};
use crate::alerts::act::{NAME_LENGTH, NoParameters, text};
use crate::error::ApiError;
use crate::openapi::Created;
use crate::qr;
use crate::request::{Body, Path, Query};
use crate::routes::App;
use crate::series::require_patient;
use crate::share::shown;
use crate::sign_in::random_text;

/// How long a share lasts that says nothing else: an admission.
pub(crate) const USUAL_HOURS: u16 = 24;

/// How long it may last: a week, so that none is forgotten for long.
const MOST_HOURS: u16 = 7 * 24;

/// After so many wrong codes a share is dead: of a hundred million codes somebody who found the link has tried five.
pub(crate) const MOST_WRONG_CODES: i32 = 5;

/// How many shares of one patient may be open at once.
const MOST_OPEN: usize = 20;

/// How many are listed, the latest first.
const MOST_LISTED: i64 = 100;

/// How many tries are told, the latest first.
const MOST_TRIES: i64 = 500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) hours: Option<u16>,
    pub(crate) made_for: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Made {
    id: i64,
    pub(crate) link: String,
    pub(crate) code: String,
    pub(crate) qr_svg: String,
    pub(crate) expires_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    patient: PatientId,
    shares: Vec<Tried>,
}

/// A share, and who has tried it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tried {
    #[serde(flatten)]
    pub(crate) share: SharedSummary,
    /// The latest first.
    pub(crate) tries: Vec<Opening>,
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Created<ShownOnce<Json<Made>>>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let made = make(&app, &exchange, patient, &asked).await?;
    Ok(Created {
        location: None,
        body: ShownOnce(Json(made)),
    })
}

/// Shares a patient's summary, in the caller's name.
pub(crate) async fn make(
    app: &App,
    exchange: &Exchange,
    patient: PatientId,
    asked: &Asked,
) -> Result<Made, ApiError> {
    let hours = asked.hours.unwrap_or(USUAL_HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        let detail = format!("a summary is shared for 1 to {MOST_HOURS} hours");
        return Err(ApiError::parameter("hours", detail));
    }
    let made_for = asked.made_for.as_deref();
    let made_for = made_for.map(|made_for| text("made_for", made_for, NAME_LENGTH));
    let made_for = made_for.transpose()?;
    let now = exchange.now();
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let shares = shares_of(&mut connection, patient, None, now, MOST_LISTED).await?;
    if shares.iter().filter(|share| share.open).count() >= MOST_OPEN {
        let detail = format!("{MOST_OPEN} summaries are shared already: revoke one first");
        return Err(ApiError::Conflict(detail));
    }
    let (secret, code) = (random_text(), new_code());
    let expires_at = now + TimeDelta::hours(hours.into());
    let new = NewShare {
        patient,
        opened_by: shown(&secret, &code),
        made_for: made_for.as_deref(),
        by: exchange.actor(),
        expires_at,
        most_wrong_codes: MOST_WRONG_CODES,
    };
    let id = add_share(&mut connection, &new, now).await?;
    let link = format!("{}/share/{secret}", app.base_url);
    Ok(Made {
        id,
        qr_svg: qr::image(&link)?,
        link,
        code: format!("{} {}", &code[..4], &code[4..]),
        expires_at,
    })
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<Listed>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let shares = list(&mut connection, patient, exchange.now()).await?;
    Ok(Json(Listed { patient, shares }))
}

/// A patient's shares with who has tried them, the latest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Tried>, ApiError> {
    let shares = shares_of(connection, patient, None, now, MOST_LISTED).await?;
    let tries = openings_of(connection, patient, MOST_TRIES).await?;
    let tried = |share: SharedSummary| Tried {
        tries: tries
            .iter()
            .filter(|one| one.share == share.id)
            .cloned()
            .collect(),
        share,
    };
    Ok(shares.into_iter().map(tried).collect())
}

/// Eight digits, each as likely as any other.
fn new_code() -> String {
    format!("{:08}", rand::random_range(0..100_000_000_u32))
}
