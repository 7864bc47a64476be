//! Signatures of files, in the format of [minisign](https://jedisct1.github.io/minisign/): Ed25519 over the BLAKE2b hash of the
//! file, in a file of its own beside it.
//!
//! What is signed here can be checked by any minisign, and the other way round.

use std::io::{Cursor, Read, Seek};

use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKeyBox, SignatureBox};

/// What a signature's file is called, after the name of what it signs.
pub const SIGNATURE_SUFFIX: &str = ".minisig";

/// Longest file that is read as a key or a signature.
pub const MOST_BYTES: u64 = 8192;

/// A public key whose signatures are believed.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedKey {
    key: PublicKey,
    id: String,
}

impl TrustedKey {
    /// Reads a key: its one line of Base64, or the text of its file.
    ///
    /// # Errors
    /// Where it is none, with the reason.
    pub fn read(text: &str) -> Result<Self, String> {
        let read = match text.trim() {
            line if line.contains('\n') => PublicKeyBox::from_string(line).and_then(PublicKeyBox::into_public_key),
            line => PublicKey::from_base64(line),
        };
        let key = read.map_err(|error| error.to_string())?;
        Ok(TrustedKey { id: id_of(key.keynum()), key })
    }

    /// By what people and signatures name it: 16 digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A secret key, ready to sign.
pub struct SigningKey(minisign::SecretKey);

impl SigningKey {
    /// Reads the text of a key's file. `password` is asked for where the key is encrypted.
    ///
    /// # Errors
    /// Where it is none, or the password is wrong, with the reason.
    pub fn read(text: &str, password: impl FnOnce() -> Result<String, String>) -> Result<Self, String> {
        let boxed = || SecretKeyBox::from_string(text.trim()).map_err(|error| error.to_string());
        // Without a password the crate would ask for one by itself.
        if let Ok(key) = boxed()?.into_unencrypted_secret_key() {
            return Ok(SigningKey(key));
        }
        let key = boxed()?.into_secret_key(Some(password()?)).map_err(|error| error.to_string())?;
        Ok(SigningKey(key))
    }

    /// Signs `bytes`. The comment is signed with them, and is shown where the signature is checked.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String, String> {
        self.sign_all_of(Cursor::new(bytes), comment)
    }

    /// As [`SigningKey::sign`], of all that can be read, however long it is.
    ///
    /// # Errors
    /// As [`SigningKey::sign`], and where it cannot be read.
    pub fn sign_all_of(&self, data: impl Read, comment: &str) -> Result<String, String> {
        let signed = minisign::sign(None, &self.0, data, Some(comment), Some("signature of a file that purefold made or checked"));
        signed.map(SignatureBox::into_string).map_err(|error| error.to_string())
    }
}

/// A new pair of keys: the texts of the public and of the secret key's file. Without a password the secret one is not encrypted.
///
/// # Errors
/// Where the system has no randomness.
pub fn new_keys(password: Option<String>) -> Result<(String, String), String> {
    let made = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = made.map_err(|error| error.to_string())?;
    let public = pair.pk.to_box().map_err(|error| error.to_string())?;
    let secret = pair.sk.to_box(Some("secret key to sign what purefold runs")).map_err(|error| error.to_string())?;
    Ok((public.into_string(), secret.into_string()))
}

/// Who signed, and what they said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key.
    pub key: String,
    /// What was signed beside the bytes.
    pub comment: String,
}

/// Why a signature is worth nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is no signature.
    #[error("it is no signature of minisign: {0}")]
    Unreadable(String),
    /// Somebody signed whom nobody trusts here.
    #[error("it is by key {0}, which is not among the trusted ones")]
    Untrusted(String),
    /// What is there is not what was signed.
    #[error("it is by key {0}, and not of these bytes: they were changed since, or another file was signed")]
    Wrong(String),
}

/// Checks that one of `keys` signed `bytes`.
///
/// # Errors
/// Where none did.
pub fn check(bytes: &[u8], signature: &str, keys: &[TrustedKey]) -> Result<Signed, SignatureError> {
    check_all_of(Cursor::new(bytes), signature, keys)
}

/// As [`check`], of all that can be read, however long it is.
///
/// # Errors
/// As [`check`]; what cannot be read was not signed.
pub fn check_all_of(data: impl Read + Seek, signature: &str, keys: &[TrustedKey]) -> Result<Signed, SignatureError> {
    let unreadable = |error: minisign::PError| SignatureError::Unreadable(error.to_string());
    let signature = SignatureBox::from_string(signature.trim()).map_err(unreadable)?;
    let id = id_of(signature.keynum());
    let Some(trusted) = keys.iter().find(|key| key.key.keynum() == signature.keynum()) else {
        return Err(SignatureError::Untrusted(id));
    };
    if minisign::verify(&trusted.key, &signature, data, true, false, false).is_err() {
        return Err(SignatureError::Wrong(id));
    }
    Ok(Signed { key: id, comment: signature.trusted_comment().map_err(unreadable)? })
}

/// As minisign writes it: the eight bytes as one little-endian number.
fn id_of(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn nobody() -> Result<String, String> {
        Err("nobody is asked for a password".into())
    }

    #[test]
    fn what_a_trusted_key_signed_is_known_and_nothing_else() {
        let (public, secret) = new_keys(None).unwrap();
        let (stranger, _) = new_keys(None).unwrap();
        let (trusted, stranger) = (TrustedKey::read(&public).unwrap(), TrustedKey::read(&stranger).unwrap());
        let signature = SigningKey::read(&secret, nobody).unwrap().sign(b"bytes", "of today").unwrap();
        let keys = [stranger.clone(), trusted.clone()];
        assert_eq!(check(b"bytes", &signature, &keys), Ok(Signed { key: trusted.id().into(), comment: "of today".into() }));
        assert_eq!(check(b"bytez", &signature, &keys), Err(SignatureError::Wrong(trusted.id().into())));
        assert_eq!(check(b"bytes", &signature, &[stranger]), Err(SignatureError::Untrusted(trusted.id().into())));
        assert!(matches!(check(b"bytes", "nonsense", &keys), Err(SignatureError::Unreadable(_))));
        // Every letter of the signature counts, but for the first line, which nobody signs.
        let begin = signature.find('\n').unwrap() + 1;
        let is_filling = |at: &usize| signature.as_bytes()[*at] == b'=';
        for at in (begin..signature.trim_end().len()).filter(|at| !is_filling(at)) {
            let mut other = signature.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            // Where it decodes to the same bytes, it is the same signature.
            let again = SignatureBox::from_string(&other).map(SignatureBox::into_string).ok();
            assert!(
                check(b"bytes", &other, &keys).is_err() || again.is_some_and(|again| again.trim() == signature.trim()),
                "{at}: {other}"
            );
        }
        assert_eq!(TrustedKey::read(public.lines().nth(1).unwrap()).unwrap(), trusted);
    }

    #[test]
    fn a_key_with_a_password_needs_it() {
        let (public, secret) = new_keys(Some("correct".into())).unwrap();
        assert!(SigningKey::read(&secret, nobody).is_err());
        assert!(SigningKey::read(&secret, || Ok("wrong".into())).is_err());
        let signature = SigningKey::read(&secret, || Ok("correct".into())).unwrap().sign(b"bytes", "").unwrap();
        assert!(check(b"bytes", &signature, &[TrustedKey::read(&public).unwrap()]).is_ok());
    }

    #[test]
    fn nothing_but_keys_and_signatures_is_read() {
        for nonsense in ["", "RWQ", "untrusted comment: x\nnonsense", "\u{0}"] {
            assert!(TrustedKey::read(nonsense).is_err(), "{nonsense:?}");
            assert!(SigningKey::read(nonsense, nobody).is_err(), "{nonsense:?}");
            assert!(matches!(check(b"", nonsense, &[]), Err(SignatureError::Unreadable(_))), "{nonsense:?}");
        }
    }
}
