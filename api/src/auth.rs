//! Who calls: the one layer that everything under `/api` passes.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use homeward_store::tokens::find_token;

use crate::error::ApiError;
use crate::routes::App;

/// Who calls, as the record names them.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The number of the token.
    pub(crate) token: i64,
    /// The name of the token.
    pub(crate) name: String,
}

/// Lets a request through that shows a good token, and notes whose it is.
pub(crate) async fn require_token(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let header = request.headers().get(AUTHORIZATION).ok_or(ApiError::NoToken)?;
    let token = header
        .to_str()
        .ok()
        .and_then(bearer_token)
        .ok_or(ApiError::NoToken)?;
    let found = find_token(&mut *app.record().await?, token).await?;
    let found = found.ok_or(ApiError::BadToken)?;
    request.extensions_mut().insert(Caller {
        token: found.id,
        name: found.name,
    });
    Ok(next.run(request).await)
}

/// The token in `Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use homeward_store::admin::{add_token, revoke_token};
    use insta::assert_snapshot;

    use crate::routes::api_routes;
    use crate::testing::{TestApp, now};

    #[tokio::test]
    async fn nothing_is_answered_without_a_token() {
        let app = TestApp::start().await;
        let routes = api_routes();
        assert!(routes.len() >= 10);
        for route in routes {
            let path = route.path.replace(['{', '}'], "");
            let answer = app.send(Request::builder().method(route.method).uri(&path)).await;
            assert_eq!(answer.status, 401, "{path}");
        }
    }

    #[tokio::test]
    async fn a_missing_token_and_a_wrong_one_are_refused() {
        let app = TestApp::start().await;
        let none = app.send(Request::get("/api/v1/alerts")).await;
        assert_snapshot!(none.show(), @r#"
        401 Unauthorized
        content-type: application/problem+json
        www-authenticate: Bearer realm="homeward"

        {
          "detail": "send a token: Authorization: Bearer <token>",
          "status": 401,
          "title": "A valid token is needed",
          "type": "urn:homeward:problem:unauthorized"
        }
        "#);
        let wrong = app
            .send(Request::get("/api/v1/alerts").header("Authorization", "Bearer x"))
            .await;
        assert_snapshot!(wrong.show(), @r#"
        401 Unauthorized
        content-type: application/problem+json
        www-authenticate: Bearer realm="homeward", error="invalid_token"

        {
          "detail": "the token is unknown or was revoked",
          "status": 401,
          "title": "A valid token is needed",
          "type": "urn:homeward:problem:unauthorized"
        }
        "#);
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked() {
        let app = TestApp::start().await;
        let mut connection = app.pool().acquire().await.unwrap();
        let id = add_token(&mut connection, "a dashboard", "secret").await.unwrap();
        let status = async |header: &str| {
            let request = Request::get("/api/v1/alerts").header("Authorization", header);
            app.send(request).await.status.as_u16()
        };
        for (header, expected) in [
            ("Bearer secret", 200),
            ("bearer  secret", 200),
            ("Bearer Secret", 401),
            ("Bearer secret ", 401),
            ("Bearer ", 401),
            ("Bearer", 401),
            ("Basic secret", 401),
            ("secret", 401),
            ("", 401),
        ] {
            assert_eq!(status(header).await, expected, "{header:?}");
        }
        revoke_token(&mut connection, id, now()).await.unwrap();
        assert_eq!(status("Bearer secret").await, 401);
    }
}
