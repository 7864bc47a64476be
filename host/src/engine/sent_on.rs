//! Requests whose events another host decides: the sender is answered when the event is durably left to that host, or, where
//! it asked for the decision, when the journal has it.

use std::time::Duration;

use super::input::EntityName;
use super::requests::SentOn;
use super::{Engine, EngineError};
use crate::journal::Kind;
use crate::source::DecidedEntry;
use crate::store::Row;

/// How long a sender waits for the decision of another host. After that it learns that its event is accepted, as one that
/// waits in an inbox.
const MOST_WAIT: Duration = Duration::from_secs(5);

/// How often the journal is looked into.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Entries of an entity that are looked at for a decision.
const MOST_ENTRIES: usize = 64;

/// Senders that wait for decisions of other hosts at a time; the others do not.
const MOST_AWAITED: usize = 256;

/// A decision that somebody waits for.
struct Awaited {
    sent: SentOn,
    /// Up to this row the entity's entries were looked at.
    seen: Row,
    until: Duration,
}

/// The decisions of other hosts that senders wait for.
#[derive(Default)]
pub(super) struct Decisions {
    awaited: Vec<Awaited>,
    next_look: Duration,
}

impl Engine {
    /// The event is durable and another host's to decide.
    pub(super) fn sent_on(&mut self, sent: SentOn) {
        if self.intake.requests.wants_decision(&sent) && self.state.decisions.awaited.len() < MOST_AWAITED {
            let until = self.clock.elapsed() + MOST_WAIT;
            self.state.decisions.awaited.push(Awaited { sent, seen: 0, until });
        } else {
            self.answer_sent_on(&sent, None);
        }
    }

    /// Looks for the decisions that senders wait for.
    pub(super) fn hear_decisions(&mut self) -> Result<(), EngineError> {
        let now = self.clock.elapsed();
        if self.state.decisions.awaited.is_empty() || now < self.state.decisions.next_look {
            return Ok(());
        }
        self.state.decisions.next_look = now + LOOK_INTERVAL;
        let mut index = 0;
        while let Some(awaited) = self.state.decisions.awaited.get(index) {
            let (decision, seen) = self.decision_on(&awaited.sent, awaited.seen)?;
            if decision.is_some() || now >= awaited.until {
                let Awaited { sent, .. } = self.state.decisions.awaited.swap_remove(index);
                self.answer_sent_on(&sent, decision);
            } else {
                self.state.decisions.awaited[index].seen = seen;
                index += 1;
            }
        }
        Ok(())
    }

    fn answer_sent_on(&mut self, sent: &SentOn, decision: Option<DecidedEntry>) {
        let plan = self.shared.plans[sent.name.workflow].clone();
        self.intake.requests.tell_sent_on(&plan, sent, decision);
    }

    /// The decision on an event among the entity's entries after `seen`, and its last entry.
    fn decision_on(&self, sent: &SentOn, seen: Row) -> Result<(Option<DecidedEntry>, Row), EngineError> {
        let EntityName { workflow, key } = &sent.name;
        let Some(entity) = self.reader.entity(self.shared.plans[*workflow].id, key)? else { return Ok((None, seen)) };
        let mut next = entity.head_row;
        for _ in 0..MOST_ENTRIES {
            if next <= seen {
                break;
            }
            let Some(stored) = self.reader.entry_if_there(next)? else { break };
            let entry = stored.entry;
            if entry.kind == Kind::Decided
                && entry.event_hash == Some(sent.hash)
                && let Some(verdict) = entry.verdict
            {
                let decided = DecidedEntry { sequence: entry.sequence, verdict, state: entry.state, output: entry.output };
                return Ok((Some(decided), entity.head_row));
            }
            next = if stored.previous_row < next { stored.previous_row } else { 0 };
        }
        Ok((None, entity.head_row))
    }
}
