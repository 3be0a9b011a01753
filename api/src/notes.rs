//! `GET /api/v1/patients/{patient}/notes?limit&after`: what was written down about a patient, the latest first.
//! `POST /api/v1/patients/{patient}/notes`: writes something down.
//!
//! The body is `{"text": "Called: feels well", "replaces": 17}`; `replaces` may be left out. No note is ever changed
//! or removed: one that was wrong is replaced by another, and both stay. A note that was replaced already is not
//! replaced again (409). The patient reads notes too. Answers 201 with the note.

use axum::Json;
use homeward_record::PatientId;
use homeward_store::notes::{NewNote, Note, NoteError, notes_of, write_note};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Exchange;
use crate::alerts::act::{NoParameters, TEXT_LENGTH, text};
use crate::error::ApiError;
use crate::openapi::Created;
use crate::request::{Body, Limit, Path, Query, parsed};
use crate::series::require_patient;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    limit: Option<Limit<50, 500>>,
    /// The `next` of the page before.
    #[serde(default, deserialize_with = "parsed")]
    after: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    notes: Vec<Note>,
    /// What `after` has to be for the next page.
    next: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    text: String,
    replaces: Option<i64>,
}

pub(crate) async fn get(
    exchange: Exchange,
    path: Path,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let limit = parameters.limit.unwrap_or_default();
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, patient).await?;
    let mut notes = notes_of(&mut connection, patient, parameters.after, limit.and_one()).await?;
    let next = limit.cut(&mut notes).map(|last| last.id);
    Ok(Json(Page { notes, next }))
}

pub(crate) async fn post(
    exchange: Exchange,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
    Body(written): Body<Written>,
) -> Result<Created<Json<Note>>, ApiError> {
    let patient: PatientId = path.value("patient")?;
    let text = text("text", &written.text, TEXT_LENGTH)?;
    let new = NewNote {
        patient,
        text: &text,
        replaces: written.replaces,
    };
    Ok(Created {
        location: None,
        body: Json(write(&exchange, &new).await?),
    })
}

/// Writes a note in the caller's name.
pub(crate) async fn write(exchange: &Exchange, new: &NewNote<'_>) -> Result<Note, ApiError> {
    let mut connection = exchange.connection().await;
    require_patient(&mut connection, new.patient).await?;
    let by = (exchange.actor(), &exchange.principal().acts_as);
    write_note(&mut connection, new, by, exchange.now())
        .await
        .map_err(|error| match error {
            NoteError::Unknown(_) => {
                ApiError::parameter("replaces", "there is no such note about this patient")
            }
            replaced @ NoteError::Replaced(..) => ApiError::Conflict(replaced.to_string()),
            NoteError::Store(error) => error.into(),
        })
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use homeward_store::access::Role;
    use serde_json::{Value, json};

    use crate::testing::{TOKEN_NAME, TestApp, now};

    const PATH: &str = "/api/v1/patients/1001/notes";

    #[tokio::test]
    async fn a_note_is_replaced_and_stays() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let first = app.post_json(PATH, &json!({"text": " Feels well "})).await;
        assert_eq!(first.status, 201, "{}", first.body);
        let first: Value = serde_json::from_str(&first.body).unwrap();
        assert_eq!(
            first,
            json!({
                "id": 1, "patient": patient, "text": "Feels well", "written_at": now(), "author": TOKEN_NAME,
                "role": "care_team_lead", "organisation": "Community care team", "replaces": null, "replaced_by": null,
            })
        );
        let second = app
            .post_json(PATH, &json!({"text": "Feels unwell", "replaces": 1}))
            .await;
        assert_eq!(second.status, 201);
        // Once: two people who correct one note would not see each other's correction.
        let third = app
            .post_json(PATH, &json!({"text": "Feels fine", "replaces": 1}))
            .await;
        assert_eq!(third.status, 409);
        assert!(third.body.contains("by note 2"), "{}", third.body);

        let own = app.token_of(Role::Patient, None, Some(patient)).await;
        let listed = app.send_as(&own, &Method::GET, PATH, None).await.json();
        let told: Vec<(&Value, &Value, &Value)> = listed["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| (&note["text"], &note["replaces"], &note["replaced_by"]))
            .collect();
        assert_eq!(
            told,
            [
                (&json!("Feels unwell"), &json!(1), &Value::Null),
                (&json!("Feels well"), &Value::Null, &json!(2)),
            ]
        );
        let page = app.get(&format!("{PATH}?limit=1")).await.json();
        assert_eq!(
            (page["notes"].as_array().unwrap().len(), &page["next"]),
            (1, &json!(2))
        );
        let page = app.get(&format!("{PATH}?limit=1&after=2")).await.json();
        assert_eq!(
            (&page["notes"][0]["text"], &page["next"]),
            (&json!("Feels well"), &Value::Null)
        );
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let app = TestApp::start().await;
        app.add_patient().await;
        app.add_patient().await;
        let of_other = app
            .post_json("/api/v1/patients/1002/notes", &json!({"text": "x"}))
            .await;
        assert_eq!(of_other.status, 201);
        for body in [
            json!({"text": "  "}),
            json!({"text": "x".repeat(2_001)}),
            json!({"text": "of another patient", "replaces": 1}),
            json!({"text": "of nobody", "replaces": 7}),
            json!({"text": "x", "author": "somebody else"}),
            json!({}),
        ] {
            assert_eq!(app.post_json(PATH, &body).await.status, 400, "{body}");
        }
        let unknown = app
            .post_json("/api/v1/patients/7777/notes", &json!({"text": "x"}))
            .await;
        assert_eq!(unknown.status, 404);
    }
}
