//! Signing in through an identity provider: OpenID Connect, with an authorisation code and PKCE.
//!
//! `GET /api/v1/identity-providers` says which there are: `{"identity_providers": [{"name": "cis2", "sign_in": "…"}]}`.
//! A browser that goes to `…/{provider}/sign-in` is led to the provider, and back to `…/{provider}/callback`, which begins
//! a session for the account that is linked to whom the provider names (`homeward account link`), and leads to `/`.
//! Whoever signs out on a page is led back to the provider, to sign out there too, if it offers that ([`end_at`]).
//! Nobody gets an account by signing in, and no claim but issuer and subject says who somebody is.
//!
//! What has to come back — state, nonce and the code verifier — is in a cookie of the browser that began, for ten
//! minutes: so a code that somebody else got is of no use, here or there, and beginning costs the record nothing. The
//! password's lock does not count here: it is not the password that is tried. How somebody proves who they are is the
//! provider's business; `acr_values` of the configuration says which proofs are enough.

use axum::Json;
use axum::extract::State;
use axum::http::header::{COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use homeward_store::accounts::{Account, find_account_of_identity};
use homeward_store::audit::{self, AuditEntry};
use homeward_store::secrets::Whose;
use homeward_store::sessions::Through;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::relying_party::{Authorisation, Known, Proof, ProviderError, RelyingParty};
use super::{Visit, begin as begin_transaction, commit, let_in};
use crate::alerts::act::NoParameters;
use crate::error::ApiError;
use crate::request::{Path, Query, parsed};
use crate::routes::App;

/// The cookie of a browser that has begun to sign in.
const COOKIE_NAME: &str = "__Host-homeward_authorisation";

/// How long it is good, in seconds: long enough to find one's smartcard.
const LASTS_SECONDS: u32 = 600;

/// Where somebody is signed in still who has signed out here.
pub(crate) struct Elsewhere {
    /// As the configuration calls it.
    pub(crate) provider: String,
    /// Where that ends.
    pub(crate) url: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    identity_providers: Vec<Named>,
}

#[derive(Serialize, ToSchema)]
struct Named {
    name: String,
    /// Where a browser begins.
    sign_in: String,
}

/// Leads a browser elsewhere, and gives it cookies.
type Redirect = (StatusCode, HeaderMap);

pub(crate) async fn list(
    State(app): State<App>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Json<Listed> {
    let named = |party: &RelyingParty| Named {
        name: party.name().to_owned(),
        sign_in: format!("/api/v1/identity-providers/{}/sign-in", party.name()),
    };
    Json(Listed {
        identity_providers: app.relying_parties.iter().map(named).collect(),
    })
}

/// `GET /api/v1/identity-providers/{provider}/sign-in`.
pub(crate) async fn begin(
    State(app): State<App>,
    path: Path,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Redirect, ApiError> {
    let party = find(&app, &path)?;
    let (url, authorisation) = party.begin().await.map_err(unreachable)?;
    Ok(redirect(&url, &[cookie(&authorisation.to_text(), LASTS_SECONDS)]))
}

/// What the provider has the browser bring along (OpenID Connect Core, 3.1.2.5 and 3.1.2.6; RFC 9207). Others are
/// ignored, as the standard wants.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Brought {
    #[serde(default, deserialize_with = "parsed")]
    code: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    state: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    error: Option<String>,
}

/// `GET /api/v1/identity-providers/{provider}/callback`.
pub(crate) async fn callback(
    State(app): State<App>,
    visit: Visit,
    path: Path,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> Result<Redirect, ApiError> {
    let party = find(&app, &path)?;
    let authorisation = begun(&headers).filter(|begun| begun.has_state(brought.state.as_deref()));
    let authorisation = authorisation.ok_or_else(|| {
        let detail = "signing in was not begun in this browser, or more than ten minutes ago; begin again";
        ApiError::parameter("state", detail)
    })?;
    let proof = Proof {
        code: brought.code,
        issuer: brought.iss,
        error: brought.error,
    };
    let Known { subject, id_token } = match party.redeem(proof, authorisation, app.clock.now()).await {
        Ok(known) => known,
        Err(error) => return Err(refused(&app, &visit, party, "unknown", error).await?),
    };

    let mut transaction = begin_transaction(&app).await?;
    let account = find_account_of_identity(&mut transaction, party.issuer(), &subject).await?;
    let account = match account {
        Some(account) if account.disabled_at.is_none() => account,
        Some(account) => {
            let error = ProviderError::Disabled;
            return Err(refused(&app, &visit, party, &account.name, error).await?);
        }
        None => return Err(refused(&app, &visit, party, "unknown", ProviderError::NotLinked).await?),
    };
    // A first password that is not changed yet stands in nobody's way who shows none.
    let account = Account {
        initial_password_until: None,
        ..account
    };
    let through = Through {
        provider: party.name().to_owned(),
        id_token: app.keys.seal(Whose::IdTokenOf(account.id), id_token.as_bytes()),
    };
    let let_in = let_in(&mut transaction, &visit, account, Some(&through)).await?;
    commit(transaction).await?;
    Ok(redirect("/", &[let_in.cookie, cookie("", 0)]))
}

/// Where a browser tells the provider through which somebody signed in that they have signed out; `None` where it does not
/// want to know, or cannot be asked. Whatever comes of it, the session here is over.
pub(crate) async fn end_at(app: &App, account: i64, through: &Through) -> Option<Elsewhere> {
    let party = app
        .relying_parties
        .iter()
        .find(|party| party.name() == through.provider)?;
    let id_token = app.keys.open(Whose::IdTokenOf(account), &through.id_token);
    let url = match id_token.map(String::from_utf8) {
        Ok(Ok(id_token)) => party.end(&id_token).await,
        // Sealed with a key that is not there any more.
        _ => return None,
    };
    match url {
        Ok(url) => url.map(|url| Elsewhere {
            provider: through.provider.clone(),
            url,
        }),
        Err(error) => {
            let _ = unreachable(error);
            None
        }
    }
}

fn find<'a>(app: &'a App, path: &Path) -> Result<&'a RelyingParty, ApiError> {
    let name = path.text("provider");
    let found = app.relying_parties.iter().find(|party| party.name() == name);
    found.ok_or_else(|| ApiError::NotFound("there is no such identity provider".to_owned()))
}

/// Writes down that nobody was let in, and says what the browser is told.
async fn refused(
    app: &App,
    visit: &Visit,
    party: &RelyingParty,
    actor: &str,
    error: ProviderError,
) -> Result<ApiError, ApiError> {
    if let ProviderError::Unreachable(_) = error {
        return Ok(unreachable(error));
    }
    let reason = format!("through {}: {error}", party.name());
    let entry = AuditEntry {
        done: false,
        reason: Some(&reason),
        ..visit.entry("sign_in", actor)
    };
    let mut transaction = begin_transaction(app).await?;
    audit::append(&mut transaction, &entry, visit.now).await?;
    commit(transaction).await?;
    Ok(ApiError::NotKnown(error.to_string()))
}

fn unreachable(error: ProviderError) -> ApiError {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "an identity provider failed"
    );
    ApiError::Busy("the identity provider cannot be reached; try again shortly")
}

fn redirect(to: &str, cookies: &[HeaderValue]) -> Redirect {
    let mut headers = HeaderMap::new();
    let to = HeaderValue::try_from(to).expect("a URL is of visible characters");
    headers.insert(LOCATION, to);
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie.clone());
    }
    (StatusCode::SEE_OTHER, headers)
}

/// `Lax`: the provider leads the browser back from another site.
fn cookie(value: &str, seconds: u32) -> HeaderValue {
    let text = format!("{COOKIE_NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::try_from(text).expect("the cookie is of letters, digits, dots, dashes and underscores")
}

/// What the browser has begun.
fn begun(headers: &HeaderMap) -> Option<Authorisation> {
    let cookies = headers.get_all(COOKIE).iter();
    let pairs = cookies
        .filter_map(|header| header.to_str().ok())
        .flat_map(|text| text.split(';'));
    let found = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME);
    found.and_then(|(_, text)| Authorisation::from_text(text))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::super::relying_party::IdentityProvider;
    use super::*;
    use crate::testing::TestApp;

    async fn app() -> TestApp {
        TestApp::start_with(|state| {
            state.identity_providers = vec![IdentityProvider {
                name: "cis2".to_owned(),
                issuer: "http://127.0.0.1:1".to_owned(),
                client_id: "homeward".to_owned(),
                client_secret: None,
                acr_values: Vec::new(),
            }];
        })
        .await
    }

    #[tokio::test]
    async fn providers_are_named_and_others_are_not_there() {
        let app = app().await;
        let listed = app.send(Request::get("/api/v1/identity-providers")).await.json();
        assert_eq!(
            listed["identity_providers"][0]["sign_in"],
            "/api/v1/identity-providers/cis2/sign-in"
        );
        for path in ["sign-in", "callback"] {
            let path = format!("/api/v1/identity-providers/nobody/{path}");
            assert_eq!(app.send(Request::get(path)).await.status, 404);
        }
        // It cannot be reached.
        let begun = app
            .send(Request::get("/api/v1/identity-providers/cis2/sign-in"))
            .await;
        assert_eq!(begun.status, 503, "{}", begun.body);
    }

    #[tokio::test]
    async fn what_was_not_begun_in_this_browser_is_not_ended_in_it() {
        let app = app().await;
        let state = "s".repeat(22);
        let begun = format!("{COOKIE_NAME}={state}.{}.{}", "n".repeat(22), "v".repeat(43));
        for (query, cookie) in [
            (format!("code=abc&state={state}"), None),
            ("code=abc&state=other".to_owned(), Some(&begun)),
            ("code=abc".to_owned(), Some(&begun)),
            (
                format!("code=abc&state={state}"),
                Some(&format!("{COOKIE_NAME}={state}")),
            ),
        ] {
            let path = format!("/api/v1/identity-providers/cis2/callback?{query}");
            let mut request = Request::get(path);
            if let Some(cookie) = cookie {
                request = request.header(COOKIE, cookie);
            }
            let answer = app.send(request).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.body);
            assert!(answer.body.contains("begin again"), "{}", answer.body);
        }
        // What the provider says went wrong is in the log.
        let path = format!("/api/v1/identity-providers/cis2/callback?error=access_denied&state={state}");
        let answer = app.send(Request::get(path).header(COOKIE, &begun)).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        let reason: String = sqlx::query_scalar("SELECT reason FROM audit_event WHERE action = 'sign_in'")
            .fetch_one(app.pool())
            .await
            .unwrap();
        assert_eq!(
            reason,
            "through cis2: the identity provider let nobody in (access_denied)"
        );
    }
}
