//! From a component's bytes to its WIT.

use std::panic::catch_unwind;

use wasmparser::names::{ComponentName, ComponentNameKind};
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldId};

use crate::Finding;

/// The WIT of a component.
pub(super) fn decode(bytes: &[u8]) -> Result<(Resolve, WorldId), Finding> {
    const BUILD: &str = "componentise the reducer's core module, for instance with `cargo xtask build`";
    if Parser::is_core_wasm(bytes) {
        return Err(refused("it is a core module, not a component", BUILD));
    }
    if !Parser::is_component(bytes) {
        return Err(refused("it does not begin as a WebAssembly component does", "give the path of a `.wasm` component"));
    }
    if let Some(name) = function_without_a_plain_name(bytes) {
        return Err(refused(
            &format!("the function `{name}` has a name that WIT has no form for"),
            "build the component from a WIT world, whose functions have plain names",
        ));
    }
    // The decoder asserts what validation does not promise, such as that no type import stands for a component's type.
    // A component that it stumbles over is one that WIT cannot describe, not a defect of the host.
    let decoded = catch_unwind(|| wit_component::decode(bytes))
        .map_err(|_| refused("WIT has no form for what it imports or exports", "build the component from a WIT world"))?;
    match decoded {
        Ok(DecodedWasm::Component(resolve, world)) => Ok((resolve, world)),
        Ok(DecodedWasm::WitPackage(..)) => Err(refused("it is a WIT package in binary form: types without code", BUILD)),
        Err(error) => {
            Err(refused(&format!("it cannot be read as a component: {error:#}"), "build it again; the file may be cut short or damaged"))
        }
    }
}

/// The first imported or exported function that is named like an interface or a location: these are valid, and beyond
/// WIT and its decoder.
fn function_without_a_plain_name(bytes: &[u8]) -> Option<String> {
    let plain = |name: &str| match ComponentName::new(name, 0) {
        Ok(name) => !matches!(
            name.kind(),
            ComponentNameKind::Interface(_) | ComponentNameKind::Url(_) | ComponentNameKind::Hash(_) | ComponentNameKind::Dependency(_)
        ),
        // The decoder says what is wrong with it.
        Err(_) => true,
    };
    let mut depth = 0u32;
    // What cannot be parsed ends the search; the decoder meets it again and says so.
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section.into_iter().map_while(Result::ok) {
                    if matches!(import.ty, ComponentTypeRef::Func(_)) && !plain(import.name.name) {
                        return Some(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section.into_iter().map_while(Result::ok) {
                    if export.kind == ComponentExternalKind::Func && !plain(export.name.name) {
                        return Some(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    None
}

fn refused(cause: &str, help: &str) -> Finding {
    Finding::new("not-a-component", "component", cause, help)
}
