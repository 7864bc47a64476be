//! Who may change whom a workflow trusts, and with what: whoever has one of the keys in force.

use std::path::Path;

use purefold_wit::Finding;

use crate::signing::TrustedKey;
use crate::workflow::manifest::ReducerSettings;
use crate::workflow::{Manifest, signed_beside};

/// Whom the manifest of a release trusts, and whether certificates are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trust {
    /// Keys of which one must have signed the component.
    pub keys: Vec<TrustedKey>,
    /// Whether one must have certified it too.
    pub certified: bool,
}

impl From<&ReducerSettings> for Trust {
    fn from(settings: &ReducerSettings) -> Self {
        Trust { keys: settings.trusted_keys.clone(), certified: settings.require_certificate }
    }
}

impl Trust {
    /// Whether this admits no component that `other` refuses: keys may have gone, as long as one is left.
    fn is_within(&self, other: &Trust) -> bool {
        let keys = !self.keys.is_empty() && self.keys.iter().all(|key| other.keys.contains(key));
        keys && (self.certified || !other.certified)
    }
}

/// Whom the manifest of a release trusts.
///
/// # Errors
/// Where the environment does not have what the keys are made of.
pub fn trust_of(path: &Path, manifest: &str) -> Result<Trust, Vec<Finding>> {
    // Whatever else a variable stands for has nothing to do with it.
    let environment = |name: &str| std::env::var(name).ok().or_else(|| Some(format!("${{{name}}}")));
    let (read, mut findings) = Manifest::parse(path, manifest, &environment);
    let Some(manifest) = read else { return Err(findings) };
    findings.retain(|finding| ["trusted-keys", "require-certificate"].iter().any(|setting| finding.place.contains(setting)));
    if findings.is_empty() { Ok((&manifest.reducer).into()) } else { Err(findings) }
}

/// What keeps a manifest, whose text lies at `lies_at`, from having `new` trusted after `in_force`. Keys may go, as long as one is
/// left. None may come, they may not go altogether, and certificates may not cease to be asked for, without a signature of the
/// manifest by a key in force: else whoever brings a manifest would say by themselves whom to trust.
///
/// # Errors
/// With the finding.
pub fn may_trust(in_force: &Trust, new: &Trust, manifest: &str, lies_at: Option<&Path>) -> Result<(), Finding> {
    if in_force.keys.is_empty() || new.is_within(in_force) {
        return Ok(());
    }
    let ids: Vec<&str> = in_force.keys.iter().map(TrustedKey::id).collect();
    let why = match lies_at.map(|path| signed_beside(path, manifest.as_bytes(), &in_force.keys)) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(unsigned)) => unsigned.to_string(),
        None => "it comes from the store".into(),
    };
    let change = if new.keys.is_empty() {
        "trusts nobody any more"
    } else if new.keys.iter().all(|key| in_force.keys.contains(key)) {
        "asks for certificates no more"
    } else {
        "trusts keys that are not trusted now"
    };
    Err(Finding::new(
        "release-keys-changed",
        "reducer.trusted-keys",
        format!("the manifest {change}, and no signature of it by a key in force ({}) says that it may: {why}", ids.join(", ")),
        "keep to the keys in force, or have the manifest signed by one of them: `purefold sign MANIFEST --key FILE`",
    ))
}
