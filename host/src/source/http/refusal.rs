//! Requests that are refused, and events of them: a status, and an object that says what is wrong and what helps.

use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::media;
use crate::source::Undecodable;

/// Seconds after which a sender that was turned away should come back.
const COME_BACK_SECONDS: u64 = 1;
/// The same where the store has to recover first.
const STORE_DOWN_SECONDS: u64 = 5;

/// A request, or an event, that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) path: String,
    pub(super) reason: String,
    pub(super) help: String,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Refusal { status, code, path: String::new(), reason: reason.into(), help: help.into(), retry_after: None }
    }

    fn passing_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Whether the same request may be taken later.
    pub(super) fn is_passing(&self) -> bool {
        self.retry_after.is_some()
    }

    pub(super) fn token_wrong() -> Self {
        let help = "send `Authorization: Bearer …` with the token of source.http.token";
        Refusal::new(StatusCode::UNAUTHORIZED, "token-wrong", "no valid token was shown", help)
    }

    pub(super) fn path_unknown() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "path-unknown", "nothing is here", "post events to / or /events")
    }

    pub(super) fn method_unknown() -> Self {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method-unknown", "events are posted", "use POST")
    }

    pub(super) fn query_wrong(reason: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "query-wrong", reason, "ask `?wait=decision`, or nothing")
    }

    pub(super) fn media_type_unknown(reason: impl Into<String>) -> Self {
        let help = format!("send {}, or the attributes in ce- headers and the data as application/json", media::TYPES);
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type-unknown", reason, help)
    }

    pub(super) fn body_too_large(most: usize) -> Self {
        let reason = format!("the body has more than {most} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", reason, "send fewer events together, or raise source.http.body")
    }

    pub(super) fn batch_too_large(reason: String) -> Self {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "batch-too-large", reason, "send fewer events together")
    }

    pub(super) fn body_late() -> Self {
        let reason = "the body did not arrive in time";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body-late", reason, "send it at once, or raise source.http.receive")
            .passing_in(COME_BACK_SECONDS)
    }

    pub(super) fn body_broken(reason: String) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "body-broken", reason, "send the whole body")
    }

    pub(super) fn too_many() -> Self {
        let help = "send it again after the time in Retry-After";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "too much is being taken already", help)
            .passing_in(COME_BACK_SECONDS)
    }

    pub(super) fn store_down() -> Self {
        let help = "send it again after the time in Retry-After";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store-down", "the store takes no commits now", help).passing_in(STORE_DOWN_SECONDS)
    }

    pub(super) fn stopping() -> Self {
        let help = "send it again, to the host that takes over; where it was taken after all, it is a duplicate then";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "host-stopping", "the host is ending", help).passing_in(COME_BACK_SECONDS)
    }

    pub(super) fn answer_late() -> Self {
        let help = "send it again; where it was taken after all, it is a duplicate then";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "answer-late", "it was not decided and stored in time", help)
            .passing_in(COME_BACK_SECONDS)
    }

    /// An event that cannot be taken.
    pub(super) fn of(undecodable: Undecodable) -> Self {
        let Undecodable { code, path, reason, .. } = undecodable;
        let (status, help) = match code {
            "event-too-large" => (StatusCode::PAYLOAD_TOO_LARGE, "send less, or raise limits.event"),
            "inbox-full" => (StatusCode::SERVICE_UNAVAILABLE, "send it again when an operator has seen to the entity"),
            _ => (StatusCode::BAD_REQUEST, "mend it: sent again as it is, it is refused again"),
        };
        let mut refusal = Refusal::new(status, code, reason, help);
        refusal.path = path;
        if code == "inbox-full" { refusal.passing_in(STORE_DOWN_SECONDS) } else { refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // Texts and nothing else: there is no way for it to fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        headers.extend(self.retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        headers.extend(demanded(self.status).map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

/// The header that tells what would have been right.
fn demanded(status: StatusCode) -> Option<(HeaderName, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
        StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "POST")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some((HeaderName::from_static("accept-post"), media::ACCEPTED)),
        _ => None,
    }
}
