//! `GET /api/v1/alerts/{alert}`: an alert, and everything that happened to it, in order.

use axum::Json;
use homeward_record::EpisodeId;
use homeward_store::alerts::{Episode, Transition, find_episode, transitions_of};
use serde::Serialize;
use utoipa::ToSchema;

use super::act::{NoParameters, unknown};
use super::{Alert, Happening};
use crate::access::Exchange;
use crate::error::ApiError;
use crate::request::{Path, Query};

#[derive(Serialize, ToSchema)]
pub(crate) struct AlertInFull {
    #[serde(flatten)]
    alert: Alert,
    transitions: Vec<Happening>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<AlertInFull>, ApiError> {
    let (episode, transitions) = find(&exchange, &path).await?;
    Ok(Json(AlertInFull {
        alert: Alert::from(episode),
        transitions: transitions.into_iter().map(Happening::from).collect(),
    }))
}

/// The alert of the path, and everything that happened to it. Whose it is, is noted.
pub(crate) async fn find(exchange: &Exchange, path: &Path) -> Result<(Episode, Vec<Transition>), ApiError> {
    let episode: EpisodeId = path.value("alert")?;
    let mut connection = exchange.connection().await;
    let found = find_episode(&mut connection, episode).await?;
    let found = found.ok_or_else(|| unknown(episode))?;
    exchange.note_patients([found.patient]);
    let transitions = transitions_of(&mut connection, episode).await?;
    Ok((found, transitions))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{TestApp, now};

    #[tokio::test]
    async fn an_alert_comes_with_what_happened_to_it_alone() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        app.clear(patient).await;
        app.raise(patient, rule, "high", false).await;
        app.post("/api/v1/alerts/2/acknowledge").await.json();
        app.post_json("/api/v1/alerts/2/comment", &json!({"text": "Called"}))
            .await
            .json();

        let mut listed = app.get("/api/v1/alerts?limit=1").await.json()["alerts"][0].take();
        let happening = |id: i64, kind: &str, actor: Option<&str>, detail| json!({"id": id, "kind": kind, "at": now(), "actor": actor, "actor_account": null, "detail": detail});
        listed["transitions"] = json!([
            happening(3, "raised", None, json!(null)),
            happening(4, "acknowledged", Some("ward 3"), json!(null)),
            happening(5, "commented", Some("ward 3"), json!({"text": "Called"})),
        ]);
        assert_eq!(app.get("/api/v1/alerts/2").await.json(), listed);

        assert_eq!(app.get("/api/v1/alerts/17").await.status, 404);
        assert_eq!(app.get("/api/v1/alerts/first").await.status, 400);
        assert_eq!(app.get("/api/v1/alerts/2?full=true").await.status, 400);
    }
}
