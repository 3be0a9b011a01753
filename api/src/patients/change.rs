//! `PUT /api/v1/patients/{patient}`: changes who a patient is: name, date of birth, the practice of registration.
//!
//! The body is `{"name": "Ada Example", "born": "1956-03-01", "practice": 102}`; without `practice` the patient is
//! registered with none. A practice where the patient is registered no longer sees the record from then on. `If-Match`
//! names the version that the caller has read: if it was changed since, the answer is 412.

use chrono::NaiveDate;
use homeward_record::PatientId;
use homeward_store::patients::{Details, change_details, find_person};
use serde::Deserialize;
use utoipa::ToSchema;

use super::register::require_born;
use super::require_kind;
use super::show::{Shown, show};
use crate::access::Exchange;
use crate::alerts::act::{NAME_LENGTH, NoParameters, text};
use crate::error::ApiError;
use crate::etag::{IfMatch, Tagged};
use crate::request::{Body, Path, Query};
use crate::series::unknown;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changed {
    name: String,
    born: NaiveDate,
    practice: Option<i64>,
}

pub(crate) async fn put(
    exchange: Exchange,
    path: Path,
    IfMatch(version): IfMatch,
    Query(NoParameters {}): Query<NoParameters>,
    Body(changed): Body<Changed>,
) -> Result<Tagged<Shown>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let name = text("name", &changed.name, NAME_LENGTH)?;
    require_born(changed.born, &exchange)?;
    let mut connection = exchange.connection().await;
    if find_person(&mut connection, patient).await?.is_none() {
        return Err(unknown(patient));
    }
    if let Some(practice) = changed.practice {
        require_kind(&mut connection, "practice", practice, "gp_practice").await?;
    }
    let details = Details {
        name: &name,
        born: changed.born,
        practice: changed.practice,
    };
    match change_details(&mut connection, patient, version, &details).await? {
        true => show(&exchange, &mut connection, patient).await,
        false => Err(ApiError::OtherVersion),
    }
}
