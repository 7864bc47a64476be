//! Components that were linked lately.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Result};

use super::reducer::Guard;

/// Components that are kept: those of a host's workflows, and of releases that wait or perform. Each takes about as much memory
/// as its code.
const MOST: usize = 16;

/// A component under its digest, compiled and linked.
type Kept = ([u8; 32], Component, InstancePre<Guard>);

/// What one engine has linked, the latest last.
#[derive(Default)]
pub(super) struct Linked(Mutex<Vec<Kept>>);

impl Linked {
    /// The component of these bytes, compiled and linked against nothing.
    pub(super) fn of(&self, engine: &Engine, bytes: &[u8]) -> Result<(Component, InstancePre<Guard>)> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if let Some((_, component, instance)) = self.known(&digest) {
            return Ok((component, instance));
        }
        // Not under the lock: compilation takes long, and twice is no harm.
        let component = Component::from_binary(engine, bytes)?;
        // The one linker there is. It stays empty: whatever a component imports beyond types is missing here.
        let instance = Linker::new(engine).instantiate_pre(&component)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push((digest, component.clone(), instance.clone()));
        Ok((component, instance))
    }

    /// What is kept under that digest, which is the latest then.
    fn known(&self, digest: &[u8; 32]) -> Option<Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(known, _, _)| known == digest)?;
        let found = kept.remove(found);
        kept.push(found.clone());
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    fn component(exports: usize) -> Vec<u8> {
        let names: String = (0..exports).map(|number| format!("(export \"e{number}\" (func $f))")).collect();
        let text = format!(
            "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
               (func $f (canon lift (core func $i \"f\"))) {names})"
        );
        wat::parse_str(text).expect("a component")
    }

    #[test]
    fn what_was_linked_lately_is_kept_up_to_a_bound() {
        let sandbox = crate::sandbox::Sandbox::new().expect("a sandbox");
        let linked = Linked::default();
        let keeps = |number: usize| linked.known(&Sha256::digest(component(number)).into()).is_some();
        for number in 0..MOST {
            linked.of(&sandbox.engine, &component(number)).expect("it links");
        }
        assert!((0..MOST).all(keeps));
        // The first is asked for again, so the second is the eldest when one more comes.
        linked.of(&sandbox.engine, &component(0)).expect("it links");
        linked.of(&sandbox.engine, &component(MOST)).expect("it links");
        assert!(!keeps(1));
        assert!(keeps(0) && keeps(MOST));
    }
}
