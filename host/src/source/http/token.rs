//! Bearer tokens.

use axum::http::{HeaderMap, header};
use purefold_effects::Secret;
use subtle::{Choice, ConstantTimeEq};

use crate::journal::sha256;

/// Whether the request shows one of `tokens`; where there are none, nothing has to be shown. Hashes are compared, which takes
/// the same time for every text, whatever its length.
pub(super) fn is_shown(tokens: &[Secret], headers: &HeaderMap) -> bool {
    if tokens.is_empty() {
        return true;
    }
    let Some(shown) = bearer(headers) else { return false };
    let shown = sha256(shown);
    let is_it = |token: &Secret| sha256(token.expose().as_bytes()).ct_eq(&shown);
    tokens.iter().fold(Choice::from(0), |found, token| found | is_it(token)).into()
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    const SCHEME: &str = "bearer ";
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shows(tokens: &[&str], authorization: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        is_shown(&tokens.iter().copied().map(Secret::new).collect::<Vec<_>>(), &headers)
    }

    #[test]
    fn one_of_the_tokens_must_be_shown() {
        assert!(shows(&["old-token", "new-token"], Some("Bearer new-token")));
        assert!(shows(&["old-token", "new-token"], Some("bearer old-token")));
        for wrong in [None, Some("Bearer"), Some("Bearer "), Some("Bearer new-toke"), Some("Bearer new-token1"), Some("Basic new-token")] {
            assert!(!shows(&["old-token", "new-token"], wrong), "{wrong:?}");
        }
        assert!(shows(&[], None));
    }
}
