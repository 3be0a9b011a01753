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
    let caller = found.ok_or(ApiError::BadToken)?;
    request.extensions_mut().insert(Caller { name: caller.name });
    Ok(next.run(request).await)
}

/// The token in `Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
