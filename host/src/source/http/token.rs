//! Bearer tokens.

use axum::http::{HeaderMap, header};
use subtle::{Choice, ConstantTimeEq};

use crate::journal::{EntryHash, sha256};

/// A token that senders show. Only its hash is kept: it cannot be printed, and comparing takes the same time for every
/// text, whatever its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(EntryHash);

impl Token {
    /// The token of that text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Token(sha256(text.as_bytes()))
    }
}

/// Whether the request shows one of `tokens`; where there are none, nothing has to be shown.
pub(super) fn is_shown(tokens: &[Token], headers: &HeaderMap) -> bool {
    if tokens.is_empty() {
        return true;
    }
    let Some(shown) = bearer(headers) else { return false };
    let shown = sha256(shown);
    tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(&shown)).into()
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
        is_shown(&tokens.iter().map(|token| Token::new(token)).collect::<Vec<_>>(), &headers)
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

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Token::new("very-secret-token")).contains("secret"));
    }
}
