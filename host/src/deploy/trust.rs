//! Who may change the keys that a workflow trusts: whoever has one of those in force.

use std::path::Path;

use purefold_wit::Finding;

use crate::signing::TrustedKey;
use crate::workflow::{Manifest, signed_beside};

/// The keys that the manifest of a release trusts.
///
/// # Errors
/// Where the environment does not have what they are made of.
pub fn trusted_keys(path: &Path, manifest: &str) -> Result<Vec<TrustedKey>, Vec<Finding>> {
    // Whatever else a variable stands for has nothing to do with it.
    let environment = |name: &str| std::env::var(name).ok().or_else(|| Some(format!("${{{name}}}")));
    let (read, mut findings) = Manifest::parse(path, manifest, &environment);
    let Some(manifest) = read else { return Err(findings) };
    findings.retain(|finding| finding.place.contains("trusted-keys"));
    if findings.is_empty() { Ok(manifest.reducer.trusted_keys) } else { Err(findings) }
}

/// What keeps a manifest, whose text lies at `lies_at`, from having `new` trusted after `in_force`. Keys may go, as long as one is
/// left. None may come, and they may not go altogether, without a signature of the manifest by a key in force: else whoever
/// brings a manifest would say by themselves whom to trust.
///
/// # Errors
/// With the finding.
pub fn may_trust(in_force: &[TrustedKey], new: &[TrustedKey], manifest: &str, lies_at: Option<&Path>) -> Result<(), Finding> {
    let fewer = !new.is_empty() && new.iter().all(|key| in_force.contains(key));
    if in_force.is_empty() || fewer {
        return Ok(());
    }
    let ids: Vec<&str> = in_force.iter().map(TrustedKey::id).collect();
    let why = match lies_at.map(|path| signed_beside(path, manifest.as_bytes(), in_force)) {
        Some(Ok(())) => return Ok(()),
        Some(Err(unsigned)) => unsigned.to_string(),
        None => "it comes from the store".into(),
    };
    let change = if new.is_empty() { "trusts nobody any more" } else { "trusts keys that are not trusted now" };
    Err(Finding::new(
        "release-keys-changed",
        "reducer.trusted-keys",
        format!("the manifest {change}, and no signature of it by a key in force ({}) says that it may: {why}", ids.join(", ")),
        "keep to the keys in force, or have the manifest signed by one of them: `purefold sign MANIFEST --key FILE`",
    ))
}
