//! The events that may arrive.

use std::path::{Path, PathBuf};

use purefold_wit::{Codec, Type, Value};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::engine::Plan;
use crate::fuzz::Generator;
use crate::rehearsal::{Rehearsal, RehearsalError};
use crate::scenario::{SCENARIO_BYTES_MOST, What, read};
use crate::source::CloudEvent;

/// Events of an alphabet: each can come at any time.
const EVENTS_MOST: usize = 64;

/// Events that are made of each input, where none are declared.
const MADE_OF_EACH: usize = 2;

/// Events that may arrive, in any order and as often as it takes.
#[derive(Clone, Debug, Default)]
pub struct Alphabet {
    events: Vec<What>,
    /// When the first of them says that it happened.
    start: Option<u64>,
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum AlphabetError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}; mend `explore.events`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// A file holds something else.
    #[error("{}:{line}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There are more than can be tried.
    #[error("more than {EVENTS_MOST} different events: name fewer in `explore.events`")]
    TooMany,
    /// The rehearsal fails.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
}

impl Alphabet {
    /// The events of files: CloudEvents line by line, or those of scenarios.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn of_files(paths: &[PathBuf]) -> Result<Self, AlphabetError> {
        let mut alphabet = Alphabet::default();
        for path in paths {
            let text = text(path)?;
            if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                let misread = |misread: crate::scenario::Misread| AlphabetError::Content {
                    path: path.clone(),
                    line: misread.line,
                    reason: misread.reason,
                };
                for scenario in read(&text).map_err(misread)? {
                    alphabet.start = alphabet.start.max(Some(scenario.start));
                    for act in scenario.given.into_iter().chain(scenario.when) {
                        alphabet.add(act.what)?;
                    }
                }
                continue;
            }
            for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
                let wrong = |error: crate::source::EnvelopeError| AlphabetError::Content {
                    path: path.clone(),
                    line: number,
                    reason: error.to_string(),
                };
                let event = CloudEvent::read(line.as_bytes()).map_err(wrong)?;
                let time = event.time().map_err(wrong)?;
                alphabet.start = alphabet.start.or(time);
                let what =
                    What::Event { ty: event.ty().to_owned(), id: None, source: None, correlation_id: None, data: event.data().to_owned() };
                alphabet.add(what)?;
            }
        }
        Ok(alphabet)
    }

    /// Events made from the types of what a workflow takes: of each input a few, for the same entity.
    #[must_use]
    pub fn made(plan: &Plan, seed: u64) -> Self {
        let mut generator = Generator::new(StdRng::seed_from_u64(seed));
        let mut alphabet = Alphabet::default();
        let mut inputs: Vec<_> = plan.workflow.inputs.iter().collect();
        inputs.sort_by_key(|(ty, _)| ty.as_str());
        let mut keys: Vec<(Type, Value)> = Vec::new();
        for (ty, input) in inputs {
            let Some(Type::Record(record)) = &plan.workflow.contract.input.cases[input.case as usize].payload else { continue };
            for _ in 0..MADE_OF_EACH {
                let Value::Record(mut fields) = generator.value(&Type::Record(record.clone())) else { continue };
                let key_type = &record.fields[input.key_field].ty;
                match keys.iter().find(|(known, _)| known == key_type) {
                    Some((_, key)) => fields[input.key_field] = key.clone(),
                    None => keys.push((key_type.clone(), fields[input.key_field].clone())),
                }
                let mut json = Vec::new();
                if Codec::new(&Type::Record(record.clone())).encode(&Value::Record(fields), &mut json).is_ok() {
                    let data = String::from_utf8_lossy(&json).into_owned();
                    alphabet.events.push(What::Event { ty: ty.clone(), id: None, source: None, correlation_id: None, data });
                }
            }
        }
        alphabet
    }

    /// When exploring begins that does not say.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        self.start
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[What] {
        &self.events
    }

    /// Leaves out what no workflow can take: it would be a dead letter every time.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn keep_decodable(&mut self, rehearsal: &Rehearsal) -> Result<(), AlphabetError> {
        let mut kept = Vec::with_capacity(self.events.len());
        for what in std::mem::take(&mut self.events) {
            let What::Event { ty, data, .. } = &what else { continue };
            let envelope = serde_json::json!({ "specversion": "1.0", "id": "1", "source": "/explore", "type": ty }).to_string();
            let event = format!("{},\"data\":{data}}}", envelope.trim_end_matches('}'));
            if rehearsal.clone().event(event.as_bytes())?.dead_letters.is_empty() {
                kept.push(what);
            }
        }
        self.events = kept;
        Ok(())
    }

    fn add(&mut self, what: What) -> Result<(), AlphabetError> {
        let What::Event { ty, data, .. } = what else { return Ok(()) };
        let known = |known: &What| matches!(known, What::Event { ty: of, data: with, .. } if *of == ty && *with == data);
        if self.events.iter().any(known) {
            return Ok(());
        }
        if self.events.len() == EVENTS_MOST {
            return Err(AlphabetError::TooMany);
        }
        self.events.push(What::Event { ty, id: None, source: None, correlation_id: None, data });
        Ok(())
    }
}

fn text(path: &Path) -> Result<String, AlphabetError> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(SCENARIO_BYTES_MOST).read_to_string(&mut text));
    read.map(|_| text).map_err(|cause| AlphabetError::File { path: path.to_path_buf(), cause })
}
