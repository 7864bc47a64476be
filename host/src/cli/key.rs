//! `purefold key`

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use purefold::signing::{self, TrustedKey};

use super::exit::Exit;
use super::sign::{PASSWORD_VARIABLE, password_of};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where the secret key goes; the public one is written beside it, with `.pub` after its name
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave the secret key unencrypted; without this its password is taken from PUREFOLD_KEY_PASSWORD
    #[arg(long)]
    no_password: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let password = match (password_of(), arguments.no_password) {
        (_, true) => None,
        (Some(password), false) => Some(password),
        (None, false) => {
            eprintln!("error: the secret key needs a password: set {PASSWORD_VARIABLE}, or give --no-password to leave it unencrypted");
            return Ok(Exit::Wrong);
        }
    };
    let public_file = PathBuf::from(format!("{}.pub", arguments.file.display()));
    for file in [&arguments.file, &public_file] {
        if file.exists() {
            eprintln!("error: {} is there already; a key that is lost is lost for good, so nothing is overwritten", file.display());
            return Ok(Exit::Wrong);
        }
    }
    let (public, secret) = signing::new_keys(password).map_err(anyhow::Error::msg)?;
    write(&arguments.file, &secret, 0o600)?;
    write(&public_file, &public, 0o644)?;
    let key = TrustedKey::read(&public).map_err(anyhow::Error::msg)?;
    let line = public.lines().nth(1).unwrap_or_default();
    super::report::line(&format!("key {}: trust it by\n  trusted-keys = [\"{line}\"]", key.id()))?;
    Ok(Exit::Well)
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}
