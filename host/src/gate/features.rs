//! Features outside the profile.

use purefold_wit::Finding;
use wasmparser::types::Types;
use wasmparser::{Result, Validator, WasmFeatures};

use super::modules::Module;
use super::profile::{FORBIDDEN, PROFILE_FEATURES};

/// Validates the component, adding one finding for each feature that the profile does not admit, at its first use.
///
/// The component is validated under the profile; what it lacks is noted and admitted, until it is valid.
///
/// # Errors
/// Where it is not valid whatever is admitted.
pub(super) fn check(component: &[u8], modules: &[Module], findings: &mut Vec<Finding>) -> Result<Types> {
    let mut admitted = PROFILE_FEATURES;
    loop {
        let error = match Validator::new_with_features(admitted).validate_all(component) {
            Ok(types) => return Ok(types),
            Err(error) => error,
        };
        // Each round admits one more of finitely many features.
        let missing = error.missing_wasm_feature().map(|feature| feature.difference(admitted)).filter(|feature| !feature.is_empty());
        let Some(missing) = missing.or_else(|| guess(error.message(), admitted)) else { return Err(error) };
        admitted |= missing;
        findings.push(finding(missing, error.offset(), error.message(), modules));
    }
}

/// The feature that a message tells of where the validator does not name one.
fn guess(message: &str, admitted: WasmFeatures) -> Option<WasmFeatures> {
    [
        ("multi-memory", WasmFeatures::MULTI_MEMORY),
        ("multiple memories", WasmFeatures::MULTI_MEMORY),
        ("multiple tables", WasmFeatures::REFERENCE_TYPES),
    ]
    .into_iter()
    .find(|(words, feature)| message.contains(words) && !admitted.contains(*feature))
    .map(|(_, feature)| feature)
}

fn finding(feature: WasmFeatures, offset: usize, message: &str, modules: &[Module]) -> Finding {
    let known = FORBIDDEN.iter().find(|known| known.feature.intersects(feature));
    let (name, help) = known.map_or_else(
        || {
            let names: Vec<String> = feature.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-")).collect();
            (names.join(", "), "build for the WebAssembly 2.0 feature set")
        },
        |known| (known.name.to_owned(), known.help),
    );
    let function = modules
        .iter()
        .find(|module| module.range.contains(&offset))
        .and_then(|module| module.function_at(offset).map(|function| module.name(function)));
    let place = function.map_or_else(|| format!("byte {offset}"), |function| format!("{function} (byte {offset})"));
    let message = message.lines().next_back().unwrap_or_default();
    Finding::new("feature-forbidden", place, format!("it uses {name}, which the determinism profile does not admit: {message}"), help)
}
