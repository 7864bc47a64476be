//! Where a manifest's component lies.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use purefold_wit::Finding;

use super::{Manifest, Surroundings};
use crate::gate::COMPONENT_BYTES_MOST;
use crate::signing::{self, SIGNATURE_SUFFIX, TrustedKey};

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
    Ok(bytes.into())
}

/// Finds out whether one of `keys` signed the component that lies at `path`.
pub(crate) fn signed(path: &Path, bytes: &[u8], keys: &[TrustedKey]) -> Result<(), Finding> {
    let beside = PathBuf::from(format!("{}{SIGNATURE_SUFFIX}", path.display()));
    let mut text = String::new();
    let read = std::fs::File::open(&beside).and_then(|file| file.take(signing::MOST_BYTES).read_to_string(&mut text));
    if let Err(error) = read {
        return Err(Finding::new(
            "signature-missing",
            "reducer.trusted-keys",
            format!("the component needs a signature, and {} cannot be read: {error}", beside.display()),
            "have whoever answers for the component sign it: `purefold sign COMPONENT --key FILE`",
        ));
    }
    signing::check(bytes, &text, keys).map(|_| ()).map_err(|error| {
        let trusted: Vec<&str> = keys.iter().map(TrustedKey::id).collect();
        Finding::new(
            "signature-wrong",
            "reducer.trusted-keys",
            format!("{} does not hold: {error}", beside.display()),
            format!("find out where the component comes from; if it is right, have it signed anew by one of {}", trusted.join(", ")),
        )
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
