//! Whether a component has a certificate that counts.

use std::io::Read;
use std::path::{Path, PathBuf};

use purefold_wit::{Contract, Finding};

use super::Statement;
use crate::journal::{hex, sha256};
use crate::sandbox::Limits;
use crate::signing::{Signed, TrustedKey};
use crate::workflow::{Unsigned, signed_beside};

/// What a certificate's file is called, after the name of the component.
pub const CERTIFICATE_SUFFIX: &str = ".certificate.json";

/// Longest certificate that is read.
const MOST_BYTES: u64 = 4 << 20;

/// Where the findings are placed.
const PLACE: &str = "reducer.require-certificate";

/// What the missing one is had from.
const CERTIFY: &str = "have whoever answers for the component certify it: `purefold certify COMPONENT --sign KEYFILE`";

/// Where the certificate of the component at `path` lies.
#[must_use]
pub fn certificate_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}{CERTIFICATE_SUFFIX}", path.display()))
}

/// The certificate of the component of these bytes at `path`, and who signed it: one of `keys`, for this component with this
/// contract, under these limits, and without a gate that was not passed.
///
/// # Errors
/// What is wrong with it.
pub fn demanded(path: &Path, component: &[u8], limits: &Limits, keys: &[TrustedKey]) -> Result<(Statement, Signed), Finding> {
    let file = certificate_of(path);
    let missing =
        |cause: String| Finding::new("certificate-missing", PLACE, format!("the component needs a certificate, and {cause}"), CERTIFY);
    let wrong = |cause: String| {
        let ids: Vec<&str> = keys.iter().map(TrustedKey::id).collect();
        let help = format!("find out where it comes from; if the component is right, have it certified anew by one of {}", ids.join(", "));
        Finding::new("certificate-wrong", PLACE, cause, help)
    };
    if keys.is_empty() {
        let help = "name public keys by --trusted-keys, or in the manifest as reducer.trusted-keys";
        return Err(Finding::new("certificate-wrong", PLACE, "nobody is trusted to have certified anything", help));
    }
    let mut text = String::new();
    let read = std::fs::File::open(&file).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    if let Err(cause) = read {
        return Err(missing(format!("{} cannot be read: {cause}", file.display())));
    }
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(format!("{} is longer than {MOST_BYTES} bytes", file.display())));
    }
    let signed = signed_beside(&file, text.as_bytes(), keys).map_err(|unsigned| match unsigned {
        Unsigned::Missing { .. } => missing(format!("it is not signed: {unsigned}")),
        Unsigned::Wrong { .. } => wrong(unsigned.to_string()),
    })?;
    let statement = Statement::read(&text).map_err(|reason| wrong(format!("{}: {reason}", file.display())))?;
    fits(&statement, component, limits).map_err(|cause| {
        Finding::new(
            "certificate-other",
            PLACE,
            format!("{} is {cause}", file.display()),
            "have this component certified, with this manifest's limits",
        )
    })?;
    match statement.refused() {
        None => Ok((statement, signed)),
        Some((gate, finding)) => Err(Finding::new(
            "certificate-refused",
            PLACE,
            format!("{} says that the gate `{gate}` was not passed: {finding}", file.display()),
            "mend the reducer and have it certified anew; or, where the difference is wanted, have that said: `purefold certify --expect PATH`",
        )),
    }
}

/// Says of what else the statement is, where it is not of this.
fn fits(statement: &Statement, component: &[u8], limits: &Limits) -> Result<(), String> {
    let (digest, profile) = (hex(&sha256(component)), limits.semantic_profile());
    if statement.component.sha256 != digest {
        return Err(format!("for the component {}, and this is {digest}", statement.component.sha256));
    }
    if statement.profile != profile {
        return Err(format!("for the profile `{}`, and here it is `{profile}`", statement.profile));
    }
    // A component that has none is told of by the gates.
    let Ok(contract) = Contract::read(component) else { return Ok(()) };
    if statement.contract.fingerprint != contract.fingerprint() {
        return Err(format!("for the contract {}, and this component's is {}", statement.contract.fingerprint, contract.fingerprint()));
    }
    Ok(())
}
