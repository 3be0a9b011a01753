//! `POST /api/v1/patients/{patient}/passport-shares`: a patient shares the summary of the record with somebody who has no
//! account, such as an ambulance crew or another hospital. `GET` of the same: what is shared, and was.
//!
//! The body is `{}` or says for how many `hours` (1 to 168; 24). The answer, 201, has what is told once and kept only as hashes:
//! the `link`, its `qr_svg` (the image that a telephone reads it from) and the `code` of eight digits that has to be typed
//! too; so neither somebody who reads over a shoulder nor somebody who finds the letter gets in with one of them. Five wrong
//! codes end the share. It can be revoked at any time, [`revoke`]; each use and each wrong code is in the access log.
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
use homeward_store::shares::{NewShare, SharedSummary, add_share, shares_of};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Exchange, ShownOnce};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::openapi::Created;
use crate::request::{Body, Path, Query};
use crate::routes::App;
use crate::series::require_patient;
use crate::share::shown;
use crate::sign_in::random_text;

/// How long a share lasts that says nothing else: an admission.
const USUAL_HOURS: u16 = 24;

/// How long it may last: a week, so that none is forgotten for long.
const MOST_HOURS: u16 = 7 * 24;

/// After so many wrong codes a share is dead: of a hundred million codes somebody who found the link has tried five.
pub(crate) const MOST_WRONG_CODES: i32 = 5;

/// How many shares of one patient may be open at once.
const MOST_OPEN: usize = 20;

/// How many are listed, the latest first.
const MOST_LISTED: i64 = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    hours: Option<u16>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Made {
    id: i64,
    link: String,
    code: String,
    qr_svg: String,
    expires_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    patient: PatientId,
    shares: Vec<SharedSummary>,
}

pub(crate) async fn post(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(asked): Body<Asked>,
) -> Result<Created<ShownOnce<Json<Made>>>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let hours = asked.hours.unwrap_or(USUAL_HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        let detail = format!("a summary is shared for 1 to {MOST_HOURS} hours");
        return Err(ApiError::parameter("hours", detail));
    }
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
        by: exchange.actor(),
        expires_at,
        most_wrong_codes: MOST_WRONG_CODES,
    };
    let id = add_share(&mut connection, &new, now).await?;
    let link = format!("{}/share/{secret}", app.base_url);
    let made = Made {
        id,
        qr_svg: qr_image(&link)?,
        link,
        code: format!("{} {}", &code[..4], &code[4..]),
        expires_at,
    };
    Ok(Created {
        location: None,
        body: ShownOnce(Json(made)),
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
    let shares = shares_of(&mut connection, patient, None, exchange.now(), MOST_LISTED).await?;
    Ok(Json(Listed { patient, shares }))
}

/// Eight digits, each as likely as any other.
fn new_code() -> String {
    format!("{:08}", rand::random_range(0..100_000_000_u32))
}

fn qr_image(link: &str) -> Result<String, ApiError> {
    // Only an address of some two thousand letters has no image.
    let code = QrCode::new(link)
        .map_err(|_| ApiError::Conflict("the address of this service is too long".to_owned()))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}
