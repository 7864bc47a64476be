//! A scenario played to its end.

use std::collections::BTreeMap;

use purefold_wit::Value;

use super::coverage::Coverage;
use super::decided::{Decided, Outcome};
use super::expect::Failure;
use super::read::Scenario;
use super::stage::{Performed, Stage, StageError};
use super::trace::Trace;
use super::watch::Watch;
use super::{Act, Expected};
use crate::engine::EntityName;
use crate::rehearsal::{Rehearsal, RehearsalError};

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// What is not as it was expected; none where all is well.
    pub failures: Vec<Failure>,
    /// Everything that happened.
    pub trace: String,
    /// What was exercised, of each workflow.
    pub coverage: Vec<Coverage>,
    /// Decisions that were made.
    pub decisions: usize,
}

/// Plays a scenario on workflows of which nothing was decided yet.
///
/// # Errors
/// Only for the host's own failures: an act that cannot be performed is a failure of the scenario, which ends there.
pub fn play(rehearsal: &Rehearsal, scenario: &Scenario) -> Result<Played, RehearsalError> {
    let mut rehearsal = rehearsal.clone();
    rehearsal.set_now(scenario.start);
    let plans = rehearsal.plans().to_vec();
    let coverage = plans.iter().map(|plan| Coverage::of(plan)).collect();
    let mut player = Player {
        stage: Stage::new(rehearsal, scenario.answers.clone(), scenario.by_hand),
        watch: Watch::of(&plans),
        states: BTreeMap::new(),
        last: None,
        trace: Trace::new(&scenario.name),
        played: Played { failures: Vec::new(), trace: String::new(), coverage, decisions: 0 },
    };
    player.unknown_cases(scenario);
    player.acts(scenario)?;
    player.played.trace = player.trace.text();
    Ok(player.played)
}

struct Player {
    stage: Stage,
    watch: Watch,
    states: BTreeMap<EntityName, Value>,
    /// The entity that was decided for last.
    last: Option<EntityName>,
    trace: Trace,
    played: Played,
}

impl Player {
    fn acts(&mut self, scenario: &Scenario) -> Result<(), RehearsalError> {
        for act in scenario.given.iter().chain(&scenario.when) {
            if !self.act(act)? {
                return Ok(());
            }
        }
        if let Some(then) = &scenario.then {
            self.check(then, &Performed::default(), &[])?;
        }
        Ok(())
    }

    /// A script for a case that no contract has would never be asked.
    fn unknown_cases(&mut self, scenario: &Scenario) {
        let plans = self.stage.rehearsal().plans();
        let known = |case: &str| plans.iter().any(|plan| plan.workflow.contract.intent.case(case).is_some());
        for case in scenario.answers.cases().filter(|case| !known(case)) {
            self.played.failures.push(Failure {
                line: scenario.line,
                path: format!("answers.{case}"),
                expected: "an intent case of the contract".into(),
                found: "no such case".into(),
            });
        }
    }

    /// Performs an act and holds it against what is expected. Gives whether the scenario can go on.
    fn act(&mut self, act: &Act) -> Result<bool, RehearsalError> {
        self.trace.act(self.stage.rehearsal().now(), &act.what);
        let performed = match self.stage.perform(&act.what) {
            Ok(performed) => performed,
            Err(StageError::Rehearsal(error @ (RehearsalError::Engine(_) | RehearsalError::Sandbox(_)))) => return Err(error),
            Err(error) => {
                let expected = "an act that can be performed".into();
                self.played.failures.push(Failure { line: act.line, path: "act".into(), expected, found: error.to_string() });
                return Ok(false);
            }
        };
        self.trace.step(&self.stage, &performed.step);
        let decided = self.decided(&performed);
        self.unexpected(act, &performed, &decided);
        for decided in &decided {
            for violation in self.watch.see(decided) {
                let expected = format!("the property {:?}", violation.property);
                self.played.failures.push(Failure { line: act.line, path: "properties".into(), expected, found: violation.told });
            }
        }
        match &act.then {
            Some(then) => self.check(then, &performed, &decided),
            None => Ok(true),
        }
    }

    fn decided(&mut self, performed: &Performed) -> Vec<Decided> {
        let mut all = Vec::with_capacity(performed.step.entries.len());
        for happened in &performed.step.entries {
            let plan = self.stage.rehearsal().plans()[happened.name.workflow].clone();
            let Some(decided) = Decided::of(&plan, happened) else { continue };
            let before = self.states.remove(&decided.name);
            self.played.coverage[decided.name.workflow].count(&plan, before.as_ref(), &decided);
            self.played.decisions += 1;
            let after = match &decided.result {
                Outcome::Accepted(state, _) => state.clone(),
                _ => before,
            };
            if let Some(after) = after {
                self.states.insert(decided.name.clone(), after);
            }
            all.push(decided);
        }
        // What follows from an act may be decided for others: the act's own entity is the one that is asked about.
        if let Some(first) = performed.step.entries.first() {
            self.last = Some(first.name.clone());
        }
        all
    }

    /// Faults and dead letters are failures where nothing says that they are meant.
    fn unexpected(&mut self, act: &Act, performed: &Performed, decided: &[Decided]) {
        if !act.then.as_ref().is_some_and(Expected::takes_fault) {
            let faults = decided.iter().filter_map(|decided| match &decided.result {
                Outcome::Faulted(code, reason) => Some(format!("{} #{}: {code}: {reason}", decided.name.key, decided.sequence)),
                _ => None,
            });
            let failure = |found| Failure { line: act.line, path: "fault".into(), expected: "no fault".into(), found };
            self.played.failures.extend(faults.map(failure));
        }
        if !act.then.as_ref().is_some_and(Expected::takes_dead_letter) {
            let letters = performed.step.dead_letters.iter().map(|letter| format!("{}: {}: {}", letter.code, letter.path, letter.reason));
            let failure =
                |found| Failure { line: act.line, path: "dead-letter".into(), expected: "an event that can be taken".into(), found };
            self.played.failures.extend(letters.map(failure));
        }
    }

    fn check(&mut self, then: &Expected, performed: &Performed, decided: &[Decided]) -> Result<bool, RehearsalError> {
        match then.check(&self.stage, &performed.step, (decided, performed.own), self.last.as_ref()) {
            Ok(failures) => self.played.failures.extend(failures),
            Err(StageError::Rehearsal(error)) => return Err(error),
            Err(StageError::Act(found)) => {
                self.played.failures.push(Failure { line: then.line(), path: "then".into(), expected: "an entity".into(), found });
            }
        }
        Ok(true)
    }
}
