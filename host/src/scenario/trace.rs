//! What happened on a stage, as text that a person reads and a diff compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use purefold_wit::{Type, Value, instant};

use super::act::What;
use super::decided::{Decided, Outcome, carried, case_name};
use super::stage::Stage;
use crate::engine::{EntityName, Plan};
use crate::journal::{Entry, Kind};
use crate::rehearsal::Step;
use crate::workflow::RoutePlan;

/// The trace of one scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    text: String,
    /// The state that each entity was last in.
    states: BTreeMap<EntityName, Value>,
}

impl Trace {
    pub(super) fn new(name: &str) -> Self {
        Trace { text: format!("# {name}\n"), states: BTreeMap::new() }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    fn line(&mut self, indent: usize, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    pub(super) fn act(&mut self, now: u64, what: &What) {
        let told = match what {
            What::Event { ty, .. } => format!("event {ty}"),
            What::Input { input, .. } => format!("input {input}"),
            What::Repeat(id) => format!("the event {id} again"),
            What::State { entity, state, .. } => format!("{entity} is in the state {state}"),
            What::Advance(until) => format!("advance {until}"),
            What::Stall(until) => format!("stall {until}: timers are late"),
            What::Answer { intent, with } => format!("{} ends: {with}", intent.case),
            What::Redrive(intent) => format!("{} is tried again", intent.case),
            What::GiveUp(intent) => format!("{} is given up", intent.case),
            What::Deliver(entity) => format!("what was sent to {entity} is handed over"),
            What::Resume(entity) => format!("{entity} goes on"),
            What::Drop(entity) => format!("the input that {entity} faulted on is dropped"),
        };
        self.line(0, &format!("\n{} {told}", at(now)));
    }

    pub(super) fn step(&mut self, stage: &Stage, step: &Step) {
        for _ in 0..step.duplicates {
            self.line(2, "a duplicate: not taken");
        }
        for letter in &step.dead_letters {
            self.line(2, &format!("dead letter {}: {}: {}", letter.code, letter.path, letter.reason));
        }
        for happened in &step.entries {
            let plan = stage.rehearsal().plans()[happened.name.workflow].clone();
            match Decided::of(&plan, happened) {
                Some(decided) => self.decided(&plan, &decided, stage.rehearsal().plans().len() > 1),
                None => self.other(&happened.name, &happened.entry),
            }
        }
    }

    fn decided(&mut self, plan: &Plan, decided: &Decided, several: bool) {
        let contract = &plan.workflow.contract;
        let workflow = if several { format!("{}/", plan.workflow.name) } else { String::new() };
        let verdict = match &decided.result {
            Outcome::Rejected(rejection) => format!("rejected: {}", json(&contract.rejection, rejection)),
            Outcome::Faulted(code, reason) => format!("faulted: {code}: {reason}"),
            Outcome::Accepted(..) => "accepted".to_owned(),
        };
        let input = json(&Type::Variant(contract.input.clone()), &decided.input);
        self.line(2, &format!("{workflow}{} #{} at {}: {verdict}", decided.name.key, decided.sequence, at(decided.now)));
        self.line(4, &format!("on {input}"));
        let Outcome::Accepted(state, intents) = &decided.result else { return };
        self.changes(plan, &decided.name, state.as_ref());
        for intent in intents {
            let cases = &contract.intent.cases;
            let Some((ty, payload)) = carried(cases, intent) else { continue };
            let Value::Variant(case, _) = intent else { continue };
            let told = match &plan.workflow.routes[*case as usize] {
                RoutePlan::Timer { .. } => "sets",
                RoutePlan::TimerCancel => "takes back",
                RoutePlan::Deliver(_) => "sends",
                RoutePlan::Effect(_) => "asks",
            };
            self.line(4, &format!("{told} {} {}", case_name(cases, intent).replace('-', "_"), json(ty, payload)));
        }
    }

    /// Field by field what a decision changed.
    fn changes(&mut self, plan: &Plan, name: &EntityName, state: Option<&Value>) {
        let record = plan.workflow.contract.state.clone();
        let before = self.states.remove(name);
        let Some(Value::Record(fields)) = state else {
            self.line(4, "no state");
            return;
        };
        for (index, field) in record.fields.iter().enumerate() {
            let after = json(&field.ty, &fields[index]);
            let name = field.name.snake();
            match &before {
                Some(Value::Record(before)) => {
                    let before = json(&field.ty, &before[index]);
                    if before != after {
                        self.line(4, &format!("{name}: {before} -> {after}"));
                    }
                }
                _ => self.line(4, &format!("{name}: {after}")),
            }
        }
        self.states.insert(name.clone(), Value::Record(fields.clone()));
    }

    fn other(&mut self, name: &EntityName, entry: &Entry) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = match entry.kind {
            Kind::Concluded => format!("{} {}", text(&entry.input), text(&entry.output)),
            Kind::Ended => String::new(),
            _ => text(&entry.output),
        };
        self.line(2, format!("{} {} {told}", name.key, entry.kind.as_str()).trim_end());
    }
}

fn at(time: u64) -> String {
    instant::format(time).unwrap_or_default()
}

fn json(ty: &Type, value: &Value) -> String {
    let mut json = Vec::new();
    match purefold_wit::Codec::new(ty).encode(value, &mut json) {
        Ok(()) => String::from_utf8_lossy(&json).into_owned(),
        Err(error) => format!("(no JSON form: {})", error.reason),
    }
}
