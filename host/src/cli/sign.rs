//! `purefold sign`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::signing::{SIGNATURE_SUFFIX, SigningKey};

use super::exit::Exit;

/// The password of a secret key that has one.
pub(super) const PASSWORD_VARIABLE: &str = "PUREFOLD_KEY_PASSWORD";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What to sign; the signature is written beside it, with `.minisig` after its name
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret key, as `purefold key` or minisign made it; its password is taken from PUREFOLD_KEY_PASSWORD
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What is signed with it, and shown to whoever checks it
    #[arg(long, default_value = "")]
    comment: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(key) = key(&arguments.key)? else { return Ok(Exit::Wrong) };
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("cannot read {}", arguments.file.display()))?;
    if arguments.comment.contains('\n') {
        eprintln!("error: --comment is one line");
        return Ok(Exit::Wrong);
    }
    let written = write_signature(&key, &arguments.file, &bytes, &arguments.comment)?;
    super::report::line(&format!("signed: {}", written.display()))?;
    Ok(Exit::Well)
}

/// Writes the signature of `file`, which holds `bytes`, beside it.
pub(super) fn write_signature(key: &SigningKey, file: &Path, bytes: &[u8], comment: &str) -> anyhow::Result<PathBuf> {
    let signature = key.sign(bytes, comment).map_err(anyhow::Error::msg)?;
    write_beside(file, &signature)
}

/// Writes a signature beside what it signs.
pub(super) fn write_beside(file: &Path, signature: &str) -> anyhow::Result<PathBuf> {
    let beside = PathBuf::from(format!("{}{SIGNATURE_SUFFIX}", file.display()));
    std::fs::write(&beside, signature).with_context(|| format!("cannot write {}", beside.display()))?;
    Ok(beside)
}

pub(super) fn password_of() -> Option<String> {
    std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty())
}

/// The secret key of that file; none where it was told to be of no use.
pub(super) fn key(file: &Path) -> anyhow::Result<Option<SigningKey>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let password = || password_of().ok_or_else(|| format!("it is encrypted: set {PASSWORD_VARIABLE}"));
    match SigningKey::read(&text, password) {
        Ok(key) => Ok(Some(key)),
        Err(reason) => {
            eprintln!("error: {} cannot be used to sign: {reason}", file.display());
            Ok(None)
        }
    }
}
