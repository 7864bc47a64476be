//! A workflow explored: whatever can happen next is tried, in every order, to a depth.
//!
//! Breadth first, so that the first thing that goes wrong is among the shortest. Situations that were seen before are not
//! followed again. They are the same where states, what is outstanding, timers, inboxes, deliveries and the clock are: numbers of
//! decisions are left out, as are the seeds that follow from them.

mod alphabet;
mod situation;

use std::collections::HashSet;
use std::time::Instant;

use purefold_wit::Type;

use crate::rehearsal::{Rehearsal, RehearsalError, Standing};
use crate::scenario::{Decided, Outcome, Script, Stage, StageError, Until, Violation, Watch, What, Which};

pub use alphabet::{Alphabet, AlphabetError};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Acts one after the other.
    pub depth: usize,
    /// Situations.
    pub situations: usize,
    /// When to stop, by the clock on the wall.
    pub until: Option<Instant>,
}

/// What exploring found, and how far it came.
#[derive(Debug, Default)]
pub struct Explored {
    /// Situations that differ.
    pub situations: usize,
    /// Acts that were tried.
    pub acts: u64,
    /// Decisions that were made.
    pub decisions: u64,
    /// Acts one after the other that all were tried.
    pub depth: usize,
    /// What ended it before the depth was reached: `situations` or `time`.
    pub ended: Option<&'static str>,
    /// What goes wrong, and the acts that lead there.
    pub counterexample: Option<(Violation, Vec<What>)>,
}

/// One situation to go on from.
struct Open {
    stage: Stage,
    watch: Watch,
    /// How it was reached, as an index into the acts.
    reached: Option<usize>,
}

/// Tries everything.
///
/// # Errors
/// Only for the host's own failures.
pub fn explore(rehearsal: &Rehearsal, alphabet: &Alphabet, bounds: Bounds) -> Result<Explored, RehearsalError> {
    let mut explored = Explored::default();
    let mut seen: HashSet<[u8; 32]> = HashSet::new();
    // Every act that led to a new situation, and the one before it.
    let mut acts: Vec<(Option<usize>, What)> = Vec::new();
    let first = Open { stage: Stage::new(rehearsal.clone(), Script::default(), true), watch: Watch::of(rehearsal.plans()), reached: None };
    seen.insert(situation::digest(&first.stage, &first.watch));
    let mut level = vec![first];
    for depth in 1..=bounds.depth {
        let mut next = Vec::new();
        for open in &level {
            for what in possible(&open.stage, alphabet) {
                if bounds.until.is_some_and(|until| Instant::now() >= until) {
                    explored.ended = Some("time");
                    return Ok(finish(explored, &seen));
                }
                explored.acts += 1;
                let (mut stage, mut watch) = (open.stage.clone(), open.watch.clone());
                let performed = match stage.perform(&what) {
                    Ok(performed) => performed,
                    Err(StageError::Rehearsal(error @ (RehearsalError::Engine(_) | RehearsalError::Sandbox(_)))) => return Err(error),
                    Err(error) => {
                        let violation = Violation { property: "every act comes to its end".into(), told: error.to_string() };
                        explored.counterexample = Some((violation, path(&acts, open.reached, what)));
                        return Ok(finish(explored, &seen));
                    }
                };
                let mut violation = None;
                for happened in &performed.step.entries {
                    let plan = &stage.rehearsal().plans()[happened.name.workflow];
                    let Some(decided) = Decided::of(plan, happened) else { continue };
                    explored.decisions += 1;
                    violation = violation.or_else(|| wrong(&decided, &mut watch));
                }
                if let Some(violation) = violation {
                    explored.counterexample = Some((violation, path(&acts, open.reached, what)));
                    return Ok(finish(explored, &seen));
                }
                if !seen.insert(situation::digest(&stage, &watch)) {
                    continue;
                }
                acts.push((open.reached, what));
                next.push(Open { stage, watch, reached: Some(acts.len() - 1) });
                if seen.len() >= bounds.situations {
                    explored.ended = Some("situations");
                    return Ok(finish(explored, &seen));
                }
            }
        }
        explored.depth = depth;
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(finish(explored, &seen))
}

fn finish(mut explored: Explored, seen: &HashSet<[u8; 32]>) -> Explored {
    explored.situations = seen.len();
    explored
}

/// The acts that lead through `reached` to `last`.
fn path(acts: &[(Option<usize>, What)], mut reached: Option<usize>, last: What) -> Vec<What> {
    let mut path = vec![last];
    while let Some((before, what)) = reached.and_then(|at| acts.get(at)) {
        path.push(what.clone());
        reached = *before;
    }
    path.reverse();
    path
}

/// What no workflow may do, declared or not.
fn wrong(decided: &Decided, watch: &mut Watch) -> Option<Violation> {
    if let Outcome::Faulted(code, reason) = &decided.result {
        let told = format!("{} #{}: {code}: {reason}", decided.name.key, decided.sequence);
        return Some(Violation { property: "no decision faults".into(), told });
    }
    watch.see(decided).into_iter().next()
}

/// Everything that can happen next.
fn possible(stage: &Stage, alphabet: &Alphabet) -> Vec<What> {
    let rehearsal = stage.rehearsal();
    let mut possible: Vec<What> = alphabet.events().to_vec();
    for asked in rehearsal.asked() {
        let intent = Which { case: stage.case(&asked).to_owned(), entity: Some(asked.name.key.to_string()), filter: None };
        match asked.standing {
            Standing::Held => possible.push(What::GiveUp(intent)),
            Standing::Waiting => {}
            Standing::Ready => {
                let ok = match rehearsal.replies(asked.name.workflow).ty(asked.case) {
                    None => r#""ok""#.to_owned(),
                    Some(ty) => reply(ty, &asked.payload, stage, &asked),
                };
                let failures = ["refused", "exhausted", "unknown"].map(|kind| format!(r#""{kind}""#));
                for with in [ok].into_iter().chain(failures) {
                    possible.push(What::Answer { intent: intent.clone(), with });
                }
            }
        }
    }
    for (index, delivery) in rehearsal.deliveries().enumerate() {
        if rehearsal.is_next_delivery(index) {
            possible.push(What::Deliver(delivery.key.to_string()));
        }
    }
    if let Some(due) = rehearsal.timers().first() {
        possible.push(What::Advance(Until::At(due.due.max(rehearsal.now()))));
        if due.due >= rehearsal.now() {
            // Time passes the timer before anybody looks at it: what comes next overtakes it.
            possible.push(What::Stall(Until::At(due.due + 1)));
        }
    }
    possible
}

/// A reply of that type: what it has in common with the intent is taken from there, as services do.
fn reply(ty: &Type, payload: &purefold_wit::Value, stage: &Stage, asked: &crate::rehearsal::Asked) -> String {
    let contract = &stage.rehearsal().plans()[asked.name.workflow].workflow.contract;
    let mut value = crate::fuzz::Generator::least(ty);
    if let (Type::Record(reply), purefold_wit::Value::Record(fields), Some(Type::Record(intent)), purefold_wit::Value::Record(given)) =
        (ty, &mut value, &contract.intent.cases[asked.case as usize].payload, payload)
    {
        for (index, field) in reply.fields.iter().enumerate() {
            if let Some((at, known)) = intent.field(field.name.kebab())
                && *known == field.ty
            {
                fields[index] = given[at].clone();
            }
        }
    }
    let mut json = Vec::new();
    // The least of every type has a JSON form, and what was asked for had one.
    let _ = purefold_wit::Codec::new(ty).encode(&value, &mut json);
    format!(r#"{{"ok":{}}}"#, String::from_utf8_lossy(&json))
}
