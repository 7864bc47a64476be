//! What an answer of Consul means.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value as Json;

use super::agent::nothing_changed;
use crate::{EffectError, Secret};

/// Of what Consul says about a failure, as much as is told.
const SAID_CHARACTERS_MAX: usize = 200;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    attempted: String,
    /// Whether what was asked for changes something.
    changes: bool,
    pub(crate) status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
    /// What the answer says, as far as it is told.
    said: String,
}

impl Answer {
    pub(super) fn new(
        attempted: String,
        changes: bool,
        status: StatusCode,
        retry_after: Option<Duration>,
        body: Vec<u8>,
        token: Option<&Secret>,
    ) -> Answer {
        let mut said = String::new();
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            said = text.lines().next().unwrap_or_default().chars().take(SAID_CHARACTERS_MAX).collect();
            if let Some(token) = token {
                said = said.replace(token.expose(), "…");
            }
        }
        Answer { attempted, changes, status, retry_after, body, said }
    }

    /// Whether the failure's text has this in it.
    pub(crate) fn says(&self, part: &str) -> bool {
        self.said.contains(part)
    }

    /// The body of a success as JSON.
    ///
    /// # Errors
    /// A failure, sorted; or a body that is none of Consul's, of which nobody knows where it comes from.
    pub(crate) fn json(&self) -> Result<Json, EffectError> {
        self.done()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            let unknown = EffectError::Unknown(format!("{}: the answer cannot be read: {error}", self.attempted));
            if self.changes { unknown } else { nothing_changed(unknown) }
        })
    }

    /// The body, of whatever status, as JSON where it is some.
    pub(crate) fn detail(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// That it succeeded.
    ///
    /// # Errors
    /// A failure, sorted.
    pub(crate) fn done(&self) -> Result<(), EffectError> {
        if self.status.is_success() { Ok(()) } else { Err(self.failure()) }
    }

    /// What a failure means. What is mended at Consul, be it by a token or a right, is not the intent's fault: it is not
    /// done, and waits.
    pub(crate) fn failure(&self) -> EffectError {
        let reason = format!("{}: Consul answers {}: {}", self.attempted, self.status.as_u16(), self.said.trim());
        let not_done = |reason| EffectError::NotDone { reason, retry_after: self.retry_after };
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                not_done(format!("{reason}; give the effect's `token` the right to do this, or a valid token"))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => not_done(reason),
            // Consul says most things by a 500. These say that nothing was done.
            status
                if status.is_server_error()
                    && ["No cluster leader", "ACL not found", "Permission denied"].iter().any(|part| self.says(part)) =>
            {
                not_done(reason)
            }
            status if status.is_server_error() && self.changes => EffectError::Unknown(reason),
            status if status.is_server_error() => not_done(reason),
            _ => EffectError::Refused(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_failure_has_its_kind() {
        let kind = |changes: bool, status: u16, said: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            match Answer::new("PUT".into(), changes, status, None, said.as_bytes().to_vec(), None).failure() {
                EffectError::Refused(_) => "refused",
                EffectError::NotDone { .. } => "not done",
                EffectError::Unknown(_) => "unknown",
                EffectError::UnreadableReply(_) => "unreadable",
            }
        };
        for (status, said, expected) in [
            (400, "Invalid service name", "refused"),
            (404, "", "refused"),
            (413, "Request body too large", "refused"),
            (401, "", "not done"),
            (403, "Permission denied", "not done"),
            (403, "ACL not found", "not done"),
            (429, "", "not done"),
            (500, "No cluster leader", "not done"),
            (500, "rpc error making call: ACL not found", "not done"),
            (500, "rpc error making call: EOF", "unknown"),
            (502, "", "unknown"),
            (503, "", "not done"),
            (504, "", "unknown"),
        ] {
            assert_eq!(kind(true, status, said), expected, "{status} {said}");
            let reading = if expected == "unknown" { "not done" } else { expected };
            assert_eq!(kind(false, status, said), reading, "{status} {said}");
        }
    }
}
