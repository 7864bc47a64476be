//! Making a component of a core module.

use wit_component::ComponentEncoder;

/// Why a core module does not become a component.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a component of the core module: {reason}")]
pub struct ComponentizeError {
    reason: String,
}

/// The component of a core module that carries its world in custom sections, as `wit-bindgen` leaves them.
///
/// No adapter is known, so that a module with WASI imports of the core kind is refused here. The same module gives the
/// same bytes, and the result is valid.
///
/// # Errors
/// The module is none, describes no world, or imports or exports what its world does not have.
pub fn componentize(core_module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    let encode = || ComponentEncoder::default().validate(true).module(core_module)?.encode();
    // The alternate form has the whole chain of causes.
    encode().map_err(|error| ComponentizeError { reason: format!("{error:#}") })
}
