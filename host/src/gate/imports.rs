//! Function imports: none is admitted. An instance that exports types only is, since nothing in it can be called.

use purefold_wit::Finding;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::Types;
use wasmparser::{Encoding, Parser, Payload};

use super::blame::Graph;
use super::modules::Module;

/// How deep instances of instances are followed; the validator admits no deeper ones.
const DEPTH_MOST: usize = 100;

pub(super) fn check(component: &[u8], types: &Types, modules: &[Module], findings: &mut Vec<Finding>) {
    let mut walk = Walk { types, graph: Graph::new(modules), findings };
    for name in names(component) {
        if let Some(item) = types.as_ref().component_item_for_import(&name) {
            walk.entity(&name, None, &item.ty, 0);
        }
    }
}

/// The names of the outermost component's imports. The bytes have been validated.
pub(super) fn names(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                names.extend(section.into_iter().map_while(Result::ok).map(|import| import.name.name.to_owned()));
            }
            _ => {}
        }
    }
    names
}

struct Walk<'a> {
    types: &'a Types,
    graph: Graph<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    /// `name` is what is imported, `within` the interface that it is exported by, where it is not imported by itself.
    fn entity(&mut self, name: &str, within: Option<&str>, entity: &ComponentEntityType, depth: usize) {
        let what = match entity {
            ComponentEntityType::Func(_) => return self.function(name, within),
            ComponentEntityType::Instance(id) if depth < DEPTH_MOST => {
                let inner = within.map_or_else(|| name.to_owned(), |within| format!("{within}/{name}"));
                for (export, item) in &self.types[*id].exports {
                    self.entity(export, Some(&inner), &item.ty, depth + 1);
                }
                return;
            }
            // Its functions tell of a resource that is used; one without functions cannot be.
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => "a resource",
            ComponentEntityType::Type { .. } => return,
            ComponentEntityType::Instance(_) => "deeply nested instances",
            ComponentEntityType::Module(_) => "a core module",
            ComponentEntityType::Value(_) => "a value",
            ComponentEntityType::Component(_) => "a component",
        };
        self.findings.push(Finding::new(
            "import-forbidden",
            place(name, within),
            format!("the component imports {what}"),
            "import types only: everything that a decision may depend on is in context, state and input",
        ));
    }

    fn function(&mut self, name: &str, within: Option<&str>) {
        let of = within.map_or_else(String::new, |within| format!(" of `{within}`"));
        let callers = self.graph.callers((within.unwrap_or("$root"), name));
        self.findings.push(Finding::new(
            "function-import",
            place(name, within),
            format!("the component imports the function `{name}`{of}{callers}"),
            help(within.unwrap_or(name)),
        ));
    }
}

fn place(name: &str, within: Option<&str>) -> String {
    within.map_or_else(|| name.to_owned(), |within| format!("{within}#{name}"))
}

/// What to do instead, for the interfaces that reducers are found to import.
fn help(interface: &str) -> &'static str {
    const WAYS_OUT: &[(&str, &str)] = &[
        ("wasi:clocks", "take the time from `context.now`"),
        ("wasi:random", "make what must be random from `context.seed`"),
        ("wasi:filesystem", "emit an intent: an effect reads and writes, its outcome comes back as an input"),
        ("wasi:sockets", "emit an intent: an effect talks to the network, its outcome comes back as an input"),
        ("wasi:http", "emit an intent for an `http` effect, its outcome comes back as an input"),
        ("wasi:keyvalue", "emit an intent for a `key-value` effect, its outcome comes back as an input"),
        ("wasi:cli/environment", "put what differs from place to place into the input or the state"),
        ("wasi:cli", "return what is to be told as intents; for wasm32-unknown-unknown the standard library imports none of this"),
        ("wasi:io", "return what is to be told as intents; for wasm32-unknown-unknown the standard library imports none of this"),
    ];
    WAYS_OUT
        .iter()
        .find(|(prefix, _)| interface.starts_with(prefix))
        .map_or("take out the call: a reducer turns context, state and input into state and intents, and calls nobody", |(_, help)| help)
}
