//! The declared state machine: checked against the state's type when the workflow is loaded, and on every decision.

use purefold_wit::{Contract, Enum, Finding, Type, Value, finding};

use super::Machine;
use super::manifest::MachineSettings;

/// The machine by case indices, where the manifest's names are all right.
pub(super) fn plan(settings: &MachineSettings, contract: &Contract, findings: &mut Vec<Finding>) -> Option<Machine> {
    let state = &contract.state;
    let Some((field, ty)) = state.field(&settings.field) else {
        let near = finding::nearest(&settings.field, state.fields.iter().map(|field| field.name.kebab()));
        let help = near.map_or_else(|| "name the field that holds the phase".to_owned(), |near| format!("did you mean `{near}`?"));
        let cause = format!("the state `{}` has no field `{}`", state.name.kebab(), settings.field);
        findings.push(Finding::new("machine-field-unknown", "machine.field", cause, help));
        return None;
    };
    let Type::Enum(phases) = ty else {
        let cause = format!("the state's field `{}` is a `{ty}`, a machine's phases are the cases of an enum", settings.field);
        findings.push(Finding::new("machine-field-type", "machine.field", cause, "make the field an enum, or name another one"));
        return None;
    };
    let before = findings.len();
    let start = marks(phases, "machine.start", &settings.start, findings);
    let end = marks(phases, "machine.end", &settings.end, findings);
    if settings.start.is_empty() {
        findings.push(Finding::new(
            "machine-start-missing",
            "machine.start",
            "no phase is a start, so no entity could ever begin",
            "name the phases in which an entity may begin",
        ));
    }
    let mut allowed = vec![vec![false; phases.cases.len()]; phases.cases.len()];
    for (from, to) in &settings.transitions {
        let place = format!("machine.{from}");
        let to = marks(phases, &place, to, findings);
        if let Some(from) = index(phases, &place, from, findings) {
            allowed[from] = to;
        }
    }
    let phases = phases.cases.iter().map(|phase| phase.kebab().to_owned()).collect();
    (findings.len() == before).then_some(Machine { field, phases, start, end, allowed })
}

fn marks(phases: &Enum, place: &str, names: &[String], findings: &mut Vec<Finding>) -> Vec<bool> {
    let mut marks = vec![false; phases.cases.len()];
    for name in names {
        if let Some(index) = index(phases, place, name, findings) {
            marks[index] = true;
        }
    }
    marks
}

fn index(phases: &Enum, place: &str, name: &str, findings: &mut Vec<Finding>) -> Option<usize> {
    let found = phases.cases.iter().position(|phase| phase.kebab() == name);
    if found.is_none() {
        let known = phases.cases.iter().map(purefold_wit::Name::kebab);
        let help = match finding::nearest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        };
        let cause = format!("the enum `{}` has no case `{name}`", phases.name.kebab());
        findings.push(Finding::new("machine-phase-unknown", place, cause, help));
    }
    found
}

impl Machine {
    /// Whether a decision keeps to the machine, from the states (records of the contract's state type) before and after it.
    ///
    /// # Errors
    /// The forbidden step, told in phases.
    pub fn check(&self, before: Option<&Value>, after: Option<&Value>) -> Result<(), String> {
        match (before, after) {
            (None, None) => Ok(()),
            (None, Some(after)) => {
                let to = self.phase(after)?;
                if self.start[to] { Ok(()) } else { Err(format!("an entity may not begin in `{}`", self.phases[to])) }
            }
            (Some(before), None) => {
                let from = self.phase(before)?;
                if self.end[from] { Ok(()) } else { Err(format!("an entity may not end in `{}`", self.phases[from])) }
            }
            (Some(before), Some(after)) => {
                let (from, to) = (self.phase(before)?, self.phase(after)?);
                if from == to || self.allowed[from][to] {
                    Ok(())
                } else {
                    Err(format!("`{}` may not become `{}`", self.phases[from], self.phases[to]))
                }
            }
        }
    }

    /// The phase that a state is in, in kebab case.
    #[must_use]
    pub fn phase_name(&self, state: &Value) -> Option<&str> {
        self.phase(state).ok().map(|phase| self.phases[phase].as_str())
    }

    fn phase(&self, state: &Value) -> Result<usize, String> {
        let phase = match state {
            Value::Record(fields) => match fields.get(self.field) {
                Some(Value::Enum(phase)) => usize::try_from(*phase).ok(),
                _ => None,
            },
            _ => None,
        };
        phase.filter(|phase| *phase < self.phases.len()).ok_or_else(|| "the state does not hold a phase where its type has one".to_owned())
    }
}
