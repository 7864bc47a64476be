//! Reducers fed with typed values that nobody thought of.
//!
//! Inputs are made from the contract's types, with a liking for their edges; states are made by deciding one input after the
//! other, and from the type as well. Each decision is made twice in fresh sandboxes and once more by another engine: all three
//! must give the same bytes. What goes wrong is made as small as it still goes wrong. A run is a function of its seed.

mod corpus;
mod generate;
mod shrink;
mod target;

use std::collections::BTreeMap;

use purefold_wit::{Type, Value};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::sandbox::{Context, Decision, SandboxError};

pub use corpus::{CORPUS_LINES_MOST, Kept, read_line, write_line};
pub use generate::Generator;
pub use target::{Target, Wrong};

/// Inputs that are decided one after the other for one entity.
const SEQUENCE_MOST: u32 = 12;

/// Of so many sequences one begins in a state that is made from its type.
const GENERATED_STATES: u32 = 4;

/// Between the inputs of one entity, in microseconds.
const STEP_MOST: u64 = 3_600_000_000;

/// When sequences begin: 2026-01-01T00:00:00Z.
const BEGIN: u64 = 1_767_225_600_000_000;

/// A decision that goes wrong.
#[derive(Clone, Debug)]
pub struct Found {
    /// What goes wrong.
    pub wrong: Wrong,
    /// The decision's context.
    pub context: Context,
    /// The state, where there is one.
    pub state: Option<Value>,
    /// Whether decisions led to the state; else it was made from its type, and none may ever lead there.
    pub is_reached: bool,
    /// The input variant.
    pub input: Value,
}

/// What was done so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Decisions, without their repetitions.
    pub decisions: u64,
    /// Accepted, rejected and faulted, by input case.
    pub cases: BTreeMap<String, [u64; 3]>,
    /// How often each kind of fault was met, by code and input case.
    pub wrong: BTreeMap<(String, String), u64>,
}

/// A fuzzer at work.
pub struct Fuzzer<'t> {
    target: &'t Target,
    generator: Generator,
    tally: Tally,
}

impl<'t> Fuzzer<'t> {
    /// A fuzzer that does the same with the same seed.
    #[must_use]
    pub fn new(target: &'t Target, seed: u64) -> Self {
        Fuzzer { target, generator: Generator::new(StdRng::seed_from_u64(seed)), tally: Tally::default() }
    }

    /// What was done so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// One entity's life: inputs decided one after the other. Gives what went wrong for the first time, made small.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn run(&mut self) -> Result<Vec<Found>, SandboxError> {
        let contract = self.target.contract().clone();
        self.generator.forget();
        let state_type = Type::Record(contract.state.clone());
        let input_type = Type::Variant(contract.input.clone());
        let is_generated = self.generator.rng().random_ratio(1, GENERATED_STATES);
        let mut state = is_generated.then(|| self.generator.value(&state_type));
        let mut context = self.context();
        let mut found = Vec::new();
        for _ in 0..self.generator.rng().random_range(1..=SEQUENCE_MOST) {
            let input = self.generator.value(&input_type);
            context.now = context.now.saturating_add(self.generator.rng().random_range(0..STEP_MOST));
            context.sequence += 1;
            context.seed = (self.generator.rng().random(), self.generator.rng().random());
            self.generator.learn_instant(context.now);
            let (decision, wrong) = self.target.decide(&context, state.as_ref(), &input)?;
            let case = self.count(&input, &decision);
            if let Some(wrong) = wrong {
                if !self.target.is_to_blame(&wrong, !is_generated, &input) {
                    break;
                }
                let count = self.tally.wrong.entry((wrong.code.clone(), case)).or_default();
                *count += 1;
                if *count == 1 {
                    let first = Found { wrong, context: context.clone(), state: state.clone(), is_reached: !is_generated, input };
                    found.push(self.target.shrink(first)?);
                }
                // A parked entity decides nothing more.
                break;
            }
            self.generator.learn(&input_type, &input);
            if let Decision::Accepted { state: after, intents } = decision {
                let intent_type = Type::Variant(contract.intent.clone());
                for intent in &intents {
                    self.generator.learn(&intent_type, intent);
                }
                if let Some(after) = &after {
                    self.generator.learn(&state_type, after);
                }
                state = after;
            }
        }
        Ok(found)
    }

    fn context(&mut self) -> Context {
        let text = |generator: &mut Generator| match generator.value(&Type::Uuid) {
            Value::Uuid(high, low) => purefold_wit::uuid::format(high, low),
            _ => String::new(),
        };
        let (entity, event_id, correlation_id) = (text(&mut self.generator), text(&mut self.generator), text(&mut self.generator));
        Context {
            now: BEGIN,
            entity: entity.into(),
            sequence: 0,
            event_id: event_id.into(),
            correlation_id: correlation_id.into(),
            seed: (0, 0),
        }
    }

    fn count(&mut self, input: &Value, decision: &Decision) -> String {
        let case = self.target.case(input).to_owned();
        let index = match decision {
            Decision::Accepted { .. } => 0,
            Decision::Rejected(_) => 1,
            Decision::Faulted(_) => 2,
        };
        self.tally.decisions += 1;
        self.tally.cases.entry(case.clone()).or_default()[index] += 1;
        case
    }
}
