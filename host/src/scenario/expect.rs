//! What is expected of an act, and where what came of it is something else.

use purefold_wit::{Type, Value, instant};

use super::Misread;
use super::decided::{Decided, Outcome, carried, case_name};
use super::fields::{Fields, moment, text};
use super::matching::{compare, text as shown};
use super::stage::{Stage, StageError};
use super::yaml::{Content, Node};
use crate::engine::{EntityName, Plan};
use crate::rehearsal::Step;
use crate::source::Undecodable;

/// Something that is not as it was expected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The line that expects it; 0 where it stands in no file.
    pub line: usize,
    /// What it is about: `state.phase`.
    pub path: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What is expected of an act.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    line: usize,
    verdict: Option<(usize, String)>,
    rejection: Option<Node>,
    fault: Option<(usize, String)>,
    code: Option<(usize, String)>,
    workflow: Option<String>,
    entity: Option<String>,
    state: Option<Node>,
    phase: Option<(usize, String)>,
    timers: Option<Node>,
    intents: Option<(usize, Vec<Node>)>,
    includes: Option<(usize, Vec<Node>)>,
    outstanding: Option<(usize, Vec<Node>)>,
    parked: Option<(usize, bool)>,
}

const VERDICTS: [&str; 6] = ["accepted", "rejected", "faulted", "duplicate", "dead-letter", "nothing"];

impl Expected {
    pub(super) fn read(node: &Node) -> Result<Self, Misread> {
        let mut fields = Fields::of(node, "`then`")?;
        let mut word = |name| -> Result<Option<(usize, String)>, Misread> {
            fields.node(name).map(|node| Ok((node.line, text(node, name)?.to_owned()))).transpose()
        };
        let (verdict, fault, code, phase) = (word("verdict")?, word("fault")?, word("code")?, word("phase")?);
        if let Some((line, verdict)) = &verdict
            && !VERDICTS.contains(&verdict.as_str())
        {
            return Err(Misread { line: *line, reason: format!("`verdict` is one of {}", VERDICTS.join(", ")) });
        }
        let mut list = |name| -> Result<Option<(usize, Vec<Node>)>, Misread> {
            let line = fields.node(name).map(|node| node.line);
            Ok(fields.list(name)?.zip(line).map(|(items, line)| (line, items.to_vec())))
        };
        let (intents, includes, outstanding) = (list("intents")?, list("intents-include")?, list("outstanding")?);
        let parked = fields.node("parked").map(|node| node.line).zip(fields.boolean("parked")?);
        let expected = Expected {
            line: node.line,
            verdict,
            rejection: fields.node("rejection").cloned(),
            fault,
            code,
            workflow: fields.text("workflow")?.map(str::to_owned),
            entity: fields.text("entity")?.map(str::to_owned),
            state: fields.node("state").cloned(),
            phase,
            timers: fields.node("timers").cloned(),
            intents,
            includes,
            outstanding,
            parked,
        };
        fields.finish("`then`")?;
        Ok(expected)
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Whether a fault is part of what is expected.
    pub(super) fn takes_fault(&self) -> bool {
        self.fault.is_some()
            || self.parked.is_some_and(|(_, parked)| parked)
            || self.verdict.as_ref().is_some_and(|(_, verdict)| verdict == "faulted")
    }

    /// Whether an event that cannot be taken is part of what is expected.
    pub(super) fn takes_dead_letter(&self) -> bool {
        self.code.is_some() || self.verdict.as_ref().is_some_and(|(_, verdict)| verdict == "dead-letter")
    }

    /// Where an act and its consequences are something else. `last` is the entity that was decided for last.
    pub(super) fn check(
        &self,
        stage: &Stage,
        step: &Step,
        (decided, own): (&[Decided], usize),
        last: Option<&EntityName>,
    ) -> Result<Vec<Failure>, StageError> {
        let mut failures = Vec::new();
        let first = decided.iter().take(own).next();
        self.verdicts(stage, step, first, &mut failures);
        self.asked(stage, decided, &mut failures);
        let name = match (&self.entity, last) {
            (Some(entity), _) => Some(EntityName { workflow: stage.workflow(self.workflow.as_deref())?, key: entity.as_str().into() }),
            (None, last) => last.cloned(),
        };
        match name {
            Some(name) => self.entity(stage, &name, &mut failures),
            None if self.state.is_some() || self.phase.is_some() || self.timers.is_some() || self.parked.is_some() => {
                return Err(StageError::Act("nothing was decided yet: say with `entity` which one is meant".into()));
            }
            None => {}
        }
        Ok(failures)
    }

    fn verdicts(&self, stage: &Stage, step: &Step, first: Option<&Decided>, failures: &mut Vec<Failure>) {
        let found = match first {
            Some(decided) => decided.verdict(),
            None if step.duplicates > 0 => "duplicate",
            None if !step.dead_letters.is_empty() => "dead-letter",
            None => "nothing",
        };
        if let Some((line, verdict)) = &self.verdict
            && verdict != found
        {
            failures.push(failure(*line, "verdict", verdict, why(stage, first, step.dead_letters.first(), found)));
        }
        if let Some((line, code)) = &self.code {
            let found = step.dead_letters.first().map_or("no dead letter", |letter| letter.code);
            if found != code {
                failures.push(failure(*line, "code", code, found.to_owned()));
            }
        }
        if let Some(node) = &self.rejection {
            match first.map(|decided| (decided, &decided.result)) {
                Some((decided, Outcome::Rejected(rejection))) => {
                    let ty = &stage.rehearsal().plans()[decided.name.workflow].workflow.contract.rejection;
                    compare("rejection", ty, rejection, node, failures);
                }
                _ => failures.push(failure(node.line, "rejection", &node.json(), why(stage, first, step.dead_letters.first(), found))),
            }
        }
        if let Some((line, code)) = &self.fault {
            match first.map(|decided| &decided.result) {
                Some(Outcome::Faulted(found, _)) if found == code => {}
                _ => failures.push(failure(*line, "fault", code, why(stage, first, step.dead_letters.first(), found))),
            }
        }
    }

    fn asked(&self, stage: &Stage, decided: &[Decided], failures: &mut Vec<Failure>) {
        let plan = |decided: &Decided| stage.rehearsal().plans()[decided.name.workflow].clone();
        let emitted: Vec<(std::sync::Arc<Plan>, &Value)> =
            decided.iter().flat_map(|decided| decided.intents().iter().map(move |intent| (plan(decided), intent))).collect();
        let name =
            |(plan, intent): &(std::sync::Arc<Plan>, &Value)| case_name(&plan.workflow.contract.intent.cases, intent).replace('-', "_");
        if let Some((line, expected)) = &self.intents {
            let names: Vec<String> = emitted.iter().map(name).collect();
            let wanted: Vec<String> = expected.iter().map(|node| intent(node).map_or_else(|| node.json(), |(case, _)| case)).collect();
            if names == wanted {
                for (index, (node, (plan, value))) in expected.iter().zip(&emitted).enumerate() {
                    let Some((case, Some(payload))) = intent(node) else { continue };
                    if let Some((ty, value)) = carried(&plan.workflow.contract.intent.cases, value) {
                        compare(&format!("intents[{index}].{case}"), ty, value, payload, failures);
                    }
                }
            } else {
                failures.push(failure(*line, "intents", &format!("[{}]", wanted.join(", ")), format!("[{}]", names.join(", "))));
            }
        }
        for node in self.includes.iter().flat_map(|(_, nodes)| nodes) {
            let fits = |found: &&(std::sync::Arc<Plan>, &Value)| {
                let (Some((case, payload)), Some((ty, value))) = (intent(node), carried(&found.0.workflow.contract.intent.cases, found.1))
                else {
                    return false;
                };
                name(found) == case && payload.is_none_or(|payload| super::matching::fits(ty, value, payload))
            };
            if !emitted.iter().any(|found| fits(&found)) {
                let found = emitted.iter().map(|(plan, value)| shown(&Type::Variant(plan.workflow.contract.intent.clone()), value));
                failures.push(failure(node.line, "intents-include", &node.json(), format!("[{}]", found.collect::<Vec<_>>().join(", "))));
            }
        }
        if let Some((line, expected)) = &self.outstanding {
            let asked = stage.rehearsal().asked();
            let mut found: Vec<String> = asked.iter().map(|asked| stage.case(asked).replace('-', "_")).collect();
            let mut wanted: Vec<String> = expected.iter().map(|node| intent(node).map_or_else(|| node.json(), |(case, _)| case)).collect();
            found.sort();
            wanted.sort();
            if found != wanted {
                failures.push(failure(*line, "outstanding", &format!("[{}]", wanted.join(", ")), format!("[{}]", found.join(", "))));
            }
        }
    }

    fn entity(&self, stage: &Stage, name: &EntityName, failures: &mut Vec<Failure>) {
        let plan = &stage.rehearsal().plans()[name.workflow];
        let entity = stage.rehearsal().entity(name);
        let state = entity.and_then(|entity| entity.state.as_deref());
        let ty = Type::Record(plan.workflow.contract.state.clone());
        match (&self.state, state) {
            (Some(node), None) if !node.is_null() => failures.push(failure(node.line, "state", &node.json(), "no state".to_owned())),
            (Some(node), Some(state)) if node.is_null() => failures.push(failure(node.line, "state", "no state", shown(&ty, state))),
            (Some(node), Some(state)) => compare("state", &ty, state, node, failures),
            _ => {}
        }
        if let Some((line, phase)) = &self.phase {
            let machine = plan.workflow.machine.as_ref();
            let found = machine.zip(state).and_then(|(machine, state)| machine.phase_name(state)).unwrap_or("none");
            if found != phase.replace('_', "-") {
                failures.push(failure(*line, "phase", phase, found.to_owned()));
            }
        }
        if let Some((line, parked)) = self.parked {
            let found = entity.is_some_and(|entity| entity.row.parked);
            if found != parked {
                failures.push(failure(line, "parked", &parked.to_string(), found.to_string()));
            }
        }
        if let Some(node) = &self.timers {
            let timers = entity.map_or(&[][..], |entity| &entity.timers);
            let mut found: Vec<(&str, u64)> = timers.iter().map(|timer| (&*timer.name, timer.due)).collect();
            found.sort_unstable();
            timers_are(node, &found, stage.rehearsal().now(), failures);
        }
    }
}

/// Timers as a list of names, or as a map from names to due times.
fn timers_are(node: &Node, found: &[(&str, u64)], now: u64, failures: &mut Vec<Failure>) {
    let told = || {
        found.iter().map(|(name, due)| format!("{name} at {}", instant::format(*due).unwrap_or_default())).collect::<Vec<_>>().join(", ")
    };
    let mut names: Vec<&str> = match &node.content {
        Content::List(items) => items.iter().filter_map(Node::text).collect(),
        Content::Map(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
        _ => Vec::new(),
    };
    names.sort_unstable();
    if names != found.iter().map(|(name, _)| *name).collect::<Vec<_>>() {
        failures.push(failure(node.line, "timers", &format!("[{}]", names.join(", ")), format!("[{}]", told())));
        return;
    }
    let Content::Map(fields) = &node.content else { return };
    for (name, due) in fields {
        let wanted = match super::fields::duration(due, name) {
            Ok(after) => now.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX)),
            Err(_) => moment(due, name).unwrap_or_default(),
        };
        let at = found.iter().find(|(known, _)| known == name).map_or(0, |(_, due)| *due);
        if at != wanted {
            failures.push(failure(due.line, &format!("timers.{name}"), &due.json(), instant::format(at).unwrap_or_default()));
        }
    }
}

/// The case in snake case, and what its record must hold.
fn intent(node: &Node) -> Option<(String, Option<&Node>)> {
    match &node.content {
        Content::Text(case) => Some((case.replace('-', "_"), None)),
        Content::Map(fields) => match fields.as_slice() {
            [(case, payload)] => Some((case.replace('-', "_"), Some(payload))),
            _ => None,
        },
        _ => None,
    }
}

fn why(stage: &Stage, first: Option<&Decided>, letter: Option<&Undecodable>, found: &str) -> String {
    match (first.map(|decided| (decided, &decided.result)), letter) {
        (Some((_, Outcome::Faulted(code, reason))), _) => format!("{found}: {code}: {reason}"),
        (Some((decided, Outcome::Rejected(rejection))), _) => {
            format!("{found}: {}", shown(&stage.rehearsal().plans()[decided.name.workflow].workflow.contract.rejection, rejection))
        }
        (None, Some(letter)) => format!("{found}: {}: {}: {}", letter.code, letter.path, letter.reason),
        _ => found.to_owned(),
    }
}

fn failure(line: usize, path: &str, expected: &str, found: String) -> Failure {
    Failure { line, path: path.to_owned(), expected: super::matching::shortened(expected), found }
}
