//! All states of a workflow taken over at an operator's word, some entities with each commit.
//!
//! How far it has come stands nowhere: a state is of the release that its row in the journal names, and what is of a release
//! before the last change of types is still to be taken over. So whoever finds the command open begins, wherever another host has stopped.

use std::sync::Arc;
use std::time::Duration;

use super::input::{EntityName, Order, OrderKind};
use super::plan::Plan;
use super::{Engine, EngineError};
use crate::journal::Warrant;
use crate::store::{CommandRow, EntityId};

/// Entities that are looked at together.
const PAGE: u32 = if cfg!(test) { 4 } else { 512 };

/// Entities whose states are taken over with one commit: few, so that decisions do not wait for them.
const MOST_TOGETHER: usize = if cfg!(test) { 2 } else { 64 };

/// How often it is looked whether other hosts have done theirs.
const OTHERS_INTERVAL: Duration = Duration::from_secs(1);

/// Between two pages of an engine that has nothing else to do.
pub(super) const PAGE_INTERVAL: Duration = Duration::from_millis(1);

/// Takes over the states of one workflow.
struct Pass {
    workflow: usize,
    /// The commands that wait for it.
    asked: Vec<Asked>,
    /// The release that the states become of.
    release: u64,
    after: EntityId,
    /// Entities that were handed to the next steps.
    handed: Vec<EntityName>,
    /// The commit after which the store tells what became of them.
    waits_for: u64,
    /// Whether this round handed on anything: the next one looks whether it is there.
    found: bool,
    /// Whether a round has passed before: what is parked after it will not be taken over.
    again: bool,
    /// When it is looked at next, where there is only to wait for others.
    next_look: Duration,
}

/// A command that is open.
struct Asked {
    command: i64,
    warrant: Warrant,
    /// Whether this host is to answer; else it goes on until another one has.
    is_mine: bool,
}

/// The passes under way, one of a workflow at a time.
#[derive(Default)]
pub(super) struct Migrations(Vec<Pass>);

impl Migrations {
    /// Whether there is more to be looked at.
    pub(super) fn is_active(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether there is something to look at now: not only to wait for a commit, which tells of itself, or for other hosts.
    pub(super) fn is_due(&self, now: Duration, committed: u64) -> bool {
        self.0.iter().any(|pass| pass.handed.is_empty() && pass.waits_for <= committed && pass.next_look <= now)
    }

    /// Begins with a workflow, where nothing is under way for it.
    pub(super) fn begin(&mut self, workflow: usize, command: &CommandRow, is_mine: bool) {
        let asked = Asked { command: command.id, warrant: command.warrant.clone(), is_mine };
        let known = self.0.iter().position(|pass| pass.workflow == workflow);
        let at = known.unwrap_or_else(|| {
            self.0.push(Pass {
                workflow,
                asked: Vec::new(),
                release: 0,
                after: 0,
                handed: Vec::new(),
                waits_for: 0,
                found: false,
                again: false,
                next_look: Duration::ZERO,
            });
            self.0.len() - 1
        });
        self.0[at].asked.push(asked);
    }

    /// Forgets what others have answered; `open` are the commands that nobody has.
    pub(super) fn retain(&mut self, open: &[CommandRow]) {
        for pass in &mut self.0 {
            pass.asked.retain(|asked| asked.is_mine || open.iter().any(|command| command.id == asked.command));
        }
        self.0.retain(|pass| !pass.asked.is_empty());
    }
}

/// What a look at a pass came to.
enum Looked {
    /// There is more to do.
    Goes,
    /// All of this host's are done.
    Over,
}

impl Engine {
    /// Hands on the next entities whose states are to be taken over.
    pub(super) fn migrate_some(&mut self) -> Result<(), EngineError> {
        let mut passes = std::mem::take(&mut self.state.migrations.0);
        let mut at = 0;
        let mut looked = Ok(());
        while at < passes.len() {
            match self.look_at(&mut passes[at]) {
                Ok(Looked::Goes) => at += 1,
                Ok(Looked::Over) => drop(passes.remove(at)),
                // A read that fails is tried again with the next turn.
                Err(error) => {
                    looked = Err(error);
                    break;
                }
            }
        }
        self.state.migrations.0 = passes;
        looked
    }

    fn look_at(&mut self, pass: &mut Pass) -> Result<Looked, EngineError> {
        let waits = |name: &EntityName| {
            let pending = self.state.work.get(name).map(|work| &work.pending);
            pending.is_some_and(|pending| pending.orders.iter().any(|order| order.what == OrderKind::Migrate))
        };
        if !pass.handed.is_empty() {
            pass.handed.retain(waits);
            pass.waits_for = self.state.last_batch;
        }
        if !pass.handed.is_empty() || self.state.committed < pass.waits_for || self.clock.elapsed() < pass.next_look {
            return Ok(Looked::Goes);
        }
        let plan = self.shared.plans[pass.workflow].clone();
        if pass.release != plan.release {
            // Another one is in force by now, with types of its own.
            (pass.release, pass.after, pass.found, pass.again) = (plan.release, 0, false, false);
        }
        let since = plan.states_since();
        let states = self.reader.states_after(plan.id, pass.after, PAGE)?;
        let is_last = states.len() < PAGE as usize;
        for state in &states {
            pass.after = state.entity;
            // What is parked has been tried, or is tried once: its inputs wait whatever comes of it.
            if state.release < since && !(state.parked && pass.again) {
                let name = EntityName { workflow: pass.workflow, key: state.key.clone() };
                let asked = pass.asked.first().map(|asked| (asked.command, asked.warrant.clone()));
                let (command, warrant) = asked.unwrap_or_default();
                self.pending(name.clone()).orders.push(Order { command, what: OrderKind::Migrate, warrant });
                pass.found = true;
                pass.handed.push(name);
                if pass.handed.len() == MOST_TOGETHER {
                    return Ok(Looked::Goes);
                }
            }
        }
        if !is_last {
            return Ok(Looked::Goes);
        }
        pass.after = 0;
        pass.again = true;
        if std::mem::take(&mut pass.found) {
            return Ok(Looked::Goes);
        }
        self.conclude_pass(pass, &plan)
    }

    /// Nothing of this host's is left. Answers, where it is this host that does, and no other has any left.
    fn conclude_pass(&mut self, pass: &mut Pass, plan: &Arc<Plan>) -> Result<Looked, EngineError> {
        // Whoever does not answer looks on: a release that comes into force here only now has states of its own.
        if !pass.asked.iter().any(|asked| asked.is_mine) {
            pass.next_look = self.clock.elapsed() + OTHERS_INTERVAL;
            return Ok(Looked::Goes);
        }
        let (left, parked) = self.reader.count_states_before(plan.id, plan.states_since())?;
        if left > parked {
            // Of others; or it became some since.
            pass.next_look = self.clock.elapsed() + OTHERS_INTERVAL;
            return Ok(Looked::Goes);
        }
        let answer = if parked == 0 {
            format!("migrated: every state is taken over by release {}", plan.release)
        } else {
            format!("migrated: but {parked} states cannot be taken over by release {}, and their entities are parked", plan.release)
        };
        tracing::info!(workflow = %plan.workflow.name, release = plan.release, parked, "all states are taken over that can be");
        let mine = pass.asked.extract_if(.., |asked| asked.is_mine);
        self.state.draft.answers.extend(mine.map(|asked| (asked.command, answer.clone())));
        Ok(if pass.asked.is_empty() { Looked::Over } else { Looked::Goes })
    }
}
