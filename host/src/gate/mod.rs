//! Gates: what keeps an impure component out.
//!
//! [`inspect`] reads a component's bytes and tells everything that the determinism profile does not admit, before any
//! of it is compiled or run: functions that it imports (and who calls them), features outside the profile, sizes over
//! the limits. What the reducer's own types say is the contract's matter (`purefold_wit::contract`).

mod blame;
mod features;
mod imports;
mod modules;
mod profile;
mod sizes;
mod surface;

use purefold_wit::Finding;
use wasmparser::{Encoding, Parser, Payload};

pub use profile::{
    COMPONENT_BYTES_MOST, CORE_INSTANCES_MOST, MEMORIES_MOST, NESTED_COMPONENTS_MOST, PROFILE_FEATURES, TABLE_ELEMENTS_MOST, TABLES_MOST,
};
pub use surface::{Surface, surface};

/// Everything about `component` that keeps it out of the sandbox; nothing where it may go in.
///
/// `memory_bytes` is the memory that a decision may use.
#[must_use]
pub fn inspect_within(component: &[u8], memory_bytes: usize) -> Vec<Finding> {
    if component.len() > COMPONENT_BYTES_MOST {
        return vec![Finding::new(
            "component-too-large",
            "component",
            format!("it has {} bytes, {COMPONENT_BYTES_MOST} are admitted", component.len()),
            "build it with optimisation and without debug information, and leave out what it does not use",
        )];
    }
    if let Some(finding) = not_a_component(component) {
        return vec![finding];
    }
    let modules = match modules::scan(component) {
        Ok(modules) => modules,
        Err(error) => return vec![malformed(component, error.offset(), error.message())],
    };
    let mut findings = Vec::new();
    let types = match features::check(component, &modules, &mut findings) {
        Ok(types) => types,
        Err(error) => {
            findings.push(malformed(component, error.offset(), error.message()));
            return findings;
        }
    };
    imports::check(component, &types, &modules, &mut findings);
    sizes::check(component, &modules, memory_bytes, &mut findings);
    findings
}

/// [`inspect_within`] the memory that a decision may use where no manifest says otherwise.
#[must_use]
pub fn inspect(component: &[u8]) -> Vec<Finding> {
    inspect_within(component, crate::sandbox::Limits::default().memory_bytes)
}

/// Whether the findings tell that the bytes are no component at all, so that nothing more can be read from them.
#[must_use]
pub fn is_unreadable(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| matches!(finding.code, "not-a-component" | "component-too-large"))
}

fn not_a_component(bytes: &[u8]) -> Option<Finding> {
    let finding = |cause: &str, help: &str| Some(Finding::new("not-a-component", "component", cause, help));
    let build = "build the reducer as a WebAssembly component";
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => None,
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => {
            finding("it is a core module, not a component", "make a component of it with `purefold component CORE.wasm -o OUT.wasm`")
        }
        _ if bytes.is_empty() => finding("the file is empty", build),
        _ => finding("it does not begin as a WebAssembly component does", build),
    }
}

fn malformed(component: &[u8], offset: usize, message: &str) -> Finding {
    let message = message.lines().collect::<Vec<_>>().join(": ");
    // Where the file is cut, or where a damaged length points past its end.
    let (cause, help) = if message.contains("unexpected end") {
        (format!("it is cut off or damaged at byte {offset} of {}: {message}", component.len()), "copy or build it again")
    } else {
        (format!("at byte {offset}: {message}"), "build it again: the file is damaged or comes from a faulty tool")
    };
    Finding::new("not-a-component", "component", cause, help)
}

#[cfg(test)]
mod tests;
