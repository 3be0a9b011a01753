//! What a caller is told when a request fails.

use std::error::Error as StdError;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use homeward_store::Fault;
use homeward_store::admin::AdminError;
use serde::Serialize;
use utoipa::ToSchema;

/// When to try again while the database is away, in seconds: about what its restart takes.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// A request that failed, split by what its caller can do. In the response it is a problem document
/// (RFC 9457), which tells the caller's mistake and nothing of the server's insides.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// A parameter of the path, query or body is unknown, missing or malformed.
    #[error("{detail}")]
    Parameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it, and what is expected.
        detail: String,
    },
    /// The body is not what the path expects.
    #[error("{0}")]
    Body(String),
    /// The body says something that cannot be done.
    #[error("{0}")]
    Unprocessable(String),
    /// The body is longer than any that makes sense.
    #[error("the body is too long")]
    TooLong,
    /// It would take more than a request may.
    #[error("{0}")]
    TooMuch(String),
    /// It is not possible as things stand.
    #[error("{0}")]
    Conflict(String),
    /// What is to be changed is in another version than the one that the request names.
    #[error("it was changed meanwhile; read it again, and send its ETag as If-Match")]
    OtherVersion,
    /// A change has to say which version it is meant for.
    #[error("say which version you have read: send its ETag as If-Match")]
    VersionNeeded,
    /// An idempotency key names one request.
    #[error("this Idempotency-Key was used for another request; take a new key for each")]
    KeyOfAnother,
    /// The request shows neither a token nor a session.
    #[error("sign in, or send a token: Authorization: Bearer <token>")]
    NoToken,
    /// The session is unknown or over.
    #[error("the session is over; sign in again")]
    NoSession,
    /// Whoever wants to sign in is not let in. That nothing more is said is the point.
    #[error("the name or the password is wrong, or it was wrong too often; after that, wait 15 minutes")]
    NotLetIn,
    /// An identity provider's word lets nobody in.
    #[error("{0}")]
    NotKnown(String),
    /// The password is right, and a code is missing.
    #[error("send the code that your second factor shows, too: code")]
    CodeNeeded,
    /// The link of a share is right, and its code is not.
    #[error("the code is not right{}", and_then(*.left))]
    WrongCode {
        /// How many wrong codes are left.
        left: i32,
    },
    /// It was tried too often.
    #[error("that was too often; try again in {seconds} seconds")]
    TooOften {
        /// When to try again.
        seconds: i64,
    },
    /// Too many requests came from there that show nothing good.
    #[error("too many requests come from your network; try again in {seconds} seconds")]
    CrowdedNetwork {
        /// When to try again.
        seconds: i64,
    },
    /// The token is unknown or revoked.
    #[error("the token is unknown or was revoked")]
    BadToken,
    /// The caller may not do this, to anybody or to this patient.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Nothing is there.
    #[error("{0}")]
    NotFound(String),
    /// The path is there, but not for this method.
    #[error("this path does not answer this method; the Allow header says which it does")]
    Method,
    /// No answer can be given in the form that was asked for.
    #[error("{0}")]
    Form(String),
    /// It took too long.
    #[error("the answer took too long; try again, or ask for less")]
    TimedOut,
    /// Something else is at work on the same thing.
    #[error("{0}")]
    Busy(&'static str),
    /// The record failed.
    #[error("could not use the patient record")]
    Store(#[from] homeward_store::Error),
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> ApiError {
        match error {
            AdminError::Store(error) => ApiError::Store(error),
            unknown @ AdminError::Unknown { .. } => ApiError::NotFound(unknown.to_string()),
            other => ApiError::Conflict(other.to_string()),
        }
    }
}

impl ApiError {
    /// A parameter that is wrong.
    pub(crate) fn parameter(parameter: impl Into<String>, detail: impl Into<String>) -> ApiError {
        ApiError::Parameter {
            parameter: parameter.into(),
            detail: detail.into(),
        }
    }

    /// The problem's name, by which programs tell problems apart, its status and its title.
    fn kind(&self) -> (&'static str, StatusCode, &'static str) {
        match self {
            ApiError::Parameter { .. } => (
                "invalid-parameter",
                StatusCode::BAD_REQUEST,
                "A parameter is not valid",
            ),
            ApiError::Body(_) => ("invalid-body", StatusCode::BAD_REQUEST, "The body is not valid"),
            ApiError::Unprocessable(_) => (
                "unprocessable",
                StatusCode::UNPROCESSABLE_ENTITY,
                "Not possible as it is said",
            ),
            ApiError::TooLong => ("too-long", StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
            ApiError::TooMuch(_) => (
                "too-much",
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too much for a request",
            ),
            ApiError::Conflict(_) => ("conflict", StatusCode::CONFLICT, "Not possible at present"),
            ApiError::OtherVersion => (
                "other-version",
                StatusCode::PRECONDITION_FAILED,
                "Changed meanwhile",
            ),
            ApiError::VersionNeeded => (
                "version-needed",
                StatusCode::PRECONDITION_REQUIRED,
                "A version is needed",
            ),
            ApiError::KeyOfAnother => (
                "key-of-another",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The key is that of another request",
            ),
            ApiError::NoToken | ApiError::BadToken => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "A valid token is needed",
            ),
            ApiError::NoSession => ("unauthorized", StatusCode::UNAUTHORIZED, "Signing in is needed"),
            ApiError::NotLetIn => ("not-let-in", StatusCode::UNAUTHORIZED, "Not signed in"),
            ApiError::NotKnown(_) => ("not-known", StatusCode::UNAUTHORIZED, "Not signed in"),
            ApiError::CodeNeeded => ("code-needed", StatusCode::UNAUTHORIZED, "A code is needed"),
            ApiError::WrongCode { .. } => ("wrong-code", StatusCode::FORBIDDEN, "The code is not right"),
            ApiError::TooOften { .. } | ApiError::CrowdedNetwork { .. } => {
                ("too-often", StatusCode::TOO_MANY_REQUESTS, "Too often")
            }
            ApiError::Forbidden(_) => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            ApiError::NotFound(_) => ("not-found", StatusCode::NOT_FOUND, "Not found"),
            ApiError::Method => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
            ),
            ApiError::Form(_) => ("not-acceptable", StatusCode::NOT_ACCEPTABLE, "Not in this form"),
            ApiError::TimedOut => ("timed-out", StatusCode::SERVICE_UNAVAILABLE, "Took too long"),
            ApiError::Busy(_) => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Busy at present"),
            ApiError::Store(error) => match error.fault() {
                Fault::Away | Fault::Conflict => (
                    "record-unavailable",
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The patient record cannot be reached",
                ),
                Fault::Content => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
            },
        }
    }

    /// What the caller reads.
    fn detail(&self) -> String {
        match self {
            ApiError::Store(error) => match error.fault() {
                Fault::Away | Fault::Conflict => "the patient record cannot be reached; try again shortly",
                Fault::Content => "something went wrong here; it was noted",
            }
            .to_owned(),
            other => other.to_string(),
        }
    }

    fn header(&self, status: StatusCode) -> Option<(HeaderName, HeaderValue)> {
        match self {
            ApiError::TooOften { seconds } | ApiError::CrowdedNetwork { seconds } => {
                Some((RETRY_AFTER, HeaderValue::from(*seconds)))
            }
            ApiError::NoToken
            | ApiError::NoSession
            | ApiError::NotLetIn
            | ApiError::NotKnown(_)
            | ApiError::CodeNeeded => Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Bearer realm="homeward""#),
            )),
            ApiError::BadToken => Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Bearer realm="homeward", error="invalid_token""#),
            )),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => None,
        }
    }
}

/// What the caller reads. It goes with the response as an extension too, for whoever says it in another form.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    r#type: String,
    pub(crate) title: &'static str,
    status: u16,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    #[serde(skip)]
    pub(crate) kind: &'static str,
}

/// What comes of a wrong code, after so many more.
fn and_then(left: i32) -> String {
    match left {
        2.. => format!("; {left} more wrong ones end the share"),
        1 => "; one more wrong one ends the share".to_owned(),
        _ => ", and the share is over".to_owned(),
    }
}

impl Problem {
    /// What is wrong, with where.
    pub(crate) fn told(&self) -> String {
        match &self.parameter {
            Some(parameter) => format!("{parameter}: {}", self.detail),
            None => self.detail.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    /// Logs the cause, where there is one: this is the one place that every failure passes.
    fn into_response(self) -> Response {
        if let ApiError::Store(error) = &self {
            tracing::error!(error = error as &dyn StdError, "a request failed");
        }
        let (kind, status, title) = self.kind();
        let problem = Problem {
            r#type: format!("urn:homeward:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            parameter: match &self {
                ApiError::Parameter { parameter, .. } => Some(parameter.clone()),
                _ => None,
            },
            kind,
        };
        let body = serde_json::to_vec(&problem).expect("a problem is plain text and numbers");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (status, headers, body).into_response();
        if let Some((name, value)) = self.header(status) {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Request;
    use insta::assert_snapshot;
    use sqlx::postgres::PgPoolOptions;

    use crate::testing::TestApp;

    #[tokio::test]
    async fn a_path_that_leads_nowhere_and_a_method_that_does_not_fit() {
        let app = TestApp::start().await;
        assert_snapshot!(app.send(Request::get("/api/v2/alerts")).await.show(), @r#"
        404 Not Found
        content-type: application/problem+json

        {
          "detail": "there is nothing at this path",
          "status": 404,
          "title": "Not found",
          "type": "urn:homeward:problem:not-found"
        }
        "#);
        assert_snapshot!(app.post("/api/v1/alerts").await.show(), @r#"
        405 Method Not Allowed
        content-type: application/problem+json
        allow: GET,HEAD

        {
          "detail": "this path does not answer this method; the Allow header says which it does",
          "status": 405,
          "title": "Method not allowed",
          "type": "urn:homeward:problem:method-not-allowed"
        }
        "#);
    }

    #[tokio::test]
    async fn without_the_database_callers_are_asked_to_come_again() {
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(100))
            .connect_lazy("postgres://127.0.0.1:1/nowhere")
            .unwrap();
        let app = TestApp::start_with(|state| state.requests = pool).await;
        assert_snapshot!(app.get("/api/v1/alerts").await.show(), @r#"
        503 Service Unavailable
        content-type: application/problem+json
        retry-after: 5
        cache-control: no-store

        {
          "detail": "the patient record cannot be reached; try again shortly",
          "status": 503,
          "title": "The patient record cannot be reached",
          "type": "urn:homeward:problem:record-unavailable"
        }
        "#);
    }

    #[tokio::test]
    async fn the_record_s_own_faults_stay_inside() {
        let app = TestApp::start().await;
        let patient = app.add_patient().await;
        let rule = app.add_rule(patient).await;
        app.raise(patient, rule, "high", false).await;
        sqlx::query("UPDATE episode SET onset_metric = 999")
            .execute(app.pool())
            .await
            .unwrap();
        assert_snapshot!(app.get("/api/v1/alerts").await.show(), @r#"
        500 Internal Server Error
        content-type: application/problem+json
        cache-control: no-store

        {
          "detail": "something went wrong here; it was noted",
          "status": 500,
          "title": "Internal error",
          "type": "urn:homeward:problem:internal"
        }
        "#);
    }
}
