//! One Consul agent: where it is, who asks, and how long one answer may take.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use super::Answer;
use crate::settings::Settings;
use crate::{EffectError, Secret, http};

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// Bounds and default of `timeout`: of one request and its answer.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// An agent, as the settings of an effect name it.
pub(crate) struct Agent {
    client: Client,
    base: Url,
    token: Option<Token>,
    datacentre: Option<String>,
}

struct Token {
    secret: Secret,
    header: HeaderValue,
}

/// One request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// The path's parts, each of which is escaped.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<Vec<u8>>,
}

impl Agent {
    /// Reads `consul`, `ca`, `token`, `datacentre` and `timeout`.
    pub(crate) fn read(settings: &mut Settings<'_>, folder: &Path) -> Option<Agent> {
        let base = settings.required("consul", Settings::string).and_then(|text| address(settings, text));
        let token = settings.secret("token").and_then(|secret| token(settings, secret));
        let datacentre = settings.string("datacentre").map(str::to_owned);
        let timeout = settings.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let client = http::client(settings, timeout, folder);
        Some(Agent { client: client?, base: base?, token, datacentre })
    }

    /// The datacentre that is meant, where one is named.
    pub(crate) fn datacentre(&self) -> Option<&str> {
        self.datacentre.as_deref()
    }

    /// Asks for something. `attempted` begins every message; paths and keys are not in them.
    ///
    /// # Errors
    /// No answer, or one that is cut off.
    pub(crate) async fn ask(&self, attempted: &str, ask: Ask<'_>) -> Result<Answer, EffectError> {
        let mut url = self.base.clone();
        let attempted = format!("{attempted} at {}", self.base.as_str().trim_end_matches('/'));
        // A URL would leave these out, and the request would go elsewhere.
        if ask.path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(EffectError::Refused(format!("{attempted}: a part of the path is empty or consists of dots")));
        }
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().push("v1").extend(ask.path)),
            Err(()) => return Err(EffectError::Refused(format!("{attempted}: the address takes no paths"))),
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        // What only reads has changed nothing, however it ends.
        let changes = ask.method != Method::GET;
        let sort = |error| if changes { error } else { nothing_changed(error) };
        let mut request = self.client.request(ask.method, url);
        if let Some(token) = &self.token {
            request = request.header(TOKEN, token.header.clone());
        }
        if let Some(body) = ask.body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| sort(http::not_answered(&attempted, error)))?;
        let status = response.status();
        let retry_after = http::retry_after(response.headers());
        let body = http::body(&attempted, response).await.map_err(sort)?;
        let token = self.token.as_ref().map(|token| &token.secret);
        Ok(Answer::new(attempted, changes, status, retry_after, body, token))
    }
}

/// What became of a request that changes nothing: whatever it was, it is not done.
pub(super) fn nothing_changed(error: EffectError) -> EffectError {
    match error {
        EffectError::Unknown(reason) | EffectError::UnreadableReply(reason) => EffectError::NotDone { reason, retry_after: None },
        other => other,
    }
}

/// Scheme, host and port.
fn address(settings: &mut Settings<'_>, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.path() == "/" && bare
    });
    if url.is_none() {
        let help = "write the agent's scheme, host and port: consul = \"http://127.0.0.1:8500\"; the token is a setting of its own";
        settings.report("setting-range", "consul", "is no address of a Consul agent", help);
    }
    url
}

fn token(settings: &mut Settings<'_>, secret: Secret) -> Option<Token> {
    match HeaderValue::from_str(secret.expose()) {
        Ok(mut header) => {
            header.set_sensitive(true);
            Some(Token { secret, header })
        }
        Err(_) => {
            settings.report("setting-range", "token", "has a character that a token does not have", "write the token's secret id");
            None
        }
    }
}
