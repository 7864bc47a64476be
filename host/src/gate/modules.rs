//! One walk over a component: its core modules with what is needed to say where in them something stands.

use std::collections::HashMap;
use std::ops::Range;

use wasmparser::{ExternalKind, KnownCustom, MemoryType, Name, Operator, Parser, Payload, Result, TableType, TypeRef};

/// A core module of a component.
#[derive(Default)]
pub(super) struct Module {
    /// Its bytes within the component.
    pub(super) range: Range<usize>,
    /// The functions that it imports, by function index: module and name.
    pub(super) imports: Vec<(String, String)>,
    /// The bodies of its own functions, in order of their index.
    pub(super) bodies: Vec<Body>,
    /// Names from the name section, by function index.
    pub(super) names: HashMap<u32, String>,
    /// Exported functions by name.
    pub(super) exports: HashMap<String, u32>,
    pub(super) memories: Vec<MemoryType>,
    pub(super) tables: Vec<TableType>,
}

/// A function's body.
pub(super) struct Body {
    pub(super) range: Range<usize>,
    /// The functions that it calls directly, by index, each once.
    pub(super) calls: Vec<u32>,
}

impl Module {
    /// The function whose body contains the byte at `offset`.
    pub(super) fn function_at(&self, offset: usize) -> Option<u32> {
        let found = self.bodies.partition_point(|body| body.range.end <= offset);
        self.bodies.get(found).filter(|body| body.range.contains(&offset)).map(|_| self.index_of_body(found))
    }

    pub(super) fn index_of_body(&self, body: usize) -> u32 {
        u32::try_from(self.imports.len() + body).unwrap_or(u32::MAX)
    }

    /// A function's name as its author knows it, where the module says so.
    pub(super) fn name(&self, function: u32) -> String {
        self.names.get(&function).map_or_else(|| format!("function {function}"), |name| readable(name))
    }
}

/// `_ZN4core…17h…E` and `_RNv…` as `core::…`; other names as they are.
pub(super) fn readable(symbol: &str) -> String {
    // `{:#}` leaves out the hash.
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// All core modules of a component, in order, those of nested components too.
pub(super) fn scan(component: &[u8]) -> Result<Vec<Module>> {
    let mut modules: Vec<Module> = Vec::new();
    // Which module the payloads belong to; none within a component.
    let mut open: Vec<Option<usize>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                open.push(Some(modules.len()));
                modules.push(Module { range: unchecked_range.clone(), ..Module::default() });
                continue;
            }
            Payload::ComponentSection { .. } => {
                open.push(None);
                continue;
            }
            Payload::End(_) => {
                open.pop();
                continue;
            }
            _ => {}
        }
        if let Some(Some(current)) = open.last() {
            take(&mut modules[*current], payload)?;
        }
    }
    Ok(modules)
}

fn take(module: &mut Module, payload: Payload<'_>) -> Result<()> {
    match payload {
        Payload::ImportSection(section) => {
            for import in section.into_imports() {
                let import = import?;
                match import.ty {
                    TypeRef::Func(_) | TypeRef::FuncExact(_) => module.imports.push((import.module.to_owned(), import.name.to_owned())),
                    _ => {}
                }
            }
        }
        Payload::MemorySection(section) => {
            for memory in section {
                module.memories.push(memory?);
            }
        }
        Payload::TableSection(section) => {
            for table in section {
                module.tables.push(table?.ty);
            }
        }
        Payload::ExportSection(section) => {
            for export in section {
                let export = export?;
                if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                    module.exports.insert(export.name.to_owned(), export.index);
                }
            }
        }
        Payload::CodeSectionEntry(body) => {
            let mut calls = Vec::new();
            for operator in body.get_operators_reader()? {
                if let Operator::Call { function_index } | Operator::ReturnCall { function_index } | Operator::RefFunc { function_index } =
                    operator?
                {
                    calls.push(function_index);
                }
            }
            calls.sort_unstable();
            calls.dedup();
            module.bodies.push(Body { range: body.range(), calls });
        }
        Payload::CustomSection(section) => {
            if let KnownCustom::Name(names) = section.as_known() {
                // The section is a courtesy: where it is damaged, functions go by their numbers.
                for name in names.into_iter().map_while(Result::ok) {
                    if let Name::Function(functions) = name {
                        let functions = functions.into_iter().map_while(Result::ok);
                        module.names.extend(functions.map(|naming| (naming.index, naming.name.to_owned())));
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}
