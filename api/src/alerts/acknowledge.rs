//! `POST /api/v1/alerts/{alert}/acknowledge`: takes an episode up.
//!
//! A raised episode becomes acknowledged, and one that has cleared meanwhile is closed. Answers with the
//! episode. Doing it again changes nothing and answers the same, with who was first, so that a team may press
//! the button twice and a lost answer may be asked for again.

use axum::extract::State;
use axum::{Extension, Json};
use homeward_record::EpisodeId;
use homeward_store::alerts::{Acknowledgement, acknowledge};
use serde::Deserialize;

use super::Alert;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Path, Query};
use crate::routes::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {}

pub(crate) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    path: Path,
    Query(Parameters {}): Query<Parameters>,
) -> Result<Json<Alert>, ApiError> {
    let episode: EpisodeId = path.value("alert")?;
    match acknowledge(&app.pool, episode, &caller.name, app.clock.now()).await? {
        Acknowledgement::Done(episode) => Ok(Json(Alert::from(*episode))),
        Acknowledgement::Unknown => Err(ApiError::NotFound(format!("there is no alert {episode}"))),
        Acknowledgement::Busy => Err(ApiError::Busy("the alert is being written to; try again shortly")),
    }
}
