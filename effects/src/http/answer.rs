//! What an answer, or none, means for the intent.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use purefold_wit::{Codec, UnknownFields};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::{EffectError, Reply, causes};

/// Largest reply that is read.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Longest wait that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// No answer came.
pub(crate) fn not_answered(attempted: &str, error: reqwest::Error) -> EffectError {
    let (builder, connect) = (error.is_builder(), error.is_connect());
    let reason = format!("{attempted}: {}", causes(error));
    if builder {
        EffectError::Refused(reason)
    } else if connect {
        EffectError::NotDone { reason, retry_after: None }
    } else {
        EffectError::Unknown(reason)
    }
}

/// An answer came, at least its head.
pub(super) async fn read(attempted: &str, response: Response, reply: Option<&Codec>) -> Result<Reply, EffectError> {
    let status = response.status();
    if !status.is_success() {
        return Err(refusal(attempted, status, response.headers()));
    }
    let Some(codec) = reply else { return Ok(None) };
    let body = body(attempted, response).await?;
    let value = codec.decode("reply", &body, UnknownFields::Ignore);
    value.map(Some).map_err(|error| EffectError::UnreadableReply(format!("{attempted}: {error}")))
}

/// A status that is no success. The body is not told: servers repeat what they were sent.
fn refusal(attempted: &str, status: StatusCode, headers: &HeaderMap) -> EffectError {
    let text = format!("{attempted}: the server answers {status}");
    let retry_after = retry_after(headers);
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            EffectError::NotDone { reason: text, retry_after }
        }
        // An attempt under the same idempotency key is still in hand there.
        StatusCode::CONFLICT if retry_after.is_some() => EffectError::NotDone { reason: text, retry_after },
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => EffectError::Refused(text),
        status if status.is_redirection() => EffectError::Refused(format!("{text}; redirects are not followed, name the final URL")),
        status if status.is_server_error() => EffectError::Unknown(text),
        _ => EffectError::Refused(text),
    }
}

/// The reply's bytes. It has happened by now: what breaks off can be asked for again under the same key.
pub(crate) async fn body(attempted: &str, mut response: Response) -> Result<Vec<u8>, EffectError> {
    let too_long = || EffectError::UnreadableReply(format!("{attempted}: the reply has more than {REPLY_BYTES_MAX} bytes"));
    let announced = response.content_length().unwrap_or(0);
    if announced > REPLY_BYTES_MAX as u64 {
        return Err(too_long());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > REPLY_BYTES_MAX => return Err(too_long()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(EffectError::Unknown(format!("{attempted}: {}", causes(error)))),
        }
    }
}

/// `Retry-After` in seconds or as a date, which is read by the server's own clock where it tells it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let now = date(headers, &DATE).or_else(|| Timestamp::try_from(SystemTime::now()).ok())?;
        let until = date(headers, &RETRY_AFTER)?;
        Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        headers
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (text, date, seconds) in [
            ("0", None, Some(0)),
            ("120", None, Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", date, Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", date, Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None, Some(0)),
            ("99999999999999999999999", None, Some(86_400)),
            ("Fri, 01 Jan 9999 00:00:00 GMT", date, Some(86_400)),
            ("soon", date, None),
            ("-5", None, None),
            ("1.5", None, None),
        ] {
            assert_eq!(retry_after(&headers(text, date)), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn every_status_has_its_meaning() {
        let kind = |status: u16, headers: &HeaderMap| match refusal("POST x", StatusCode::from_u16(status).unwrap(), headers) {
            EffectError::Refused(_) => "refused",
            EffectError::NotDone { .. } => "not done",
            EffectError::Unknown(_) => "unknown",
            EffectError::UnreadableReply(_) => "unreadable",
        };
        let bare = HeaderMap::new();
        for (statuses, meaning) in [
            (&[301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 410, 422, 451, 501, 505][..], "refused"),
            (&[408, 425, 429, 503], "not done"),
            (&[500, 502, 504, 507, 508, 520, 599], "unknown"),
        ] {
            for status in statuses {
                assert_eq!(kind(*status, &bare), meaning, "{status}");
            }
        }
        assert_eq!(kind(409, &headers("3", None)), "not done");
    }
}
