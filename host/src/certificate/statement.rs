//! What a certificate says, and its one form as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::deploy::Verdict;

/// The version of the form.
const VERSION: u32 = 1;

/// What was found of a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The version of this form.
    certificate: u32,
    /// The version of purefold that found it.
    pub purefold: String,
    /// Its engine's build.
    pub engine: String,
    /// The component.
    pub component: ComponentPart,
    /// Its contract.
    pub contract: ContractPart,
    /// The semantic profile under which it was tried.
    pub profile: String,
    /// The manifest that it was tried with, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestPart>,
    /// The gates that look at it alone.
    pub gates: Vec<Checked>,
    /// What fuzzing came to.
    pub fuzz: Vec<Fuzzed>,
    /// Histories that it was tried on.
    pub histories: Vec<History>,
}

/// A component, as its bytes tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentPart {
    /// SHA-256, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// What it imports: types and interfaces of types.
    pub imports: Vec<String>,
    /// The features of WebAssembly that it uses.
    pub features: Vec<String>,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractPart {
    /// The interface that declares it.
    pub world: String,
    /// The fingerprint of all of its types.
    pub fingerprint: String,
    /// The fingerprint of its state's type.
    pub state: String,
    /// The fingerprint of the states that it takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrates_from: Option<String>,
    /// The fingerprint of the states that it gives back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrades_to: Option<String>,
    /// The input cases.
    pub inputs: Vec<String>,
    /// The intent cases.
    pub intents: Vec<String>,
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestPart {
    /// The workflow's name.
    pub workflow: String,
    /// SHA-256 of its text with its `${…}` unexpanded, in hex.
    pub sha256: String,
}

/// A gate, and whether it was passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Its name.
    pub gate: String,
    /// Whether it was passed.
    pub verdict: Verdict,
    /// What was found against the component.
    pub findings: Vec<String>,
}

impl Checked {
    pub(super) fn new(gate: &str, findings: Vec<String>) -> Self {
        let verdict = if findings.is_empty() { Verdict::Passed } else { Verdict::Refused };
        Checked { gate: gate.to_owned(), verdict, findings }
    }
}

/// Typed values that nobody thought of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fuzzed {
    /// Where the values come from: the same seed gives the same.
    pub seed: u64,
    /// Lives of entities.
    pub runs: u64,
    /// Decisions in them.
    pub decisions: u64,
    /// Accepted, rejected and faulted decisions by input case.
    pub cases: BTreeMap<String, [u64; 3]>,
    /// What went wrong.
    pub findings: Vec<String>,
}

/// A history that the component was tried on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The workflow's name.
    pub workflow: String,
    /// The journal's id, as a UUID.
    pub journal: String,
    /// The release in force there.
    pub release: u64,
    /// SHA-256 of the manifest under which the component was tried.
    pub manifest: String,
    /// Entities, those that ended and the workflow's own counted.
    pub entities: u64,
    /// Entries of their chains.
    pub entries: u64,
    /// The XOR of all chains' heads, in hex: one entry more or less, or another one, and it is another.
    pub heads: String,
    /// What `verify` says of the history itself.
    pub verified: Verified,
    /// What came of it under the component; none where a gate before was not passed, or there was nothing to replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Replayed>,
    /// The gates that look at it with this history.
    pub gates: Vec<Checked>,
}

/// A history, executed again by those that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// Entries checked.
    pub entries: u64,
    /// Decisions executed again.
    pub decisions: u64,
    /// Entries that are not what they should be.
    pub mismatches: u64,
}

/// A history, executed by the component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    /// Entities looked at.
    pub entities: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// Those that differ where that was not declared as wanted.
    pub different: u64,
    /// Those that differ where it was.
    pub expected: u64,
    /// Entities that could be followed to a point only.
    pub diverged: u64,
    /// Decisions after such a point.
    pub unfollowed: u64,
    /// Decisions that could not be made again for want of what is erased or truncated.
    pub not_executed: u64,
    /// Where differences were declared as wanted.
    pub expect: Vec<String>,
    /// The share of the decisions that might differ elsewhere.
    pub allow: f64,
    /// The differences by kind.
    pub kinds: BTreeMap<String, u64>,
}

/// Why a text is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It has another form.
    #[error("it is no certificate of this version: {0}")]
    Form(String),
    /// It has the form, and is not written as it is written here.
    #[error("it is not written as `purefold certify` writes it")]
    Spelling,
}

impl Statement {
    /// What is said of the component before anything was tried.
    pub(super) fn of(component: ComponentPart, contract: ContractPart, profile: String) -> Self {
        Statement {
            certificate: VERSION,
            purefold: env!("CARGO_PKG_VERSION").to_owned(),
            engine: crate::sandbox::ENGINE_BUILD.to_owned(),
            component,
            contract,
            profile,
            manifest: None,
            gates: Vec::new(),
            fuzz: Vec::new(),
            histories: Vec::new(),
        }
    }

    /// The one text that says this.
    #[must_use]
    pub fn text(&self) -> String {
        // Nothing in it can fail to be written: there are texts, whole numbers, and shares from 0 to 1.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads the text of one.
    ///
    /// # Errors
    /// Where it is none, or is written in another way.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let read: Statement = serde_json::from_str(text).map_err(|error| Unreadable::Form(error.to_string()))?;
        if read.certificate != VERSION {
            return Err(Unreadable::Form(format!("it has version {}, and {VERSION} is read here", read.certificate)));
        }
        if read.text() == text { Ok(read) } else { Err(Unreadable::Spelling) }
    }

    /// The first gate that was not passed, and why.
    #[must_use]
    pub fn refused(&self) -> Option<(&str, &str)> {
        let gates = self.gates.iter().chain(self.histories.iter().flat_map(|history| &history.gates));
        let mut refused = gates.filter(|checked| checked.verdict == Verdict::Refused);
        refused.next().map(|checked| (&*checked.gate, checked.findings.first().map_or("", String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn statement() -> Statement {
        let component = ComponentPart { sha256: "ab".into(), bytes: 2, imports: vec!["types".into()], features: Vec::new() };
        let contract = ContractPart {
            world: "w".into(),
            fingerprint: "cd".into(),
            state: "ef".into(),
            migrates_from: None,
            downgrades_to: Some("01".into()),
            inputs: vec!["in".into()],
            intents: Vec::new(),
        };
        let mut statement = Statement::of(component, contract, "profile".into());
        statement.gates.push(Checked::new("checks", Vec::new()));
        statement
    }

    #[test]
    fn a_text_is_read_only_as_it_is_written() {
        let text = statement().text();
        assert_eq!(Statement::read(&text).unwrap(), statement());
        assert_eq!(Statement::read(text.trim_end()), Err(Unreadable::Spelling));
        assert_eq!(Statement::read(&text.replacen("\"bytes\": 2", "\"bytes\":  2", 1)), Err(Unreadable::Spelling));
        for (from, to) in [("\"certificate\": 1", "\"certificate\": 2"), ("\"fuzz\"", "\"more\""), ("{", "[")] {
            assert!(matches!(Statement::read(&text.replacen(from, to, 1)), Err(Unreadable::Form(_))), "{from}");
        }
    }

    #[test]
    fn the_first_gate_that_was_not_passed_is_told() {
        let mut statement = statement();
        assert_eq!(statement.refused(), None);
        statement.gates.push(Checked::new("fuzz", vec!["trap on in".into()]));
        assert_eq!(statement.refused(), Some(("fuzz", "trap on in")));
        assert_eq!(Statement::read(&statement.text()).unwrap().refused(), Some(("fuzz", "trap on in")));
    }
}
