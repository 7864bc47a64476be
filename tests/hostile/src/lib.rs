//! What reads foreign bytes, each as a function that must neither panic nor hang nor disagree with itself, whatever the bytes.

#![allow(clippy::panic, clippy::expect_used, reason = "a broken promise stops the run that found it")]

mod mutate;
mod seeds;
mod types;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use purefold::gate;
use purefold::sandbox::{Limits, Sandbox};
use purefold::source::CloudEvent;
use purefold::workflow::Manifest;
use purefold_wit::{Codec, Contract, UnknownFields, Value};

pub use mutate::Mutator;
pub use seeds::seeds;

/// Something that reads foreign bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The JSON codec, over a type of every shape.
    Codec,
    /// The CloudEvent envelope.
    Event,
    /// The manifest.
    Manifest,
    /// The component gate, the reading of a contract, and compiling some of what both admit.
    Component,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 4] = [Target::Codec, Target::Event, Target::Manifest, Target::Component];

    /// Its name on the command line and of its folder of seeds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Target::Codec => "codec",
            Target::Event => "event",
            Target::Manifest => "manifest",
            Target::Component => "component",
        }
    }

    /// The target of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Reads `bytes`.
    ///
    /// # Panics
    /// Where reading panics, or where what was read does not come back from what is written of it.
    pub fn read(self, bytes: &[u8]) {
        match self {
            Target::Codec => codec(bytes),
            Target::Event => event(bytes),
            Target::Manifest => manifest(bytes),
            Target::Component => component(bytes),
        }
    }
}

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::new(&types::everything()));

fn codec(bytes: &[u8]) {
    // What is taken with unknown fields refused is taken with them ignored, and is the same.
    let strict = CODEC.decode("input", bytes, UnknownFields::Refuse);
    let loose = CODEC.decode("input", bytes, UnknownFields::Ignore);
    let written = |value: &Value| {
        let mut canonical = Vec::new();
        CODEC.encode(value, &mut canonical).map(|()| canonical).map_err(|error| error.code)
    };
    match (&strict, &loose) {
        // As it is written: a NaN equals nothing, not even itself.
        (Ok(strict), Ok(loose)) => assert_eq!(written(strict), written(loose)),
        (Ok(_), Err(error)) => panic!("refusing unknown fields takes what ignoring them does not: {error}"),
        (Err(error), _) => assert!(!error.reason.is_empty(), "an error says why"),
    }
    let Ok(value) = loose else { return };
    // Some values have no JSON form: an instant past 9999, a key twice.
    let Ok(canonical) = written(&value) else { return };
    let again = CODEC.decode("input", &canonical, UnknownFields::Refuse).expect("what is written can be read");
    assert_eq!(Ok(canonical), written(&again), "the canonical form is one");
}

fn event(bytes: &[u8]) {
    let Ok(event) = CloudEvent::read(bytes) else { return };
    assert!(!event.id().is_empty() && !event.source().is_empty() && !event.ty().is_empty(), "an envelope names its event");
    // May be wrong; must say so.
    let _ = event.time();
    let _ = event.correlation_id();
    assert!(bytes.len() >= event.data().len(), "the data is part of the event");
}

fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (manifest, findings) = Manifest::parse(Path::new("hostile.toml"), text, &|name| (name.len() % 2 == 0).then(|| "value".to_owned()));
    assert!(manifest.is_some() || !findings.is_empty(), "what is no manifest has a finding");
    assert!(findings.iter().all(|finding| !finding.code.is_empty() && !finding.cause.is_empty()), "a finding has a code and a cause");
}

/// Of the components that gate and contract admit, one in so many is compiled: that takes a hundred times as long as all
/// the reading before it.
const COMPILED_ONE_IN: u64 = 16;

/// Whether these bytes are among those that are compiled: the same bytes always are, or never.
fn is_compiled(bytes: &[u8]) -> bool {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish().is_multiple_of(COMPILED_ONE_IN)
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().expect("a sandbox"));

fn component(bytes: &[u8]) {
    let findings = gate::inspect(bytes);
    if gate::is_unreadable(&findings) {
        return;
    }
    let Ok(contract) = Contract::read(bytes) else { return };
    assert_eq!(contract.fingerprint(), contract.fingerprint());
    if findings.is_empty() && is_compiled(bytes) {
        // What both admit may still be refused by the compiler, in so many words.
        let _ = SANDBOX.load(bytes, Arc::new(contract), Limits::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_what_is_admitted_is_compiled() {
        let (mut mutator, seeds) = (Mutator::new(1), seeds(Target::Component));
        let inputs: Vec<Vec<u8>> = (0..4000).map(|_| mutator.next(&seeds)).collect();
        let compiled = inputs.iter().filter(|bytes| is_compiled(bytes)).count();
        assert!((150..350).contains(&compiled), "{compiled} of 4000");
        let admitted = inputs.iter().filter(|bytes| gate::inspect(bytes).is_empty() && Contract::read(bytes).is_ok()).count();
        assert!(admitted > 0, "what the gate admits is among the inputs where reducers are built");
    }
}
