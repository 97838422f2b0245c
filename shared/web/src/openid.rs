//! 统一身份认证 `OpenID` Connect: another house says who somebody is, and this office says
//! what he may do. Authorization code with PKCE, state and nonce; the library checks the
//! token, here stays who began, where he goes on, and which browser it was.

use std::{
    collections::HashMap,
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use kernel::{Code, Refusal, sign::Hash};
use messaging::tls::in_the_clear;
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    TokenResponse,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata},
    http,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    Seat,
    client::Client,
    session::{self, fresh_secret},
};

/// The provider, as the office's configuration names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConfig {
    /// The issuer, by https; on this machine also by http.
    pub issuer: String,
    /// The office's name there.
    pub client: String,
    /// The file of its secret there.
    pub secret: PathBuf,
    /// PEM: who signs the provider's certificate. An issuer by https needs it.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// Where browsers find this office: `https://…`, without a path.
    pub address: String,
    /// Which methods of the provider count as a second factor (`amr`, RFC 8176); none if
    /// nothing is said.
    #[serde(default)]
    pub second_factors: Vec<String>,
}

/// How long somebody may take at the provider.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long the provider may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How many may be on their way at once; then the oldest is forgotten.
const MOST: usize = 2_000;
/// How many may be asked for at the provider at once.
const AT_ONCE: usize = 16;
/// For how long what the provider said of itself counts.
const FRESH: Duration = Duration::from_mins(5);
/// The longest way on, in bytes.
const LONGEST: usize = 512;

/// Somebody who was sent to the provider.
struct Begun {
    at: Instant,
    browser: Hash,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    next: String,
}

/// What the provider said, checked.
#[derive(Debug)]
pub struct Said {
    /// Who it is, as this office keeps it: of issuer and subject.
    pub identity: Hash,
    /// Who it is, in the provider's words.
    pub subject: String,
    /// Whether a method was used that counts as a second factor.
    pub second_factor: bool,
    /// Where the browser wanted to go.
    pub next: String,
}

/// Asks the provider, as the library asks for it.
struct Asking(Client);

impl<'c> AsyncHttpClient<'c> for Asking {
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, std::io::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let headers: Vec<(&str, &str)> = parts
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let url = parts.uri.to_string();
            // What the provider names is asked as secretly as the provider.
            if in_the_clear(&url, "https") {
                return Err(std::io::Error::other("an address in the clear"));
            }
            let asking = self.0.send(parts.method, &url, &headers, body);
            let reply = tokio::time::timeout(ANSWERS_WITHIN, asking).await;
            let reply = reply.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
            let answer = http::Response::builder().status(reply.status).body(reply.body.to_vec());
            answer.map_err(std::io::Error::other)
        })
    }
}

/// One office's way to its provider.
pub struct OpenId {
    config: OpenIdConfig,
    secret: String,
    http: Asking,
    begun: Mutex<HashMap<String, Begun>>,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
    room: Semaphore,
}

/// The refusal of whatever does not come out right; the reason stands in the log.
fn failed(why: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(%why, "signing in by OpenID Connect");
    Code::OpenIdFailed.into()
}

impl OpenId {
    /// Reads the secret; refuses a provider beyond this machine that is asked in the clear.
    pub fn open(config: &OpenIdConfig) -> Result<Self, String> {
        for address in [&config.issuer, &config.address] {
            if in_the_clear(address, "https") {
                return Err(format!("openid: {address} must be asked by https"));
            }
        }
        let secret = std::fs::read_to_string(&config.secret)
            .map_err(|error| format!("openid: {}: {error}", config.secret.display()))?;
        let http = match &config.authority {
            Some(authority) => Client::trusting(authority)?,
            None if config.issuer.starts_with("https") => {
                return Err("openid: an issuer by https needs `authority`, PEM".to_owned());
            }
            None => Client::default(),
        };
        let (config, secret) = (config.clone(), secret.trim().to_owned());
        let (begun, known) = (Mutex::default(), Mutex::default());
        let room = Semaphore::new(AT_ONCE);
        Ok(Self { config, secret, http: Asking(http), begun, known, room })
    }

    /// What this office keeps of a subject of its provider.
    pub fn identity(&self, subject: &str) -> Hash {
        let issuer = self.config.issuer.trim_end_matches('/');
        Hash::of(&[b"liandong openid v1", &[0], issuer.as_bytes(), &[0], subject.as_bytes()])
    }

    /// What the provider says of itself, its keys with it.
    async fn provider(&self) -> Result<CoreProviderMetadata, Refusal> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, known)| known.clone())
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|e| failed(&e))?;
        let said = CoreProviderMetadata::discover_async(issuer, &self.http).await;
        let said = said.map_err(|e| failed(&e))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), said.clone()));
        Ok(said)
    }

    fn back(&self) -> Result<RedirectUrl, Refusal> {
        let address = self.config.address.trim_end_matches('/');
        RedirectUrl::new(format!("{address}/openid/back")).map_err(|e| failed(&e))
    }

    /// Sends a browser to the provider: the address, and the secret of its cookie.
    pub async fn begin(&self, next: &str) -> Result<(String, String), Refusal> {
        if next.len() > LONGEST {
            return Err(Refusal::new(Code::BadField).detail(format!("next: 0 … {LONGEST}")));
        }
        let _place = self.room.try_acquire().map_err(|_| Code::Busy)?;
        let provider = self.provider().await?;
        let id = ClientId::new(self.config.client.clone());
        let client =
            CoreClient::from_provider_metadata(provider, id, None).set_redirect_uri(self.back()?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let code = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = client
            .authorize_url(code, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge)
            .url();
        let secret = fresh_secret();
        let (browser, next) = (Hash::of(&[secret.as_bytes()]), next.to_owned());
        let began = Begun { at: Instant::now(), browser, nonce, verifier, next };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, began| began.at.elapsed() < PATIENCE);
        if begun.len() >= MOST {
            let oldest = begun.iter().min_by_key(|(_, began)| began.at);
            let oldest = oldest.map(|(state, _)| state.clone());
            oldest.and_then(|state| begun.remove(&state));
        }
        begun.insert(state.secret().clone(), began);
        Ok((url.to_string(), secret))
    }

    /// Takes the code that a browser brings back; each way works once, and only in the
    /// browser that began it.
    pub async fn finish(&self, browser: &str, state: &str, code: &str) -> Result<Said, Refusal> {
        let browser = Hash::of(&[browser.as_bytes()]);
        let began = {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |began: &Begun| began.at.elapsed() < PATIENCE && began.browser == browser;
            if begun.get(state).is_some_and(fits) { begun.remove(state) } else { None }
        };
        let began = began.ok_or_else(|| failed(&"nobody began this way here"))?;
        let _place = self.room.try_acquire().map_err(|_| Code::Busy)?;
        let provider = self.provider().await?;
        let id = ClientId::new(self.config.client.clone());
        let secret = Some(ClientSecret::new(self.secret.clone()));
        let client =
            CoreClient::from_provider_metadata(provider, id, secret).set_redirect_uri(self.back()?);
        let token = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|e| failed(&e))?
            .set_pkce_verifier(began.verifier)
            .request_async(&self.http)
            .await
            .map_err(|_| failed(&"the provider did not take the code"))?;
        let token = token.id_token().ok_or_else(|| failed(&"no ID token"))?;
        let claims =
            token.claims(&client.id_token_verifier(), &began.nonce).map_err(|e| failed(&e))?;
        let subject = claims.subject().as_str().to_owned();
        let methods = claims.auth_method_refs().into_iter().flatten();
        let counts = |method: &str| self.config.second_factors.iter().any(|m| m == method);
        let second_factor = methods.into_iter().any(|method| counts(method.as_str()));
        let identity = self.identity(&subject);
        Ok(Said { identity, subject, second_factor, next: began.next })
    }
}

/// The word in the name of the cookie that binds a way to its browser.
const COOKIE: &str = "openid";

/// The header that gives a browser the secret of its way.
pub fn way_cookie(seat: &Seat, secret: &str) -> String {
    let age = PATIENCE.as_secs();
    format!("{}; Max-Age={age}", session::named(seat, COOKIE, secret))
}

/// The header that takes it away.
pub fn no_way_cookie(seat: &Seat) -> String {
    format!("{}; Max-Age=0", session::named(seat, COOKIE, ""))
}

/// The secret of a browser's way.
pub fn way_of<'h>(seat: &Seat, headers: &'h HeaderMap) -> Option<&'h str> {
    session::value(seat, COOKIE, headers)
}
