//! Secrets: texts that are used and never shown.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must not be shown: a token, a password, a URL or a header that holds one.
///
/// Nothing prints it: `Debug` gives `***`, and it has neither `Display` nor a serialised form. It is wiped from memory when
/// its last clone goes. Comparing two of the same length takes the same time wherever they differ.
///
/// ```
/// use purefold_effects::Secret;
///
/// let token = Secret::new("swordfish");
/// assert_eq!(format!("{token:?}"), "***");
/// assert_eq!(token.expose(), "swordfish");
/// ```
///
/// ```compile_fail
/// println!("{}", purefold_effects::Secret::new("swordfish"));
/// ```
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Keeps `text` from being shown.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text, for whoever sends it where it belongs. It must not go into a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_not_printed() {
        let secret = Secret::new("very-secret-token");
        assert_eq!(secret, secret.clone());
        assert_eq!(secret, Secret::new("very-secret-token"));
        assert_ne!(secret, Secret::new("very-secret-tokem"));
        assert_ne!(secret, Secret::new("very-secret"));
        assert!(!format!("{secret:?} {:#?}", Some(vec![secret.clone()])).contains("secret"));
    }
}
