//! Who calls an imported function: a search from the import upwards through the core modules' direct calls, to the first
//! function that is not part of a runtime. A courtesy to the reader of a finding; nothing rests on it.

use std::collections::{HashMap, HashSet, VecDeque};

use super::modules::Module;

/// Callers that a finding names.
const CALLERS_SHOWN: usize = 3;

/// Imports whose callers are searched for; a component with more is told enough.
const SEARCHES_MOST: usize = 100;

/// Crates that call on behalf of others.
const RUNTIME_CRATES: &[&str] = &[
    "std",
    "core",
    "alloc",
    "compiler_builtins",
    "panic_abort",
    "panic_unwind",
    "std_detect",
    "unwind",
    "__rustc",
    "wasi",
    "wasip1",
    "wasip2",
    "wasip3",
    "wit_bindgen",
    "wit_bindgen_rt",
    "wasi_snapshot_preview1",
    "dlmalloc",
    "hashbrown",
    "libc",
];

/// A function of a module.
type Node = (usize, u32);

/// Interface and function of an import.
type Import<'a> = (&'a str, &'a str);

/// Linking may have raised an interface's version, and newer tools put a prefix before it.
fn same_interface(core: &str, component: &str) -> bool {
    fn bare(name: &str) -> &str {
        let name = name.rsplit_once('|').map_or(name, |(_, name)| name);
        name.split_once('@').map_or(name, |(name, _)| name)
    }
    bare(core) == bare(component)
}

/// The calls of a component's core modules, from callee to caller.
pub(super) struct Graph<'a> {
    modules: &'a [Module],
    callers: HashMap<Node, Vec<Node>>,
    /// The imports of all modules, by the imported function's name.
    imports: HashMap<&'a str, Vec<(&'a str, Node)>>,
    /// Searches that may still be made.
    searches: usize,
}

impl<'a> Graph<'a> {
    pub(super) fn new(modules: &'a [Module]) -> Self {
        let mut imports: HashMap<&str, Vec<(&str, Node)>> = HashMap::new();
        let mut callers: HashMap<Node, Vec<Node>> = HashMap::new();
        for (index, module) in modules.iter().enumerate() {
            for (import, (from, name)) in (0..).zip(&module.imports) {
                imports.entry(name).or_default().push((from, (index, import)));
            }
            for (body, calls) in module.bodies.iter().enumerate() {
                let caller = (index, module.index_of_body(body));
                for callee in &calls.calls {
                    callers.entry((index, *callee)).or_default().push(caller);
                }
            }
        }
        // An adapter between an older system interface and the component's: its exports meet the other module's imports by name.
        for (index, module) in modules.iter().enumerate() {
            for (name, function) in &module.exports {
                let importers =
                    imports.get(name.as_str()).into_iter().flatten().filter(|(from, node)| node.0 != index && !from.contains(':'));
                callers.entry((index, *function)).or_default().extend(importers.map(|(_, node)| *node));
            }
        }
        Graph { modules, callers, imports, searches: SEARCHES_MOST }
    }

    /// `; it is called by …`, for the end of a sentence about an import; empty where the component does not tell.
    pub(super) fn callers(&mut self, (interface, name): Import<'_>) -> String {
        let Some(searches) = self.searches.checked_sub(1) else { return String::new() };
        self.searches = searches;
        let starts: Vec<Node> = self
            .imports
            .get(name)
            .into_iter()
            .flatten()
            .filter(|(from, _)| same_interface(from, interface))
            .map(|(_, node)| *node)
            .collect();
        let found = self.authors(&starts);
        if !found.is_empty() {
            let told: Vec<String> = found.into_iter().take(CALLERS_SHOWN).map(|node| self.tell(node)).collect();
            return format!("; it is called by {}", told.join(", and by "));
        }
        let mut direct: Vec<String> = starts
            .iter()
            .flat_map(|start| self.callers_of(*start))
            .filter(|(module, function)| self.modules[*module].names.contains_key(function))
            .map(|(module, function)| format!("`{}`", self.modules[module].name(function)))
            .collect();
        direct.sort();
        direct.dedup();
        direct.truncate(CALLERS_SHOWN);
        if direct.is_empty() { String::new() } else { format!("; it is called by {}", direct.join(", ")) }
    }

    fn callers_of(&self, node: Node) -> impl Iterator<Item = Node> {
        self.callers.get(&node).into_iter().flatten().copied()
    }

    fn crate_of(&self, (module, function): Node) -> Option<String> {
        let name = self.modules[module].names.get(&function)?;
        crate_of(&super::modules::readable(name)).filter(|name| !RUNTIME_CRATES.contains(&name.as_str()))
    }

    /// The nearest functions above `starts` that belong to no runtime, nearest first; one for each crate.
    fn authors(&self, starts: &[Node]) -> Vec<Node> {
        let mut found = Vec::new();
        let mut crates = HashSet::new();
        let mut seen: HashSet<Node> = starts.iter().copied().collect();
        let mut next: VecDeque<Node> = starts.iter().copied().collect();
        while let Some(node) = next.pop_front() {
            if let Some(name) = self.crate_of(node) {
                if crates.insert(name) {
                    found.push(node);
                }
                continue;
            }
            next.extend(self.callers_of(node).filter(|caller| seen.insert(*caller)));
        }
        found
    }

    /// The function, its crate, and the crates that it is called from.
    fn tell(&self, node: Node) -> String {
        let name = self.modules[node.0].name(node.1);
        let own = self.crate_of(node).unwrap_or_default();
        let mut users = Vec::new();
        let mut seen = HashSet::from([node]);
        let mut next = VecDeque::from([node]);
        while let Some(node) = next.pop_front() {
            if let Some(user) = self.crate_of(node).filter(|user| *user != own && !users.contains(user)) {
                users.push(user);
            }
            next.extend(self.callers_of(node).filter(|caller| seen.insert(*caller)));
        }
        users.truncate(CALLERS_SHOWN);
        let used = if users.is_empty() { String::new() } else { format!(", which is used by `{}`", users.join("`, `")) };
        format!("`{name}` of the crate `{own}`{used}")
    }
}

/// The crate at the head of a Rust path: `a` of `a::b`, `<a::B as c::D>::e` and `<&mut a::B>::c`. None for names of other languages.
fn crate_of(path: &str) -> Option<String> {
    let head = path.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    let head = ["mut ", "dyn ", "const ", "impl "].iter().fold(head, |head, word| head.strip_prefix(word).unwrap_or(head));
    let (name, rest) = head.split_once("::")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !rest.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_the_head_of_the_path() {
        for (path, expected) in [
            ("orders::decide", Some("orders")),
            ("<orders::Order as core::fmt::Debug>::fmt", Some("orders")),
            ("<&mut orders::Order>::x", Some("orders")),
            ("clock_gettime", None),
            ("<T as X>::y", None),
        ] {
            assert_eq!(crate_of(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn interfaces_are_the_same_in_all_versions() {
        assert!(same_interface("wasi:clocks/wall-clock@0.2.0", "wasi:clocks/wall-clock@0.2.6"));
        assert!(same_interface("cm32p2|wasi:clocks/wall-clock@0.2", "wasi:clocks/wall-clock@0.2.6"));
        assert!(!same_interface("wasi:clocks/wall-clock@0.2.0", "wasi:clocks/monotonic-clock@0.2.0"));
    }
}
