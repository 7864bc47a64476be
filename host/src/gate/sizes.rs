//! Memories, tables and instances over the limits.

use purefold_wit::Finding;
use wasmparser::{Instance, Parser, Payload};

use super::modules::Module;
use super::profile::{CORE_INSTANCES_MOST, MEMORIES_MOST, NESTED_COMPONENTS_MOST, TABLE_ELEMENTS_MOST, TABLES_MOST};

/// Bytes of a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

pub(super) fn check(component: &[u8], modules: &[Module], memory_bytes: usize, findings: &mut Vec<Finding>) {
    let pages_most = memory_bytes as u64 / PAGE_BYTES;
    let memories = modules.iter().flat_map(|module| &module.memories);
    for memory in memories.clone() {
        let (what, pages) = match memory.maximum {
            Some(maximum) if maximum > pages_most && memory.initial <= pages_most => ("may grow to", maximum),
            _ => ("begins with", memory.initial),
        };
        if pages > pages_most {
            findings.push(Finding::new(
                "memory-too-large",
                "memory",
                format!("the memory {what} {pages} pages of 64 KiB, a decision may use {pages_most}"),
                "make the reducer's data and stack smaller, or raise `limits.memory` in the manifest",
            ));
        }
    }
    for table in modules.iter().flat_map(|module| &module.tables) {
        let elements = table.maximum.unwrap_or(table.initial).max(table.initial);
        if elements > TABLE_ELEMENTS_MOST {
            findings.push(Finding::new(
                "table-too-large",
                "table",
                format!("a table of {elements} elements, {TABLE_ELEMENTS_MOST} are admitted"),
                "use fewer function pointers and trait objects, or let the linker drop what is not used",
            ));
        }
    }
    let (instances, nesting) = structure(component);
    for (what, count, most) in [
        ("memories", memories.count(), MEMORIES_MOST),
        ("tables", modules.iter().map(|module| module.tables.len()).sum(), TABLES_MOST),
        ("core instances", instances, CORE_INSTANCES_MOST),
        ("nested components", nesting, NESTED_COMPONENTS_MOST),
    ] {
        if count > most {
            findings.push(Finding::new(
                "component-too-complex",
                "component",
                format!("it has {count} {what}, {most} are admitted"),
                "link the reducer into one core module and make the component of that",
            ));
        }
    }
}

/// Core instances that are made of modules, and components within the component. The bytes have been walked before.
fn structure(component: &[u8]) -> (usize, usize) {
    let (mut instances, mut nested) = (0, 0);
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::InstanceSection(section) => {
                instances += section.into_iter().filter(|instance| matches!(instance, Ok(Instance::Instantiate { .. }))).count();
            }
            Payload::ComponentSection { .. } => nested += 1,
            _ => {}
        }
    }
    (instances, nested)
}
