//! What the routes that do something about an alert have in common.

use axum::Json;
use homeward_record::EpisodeId;
use homeward_store::alerts::{Episode, patient_of};
use homeward_store::episodes::{Action, Outcome, Refusal, act};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Alert;
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, storable};

/// The longest name, and the longest reason or comment, in characters: enough for whoever has something to say,
/// and small enough to be shown in a list.
pub(crate) const NAME_LENGTH: usize = 100;
pub(crate) const TEXT_LENGTH: usize = 2_000;

/// None of these routes has parameters: a mistyped one does not go unnoticed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

/// The alert of the path, about which the caller may do something. Whoever sees the patient for a stated reason alone
/// changes nothing.
pub(crate) async fn require_alert(exchange: &Exchange, path: &Path) -> Result<EpisodeId, ApiError> {
    let episode: EpisodeId = path.value("alert")?;
    let patient = patient_of(&mut *exchange.connection().await, episode).await?;
    exchange.require(patient.ok_or_else(|| unknown(episode))?).await?;
    Ok(episode)
}

/// Does it to the alert of the path, in the caller's name, and answers with the alert.
pub(crate) async fn act_on(exchange: &Exchange, path: &Path, action: &Action) -> Result<Episode, ApiError> {
    let episode = require_alert(exchange, path).await?;
    let mut connection = exchange.connection().await;
    match act(&mut connection, episode, action, exchange.actor(), exchange.now()).await? {
        Outcome::Done(episode) => Ok(*episode),
        Outcome::Refused(refusal) => Err(refused(&refusal)),
        Outcome::Unknown => Err(unknown(episode)),
        Outcome::Busy => Err(ApiError::Busy("the alert is being written to; try again shortly")),
    }
}

/// The answer of a route for programs that did something about an alert.
pub(crate) fn told(episode: Episode) -> Json<Alert> {
    Json(Alert::from(episode))
}

/// What is said of an alert that there is not, or not for the caller.
pub(crate) fn unknown(alert: EpisodeId) -> ApiError {
    ApiError::NotFound(format!("there is no alert {alert}"))
}

fn refused(refusal: &Refusal) -> ApiError {
    let conflict = |why: &str| ApiError::Conflict(why.to_owned());
    match refusal {
        Refusal::NotCleared => {
            conflict("the condition of the alert lasts; it can be closed once that has cleared")
        }
        Refusal::Closed => conflict("the alert is closed"),
        Refusal::Over => conflict("the condition of the alert has cleared, so that nobody is paged for it"),
        Refusal::SnoozeInThePast => ApiError::parameter("until", "until must be in the future"),
        Refusal::SnoozeTooLong { limit } => {
            let limit = match (limit.num_days(), limit.num_hours(), limit.num_minutes()) {
                (days @ 2.., ..) => format!("{days} days"),
                (_, hours @ 1.., _) => format!("{hours} hours"),
                (.., minutes) => format!("{minutes} minutes"),
            };
            ApiError::parameter("until", format!("this alert can be snoozed for at most {limit}"))
        }
    }
}

/// A text of the body without the space around it. It must say something, and not too much.
pub(crate) fn text(field: &str, text: &str, most: usize) -> Result<String, ApiError> {
    let text = text.trim();
    storable(field, text)?;
    if text.is_empty() {
        return Err(ApiError::parameter(field, format!("{field} is empty")));
    }
    if text.chars().count() > most {
        let detail = format!("{field} is longer than {most} characters");
        return Err(ApiError::parameter(field, detail));
    }
    Ok(text.to_owned())
}
