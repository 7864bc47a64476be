//! Keys that are trusted by the command line.

use std::path::Path;

use anyhow::Context as _;
use purefold::signing::{self, TrustedKey};

#[derive(clap::Args)]
pub(super) struct TrustedKeys {
    /// A public key, or the file of one, that must have signed it; may be given several times
    #[arg(long, value_name = "KEY")]
    trusted_keys: Vec<String>,
}

impl TrustedKeys {
    /// The keys; none where one was told to be of no use.
    pub(super) fn read(&self) -> anyhow::Result<Option<Vec<TrustedKey>>> {
        let mut keys = Vec::with_capacity(self.trusted_keys.len());
        for given in &self.trusted_keys {
            let file = Path::new(given);
            let text = match file.metadata() {
                Ok(data) if data.len() <= signing::MOST_BYTES => {
                    std::fs::read_to_string(file).with_context(|| format!("cannot read {given}"))?
                }
                _ => given.clone(),
            };
            match TrustedKey::read(&text) {
                Ok(key) => keys.push(key),
                Err(reason) => {
                    eprintln!("error: {given} is neither a public key nor the file of one: {reason}");
                    return Ok(None);
                }
            }
        }
        Ok(Some(keys))
    }
}
