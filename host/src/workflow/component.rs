//! Where a manifest's component lies.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use purefold_wit::Finding;

use super::{Manifest, Surroundings};
use crate::certificate;
use crate::gate::COMPONENT_BYTES_MOST;
use crate::signing::{self, SIGNATURE_SUFFIX, SignatureError, Signed, TrustedKey};

/// Names a folder of built reducers, looked into before those of the build.
pub const REDUCERS_VARIABLE: &str = "PUREFOLD_REDUCERS";

/// Where `cargo xtask build` leaves reducers, below the folder of a workspace.
const BUILT_REDUCERS: &str = "target/reducers";

/// The component's bytes, one more than may be loaded at most: the gate refuses what is too large.
pub(super) fn read(manifest: &Manifest, surroundings: &Surroundings<'_>) -> Result<Arc<[u8]>, Finding> {
    let candidates = candidates(manifest, surroundings);
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        return Err(Finding::new(
            "component-missing",
            "reducer.component",
            format!("there is no file `{}`; looked for {}", manifest.reducer.component, looked.join(", ")),
            format!("build the reducer, mend the name, or name its folder in {REDUCERS_VARIABLE}"),
        ));
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(COMPONENT_BYTES_MOST as u64 + 1).read_to_end(&mut bytes)).map_err(|error| {
        Finding::new(
            "component-missing",
            "reducer.component",
            format!("cannot read {}: {error}", path.display()),
            "make the file readable for the user that runs purefold",
        )
    })?;
    if !manifest.reducer.trusted_keys.is_empty() {
        signed(path, &bytes, &manifest.reducer.trusted_keys)?;
    }
    if manifest.reducer.require_certificate {
        certificate::demanded(path, &bytes, &manifest.limits(), &manifest.reducer.trusted_keys)?;
    }
    Ok(bytes.into())
}

/// Why a file has no signature that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsigned {
    /// There is none beside it.
    #[error("{} cannot be read: {cause}", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Why it is not there.
        cause: std::io::Error,
    },
    /// There is one, and it is worth nothing.
    #[error("{} does not hold: {cause}", .path.display())]
    Wrong {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        cause: SignatureError,
    },
}

/// Finds out which of `keys` signed the file of these bytes that lies at `path`.
pub(crate) fn signed_beside(path: &Path, bytes: &[u8], keys: &[TrustedKey]) -> Result<Signed, Unsigned> {
    let beside = PathBuf::from(format!("{}{SIGNATURE_SUFFIX}", path.display()));
    let mut text = String::new();
    let read = std::fs::File::open(&beside).and_then(|file| file.take(signing::MOST_BYTES).read_to_string(&mut text));
    match read.map(|_| signing::check(bytes, &text, keys)) {
        Ok(Ok(signed)) => Ok(signed),
        Ok(Err(cause)) => Err(Unsigned::Wrong { path: beside, cause }),
        Err(cause) => Err(Unsigned::Missing { path: beside, cause }),
    }
}

/// Finds out whether one of `keys` signed the component that lies at `path`.
pub(crate) fn signed(path: &Path, bytes: &[u8], keys: &[TrustedKey]) -> Result<(), Finding> {
    signed_beside(path, bytes, keys).map(drop).map_err(|unsigned| match unsigned {
        Unsigned::Missing { .. } => Finding::new(
            "signature-missing",
            "reducer.trusted-keys",
            format!("the component needs a signature, and {unsigned}"),
            "have whoever answers for the component sign it: `purefold sign COMPONENT --key FILE`",
        ),
        Unsigned::Wrong { .. } => {
            let trusted: Vec<&str> = keys.iter().map(TrustedKey::id).collect();
            Finding::new(
                "signature-wrong",
                "reducer.trusted-keys",
                unsigned.to_string(),
                format!("find out where the component comes from; if it is right, have it signed anew by one of {}", trusted.join(", ")),
            )
        }
    })
}

/// Beside the manifest; in the named folder; among the reducers built in a folder above the manifest or above the current one.
fn candidates(manifest: &Manifest, surroundings: &Surroundings<'_>) -> Vec<PathBuf> {
    let component = Path::new(&manifest.reducer.component);
    let mut candidates = vec![manifest.folder.join(component)];
    if component.is_absolute() {
        return candidates;
    }
    if let Some(folder) = (surroundings.environment)(REDUCERS_VARIABLE).filter(|folder| !folder.is_empty()) {
        candidates.push(Path::new(&folder).join(component));
    }
    let folder = surroundings.current.join(&manifest.folder);
    for above in folder.ancestors().chain(surroundings.current.ancestors()) {
        let candidate = above.join(BUILT_REDUCERS).join(component);
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// Where the component of a manifest lies, in the process's own surroundings.
#[must_use]
pub fn component_path(manifest: &Manifest) -> Option<PathBuf> {
    let surroundings = Surroundings {
        environment: &|name| std::env::var(name).ok(),
        current: std::env::current_dir().unwrap_or_default(),
        open: &purefold_effects::open,
        topics: &crate::source::topics_missing,
    };
    candidates(manifest, &surroundings).into_iter().find(|path| path.is_file())
}
