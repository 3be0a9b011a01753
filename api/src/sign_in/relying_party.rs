//! What an identity provider and Homeward have to say to each other (OpenID Connect Core 1.0, 3.1).

use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use homeward_alerts::outgoing::{CallError, Caller};
use homeward_store::admin::secret_hash;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdToken};
use openidconnect::{
    AuthenticationContextClass, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, LogoutRequest, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl,
    TokenResponse,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long a provider may take to answer: half of what a request may.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The longest answer that is read: a provider with a hundred keys has some 60 KiB.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// How long what a provider says about itself, with its keys, is good.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// An identity provider, as the configuration names it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// How it is called in paths: letters, digits and dashes.
    pub name: String,
    /// Its issuer, a URL under which it says about itself what is needed.
    pub issuer: String,
    /// How it knows Homeward.
    pub client_id: String,
    /// By what it knows that it is Homeward.
    pub client_secret: Option<String>,
    /// Which proofs of who somebody is are enough (`acr`); none: all that it takes.
    pub acr_values: Vec<String>,
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityProvider")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    /// It does not answer, or not as the standard says.
    #[error("the identity provider cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It says so itself.
    #[error("the identity provider let nobody in ({0})")]
    Refused(String),
    /// What it says cannot be trusted.
    #[error("what the identity provider says does not hold: {0}")]
    NotValid(String),
    /// It is content with less than Homeward is.
    #[error("the identity provider did not ask for enough proof")]
    TooLittleProof,
    /// Nobody here is who it says.
    #[error("no account here is linked to this identity; ask your administrator")]
    NotLinked,
    /// The account is not to be used.
    #[error("the account is disabled")]
    Disabled,
}

/// What a browser that has begun to sign in keeps to itself.
pub(super) struct Authorisation {
    state: String,
    nonce: String,
    verifier: String,
}

impl Authorisation {
    /// As the cookie has it. All three are of letters, digits, dashes and underscores.
    pub(super) fn to_text(&self) -> String {
        format!("{}.{}.{}", self.state, self.nonce, self.verifier)
    }

    pub(super) fn from_text(text: &str) -> Option<Authorisation> {
        let mut parts = text.split('.').filter(|part| !part.is_empty()).map(str::to_owned);
        let (state, nonce, verifier) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Authorisation {
            state,
            nonce,
            verifier,
        })
    }

    /// Whether this is the state that was brought back. Compared by hashes, so that time tells nothing.
    pub(super) fn has_state(&self, brought: Option<&str>) -> bool {
        brought.is_some_and(|state| secret_hash(state) == secret_hash(&self.state))
    }
}

/// What a browser brings back.
pub(super) struct Proof {
    pub(super) code: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) error: Option<String>,
}

/// Whom the provider names.
pub(super) struct Known {
    pub(super) subject: String,
    /// Its word for it.
    pub(super) id_token: String,
}

/// Homeward, as one provider knows it.
pub(crate) struct RelyingParty {
    provider: IdentityProvider,
    redirect: RedirectUrl,
    /// Where it leads a browser that has signed out there.
    signed_out: PostLogoutRedirectUrl,
    issuer: IssuerUrl,
    caller: Caller,
    /// What the provider says about itself, and since when that is known.
    known: Mutex<Option<(ProviderMetadataWithLogout, Instant)>>,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl RelyingParty {
    /// `base_url` is where browsers find Homeward.
    ///
    /// # Errors
    ///
    /// When the issuer or the base is no URL.
    pub(crate) fn new(
        provider: IdentityProvider,
        base_url: &str,
        caller: Caller,
    ) -> Result<RelyingParty, String> {
        let redirect = format!("{base_url}/api/v1/identity-providers/{}/callback", provider.name);
        let what = |error| format!("the identity provider {}: {error}", provider.name);
        Ok(RelyingParty {
            redirect: RedirectUrl::new(redirect).map_err(|error| what(error.to_string()))?,
            signed_out: PostLogoutRedirectUrl::new(format!("{base_url}/sign-in"))
                .map_err(|error| what(error.to_string()))?,
            issuer: IssuerUrl::new(provider.issuer.clone()).map_err(|error| what(error.to_string()))?,
            provider,
            caller,
            known: Mutex::new(None),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.provider.name
    }

    pub(super) fn issuer(&self) -> &str {
        &self.provider.issuer
    }

    /// Where to lead a browser, and what it has to keep.
    pub(super) async fn begin(&self) -> Result<(String, Authorisation), ProviderError> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for value in &self.provider.acr_values {
            request = request.add_auth_context_value(AuthenticationContextClass::new(value.clone()));
        }
        let (url, state, nonce) = request.url();
        let authorisation = Authorisation {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        };
        Ok((url.into(), authorisation))
    }

    /// Where a browser ends the session that it has with the provider (OpenID Connect RP-Initiated Logout 1.0), if that offers
    /// it.
    pub(super) async fn end(&self, id_token: &str) -> Result<Option<String>, ProviderError> {
        let metadata = self.metadata().await?;
        let Some(endpoint) = &metadata.additional_metadata().end_session_endpoint else {
            return Ok(None);
        };
        let not_valid = |why: &str| ProviderError::NotValid(why.to_owned());
        if !["https", "http"].contains(&endpoint.url().scheme()) {
            return Err(not_valid("where to sign out is no page"));
        }
        let id_token: CoreIdToken = id_token.parse().map_err(|_| not_valid("the ID token is none"))?;
        let request = LogoutRequest::from(endpoint.clone())
            .set_id_token_hint(&id_token)
            .set_client_id(ClientId::new(self.provider.client_id.clone()))
            .set_post_logout_redirect_uri(self.signed_out.clone());
        Ok(Some(request.http_get_url().into()))
    }

    /// Whom the provider names, by its subject.
    pub(super) async fn redeem(
        &self,
        proof: Proof,
        authorisation: Authorisation,
        now: DateTime<Utc>,
    ) -> Result<Known, ProviderError> {
        if let Some(error) = proof.error {
            let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
            return Err(ProviderError::Refused(
                error.chars().filter(plain).take(40).collect(),
            ));
        }
        let not_valid = |why: String| ProviderError::NotValid(why);
        if proof.issuer.is_some_and(|issuer| issuer != self.provider.issuer) {
            return Err(not_valid("it is another than the one that was asked".to_owned()));
        }
        let code = proof
            .code
            .ok_or_else(|| not_valid("there is no code".to_owned()))?;
        let client = self.client().await?;
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|error| not_valid(error.to_string()))?;
        let http = self.http();
        let tokens = request
            .set_pkce_verifier(PkceCodeVerifier::new(authorisation.verifier))
            .request_async(&http)
            .await
            .map_err(|error| match error {
                openidconnect::RequestTokenError::Request(error) => ProviderError::Unreachable(error.into()),
                openidconnect::RequestTokenError::ServerResponse(response) => {
                    not_valid(format!("it does not take the code ({})", response.error()))
                }
                other => not_valid(other.to_string()),
            })?;
        let id_token = tokens.id_token();
        let id_token = id_token.ok_or_else(|| not_valid("there is no ID token".to_owned()))?;
        let verifier = client.id_token_verifier().set_time_fn(move || now);
        let claims = match id_token.claims(&verifier, &Nonce::new(authorisation.nonce)) {
            Ok(claims) => claims,
            Err(error) => {
                // It may have other keys by now: whoever tries again finds them.
                *self.known.lock().await = None;
                return Err(not_valid(error.to_string()));
            }
        };
        let acr = claims.auth_context_ref().map(|acr| acr.as_str());
        let wanted = &self.provider.acr_values;
        if !wanted.is_empty() && !wanted.iter().any(|wanted| Some(wanted.as_str()) == acr) {
            return Err(ProviderError::TooLittleProof);
        }
        Ok(Known {
            subject: claims.subject().as_str().to_owned(),
            id_token: id_token.to_string(),
        })
    }

    /// What the provider says about itself.
    async fn metadata(&self) -> Result<ProviderMetadataWithLogout, ProviderError> {
        let mut known = self.known.lock().await;
        let fresh = known.as_ref().filter(|(_, since)| since.elapsed() < KNOWN_FOR);
        if let Some((metadata, _)) = fresh {
            return Ok(metadata.clone());
        }
        let http = self.http();
        let found = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &http).await;
        let found = found.map_err(|error| ProviderError::Unreachable(error.into()))?;
        Ok(known.insert((found, Instant::now())).0.clone())
    }

    /// What speaks with the provider, by what that says about itself.
    async fn client(&self) -> Result<Client, ProviderError> {
        let metadata = self.metadata().await?;
        let id = ClientId::new(self.provider.client_id.clone());
        let secret = self.provider.client_secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(metadata, id, secret);
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }

    /// How requests of the library reach the provider.
    fn http(&self) -> impl Fn(HttpRequest) -> HttpCall + use<> {
        let caller = self.caller.clone();
        move |request| {
            let caller = caller.clone();
            Box::pin(async move {
                let request = request.map(Bytes::from);
                let called = timeout(ANSWER_WITHIN, caller.call(request, MAX_ANSWER_BYTES));
                let answer = called
                    .await
                    .map_err(|_| CallError::Connect(std::io::ErrorKind::TimedOut.into()))??;
                Ok(answer.map(Vec::from))
            })
        }
    }
}

type HttpCall = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_keeps_comes_back_as_it_was() {
        let kept = Authorisation::from_text("state.nonce.verifier").unwrap();
        assert_eq!(kept.to_text(), "state.nonce.verifier");
        assert!(kept.has_state(Some("state")));
        assert!(!kept.has_state(Some("other")) && !kept.has_state(None));
        for text in ["", "a", "a.b", "a..c", "a.b.c.d", "..."] {
            assert!(Authorisation::from_text(text).is_none(), "{text}");
        }
    }
}
