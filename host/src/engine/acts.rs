//! What operators ask of one entity: each act is an entry of its chain, with who asked and why.

use std::sync::Arc;

use super::EngineError;
use super::fold::{Fold, Folded, Moment, fault_told};
use super::input::{FailureKind, Order, OrderKind};
use super::outcome::concluded_input;
use super::planted::{Mistake, planted};
use crate::journal::{Kind, Warrant, intent_id};
use crate::store::OutboxStatus;

impl Fold<'_> {
    /// Does what operators asked, before anything else is decided.
    pub(super) fn orders(&mut self) -> Result<(), EngineError> {
        for Order { command, what, warrant } in std::mem::take(&mut self.out.pending.orders) {
            let answer = match what {
                OrderKind::Erase { keep_state } => match self.erase(keep_state, command, &warrant) {
                    None => continue,
                    Some(refused) => refused,
                },
                OrderKind::Migrate => {
                    self.migrate_now()?;
                    continue;
                }
                OrderKind::RedriveHead | OrderKind::DropHead => self.resume(what, &warrant)?,
                OrderKind::RedriveIntent(sequence, index) => self.redrive_intent(sequence, index, &warrant),
                OrderKind::GiveUpIntent(sequence, index) => self.give_up_intent(sequence, index, &warrant),
            };
            self.out.answers.push((command, answer));
        }
        Ok(())
    }

    /// Has a parked entity go on.
    fn resume(&mut self, what: OrderKind, warrant: &Warrant) -> Result<String, EngineError> {
        if !self.out.entity.row.parked {
            return Ok("refused: the entity is not parked".into());
        }
        let head = self.out.entity.inbox.first().map(|row| (row.id, row.event_id.clone(), row.correlation_id.clone(), row.input.clone()));
        let Some((id, event_id, correlation_id, input)) = head else { return self.resume_alone(what, warrant) };
        let (kind, answer) = if what == OrderKind::DropHead {
            let head = self.out.entity.inbox.remove(0);
            self.take_waiting_timer(&head);
            self.out.inbox_removed.push(id);
            (Kind::Dropped, "dropped the head of the inbox")
        } else {
            (Kind::Resumed, "resumed")
        };
        self.out.entity.row.parked = false;
        self.act(kind, event_id, correlation_id, input, warrant);
        Ok(answer.into())
    }

    /// Takes the state over, with no input that it would be for. Where that fails, the entity is parked, and inputs wait from then on.
    fn migrate_now(&mut self) -> Result<(), EngineError> {
        // The state that an erasure keeps is the one that its entry follows: another one comes with a later commit.
        if self.out.erasing.is_some() {
            return Ok(());
        }
        let Some(fault) = self.migrate()? else { return Ok(()) };
        if !self.out.entity.row.parked {
            self.out.entity.row.parked = true;
            self.note_entry(Kind::Parked, "".into(), "".into(), (*b"null").into(), fault_told(&fault));
        }
        Ok(())
    }

    /// Has an entity go on that was parked for its state, and that nothing waits for.
    fn resume_alone(&mut self, what: OrderKind, warrant: &Warrant) -> Result<String, EngineError> {
        if what == OrderKind::DropHead {
            return Ok("refused: no input waits; its state could not be taken over: deploy a release that can, then redrive it".into());
        }
        self.out.entity.row.parked = false;
        self.act(Kind::Resumed, "".into(), "".into(), (*b"null").into(), warrant);
        self.migrate_now()?;
        Ok("resumed".into())
    }

    fn redrive_intent(&mut self, sequence: u64, index: u32, warrant: &Warrant) -> String {
        let Some(at) = self.outstanding(sequence, index) else { return CONCLUDED.into() };
        let intent = &mut self.out.entity.outstanding[at];
        if let Some((kind, text)) = &intent.settled {
            return format!("refused: it will be concluded as {}; nothing is left to try", kind.told(text));
        }
        if !intent.held {
            return "refused: it is not held: it waits its turn or is being tried".into();
        }
        intent.held = false;
        intent.failed = None;
        self.act_on_intent(Kind::Redriven, at, warrant);
        self.out.changed.push((sequence, index, OutboxStatus::Pending, 0, format!("redriven by {}", warrant.told())));
        self.out.redriven.push((sequence, index));
        "redriven: it is tried again with all its attempts".into()
    }

    fn give_up_intent(&mut self, sequence: u64, index: u32, warrant: &Warrant) -> String {
        let concluded = self.out.pending.conclusions.iter().any(|(key, _)| (key.sequence, key.index) == (sequence, index));
        let at = self.outstanding(sequence, index).filter(|_| !concluded);
        let Some(at) = at else { return CONCLUDED.into() };
        let intent = &mut self.out.entity.outstanding[at];
        if let Some((kind, text)) = &intent.settled {
            return format!("refused: it will be concluded as {} anyway", kind.told(text));
        }
        // Where nobody can say that no attempt did it, the reducer must not be told so.
        let kind = intent.failed.unwrap_or(FailureKind::Unknown);
        let text = format!("given up by {}", warrant.told());
        intent.held = false;
        let told = kind.told(&text);
        intent.settled = Some((kind, text));
        self.act_on_intent(Kind::Abandoned, at, warrant);
        if planted(Mistake::GivenUpUnkept) {
            // As if another commit were to conclude it.
            self.out.entity.outstanding[at].settled = None;
            return format!("given up: concluded as {told}");
        }
        self.out.changed.push((sequence, index, OutboxStatus::Settled, 0, told.clone()));
        format!("given up: concluded as {told}")
    }

    /// Journals that the entity is to be erased; what is left to do about it follows commit by commit, and the answer with
    /// the last. Gives why not.
    fn erase(&mut self, keep_state: bool, command: i64, warrant: &Warrant) -> Option<String> {
        let Folded { entity, pending, .. } = &self.out;
        let needed = [
            ("an intent without a conclusion; let it end, or give it up", !entity.outstanding.is_empty()),
            ("a pending timer; let it fire, or have the reducer take it back", !entity.timers.is_empty()),
            ("inputs that wait; redrive or drop them", !entity.inbox.is_empty() || entity.row.parked),
            ("inputs on their way; ask again when they are decided", !pending.deliveries.is_empty() || !pending.events.is_empty()),
        ];
        if entity.row.head_row == 0 {
            return Some("refused: there is no such entity".into());
        }
        if self.out.erasing.is_some() {
            return Some(ERASED_ALREADY.into());
        }
        if let Some((what, _)) = needed.iter().find(|(_, is_so)| *is_so) {
            return Some(format!("refused: the entity has {what}"));
        }
        if entity.state.is_some() && !keep_state {
            return Some("refused: the entity has a state, and its reducer needs it; have it end by an event, or erase all but the state with --keep-state".into());
        }
        self.act(Kind::Erased, "".into(), "".into(), (*b"null").into(), warrant);
        self.out.erasing = Some((command, keep_state));
        None
    }

    fn outstanding(&self, sequence: u64, index: u32) -> Option<usize> {
        self.out.entity.outstanding.iter().position(|intent| (intent.sequence, intent.index) == (sequence, index))
    }

    fn act_on_intent(&mut self, kind: Kind, at: usize, warrant: &Warrant) {
        let intent = &self.out.entity.outstanding[at];
        let id = intent_id(self.plan.journal, &self.plan.workflow.name, &self.out.entity.row.key, intent.sequence, intent.index);
        let case = intent.terms.case(intent.case).snake();
        let input = concluded_input(case, intent.sequence, intent.index);
        let correlation_id = intent.correlation_id.clone();
        self.act(kind, id.to_string().into(), correlation_id, input, warrant);
    }

    fn act(&mut self, kind: Kind, event_id: Arc<str>, correlation_id: Arc<str>, input: Box<[u8]>, warrant: &Warrant) {
        // On virtual time no wall-clock time enters the journal.
        if let Moment::Arrival { now } = self.moment {
            let row = &mut self.out.entity.row;
            row.now = row.now.max(now);
        }
        self.note_entry(kind, event_id, correlation_id, input, warrant.json());
    }
}

pub(super) const ERASED_ALREADY: &str = "refused: it is being erased at this moment";

/// The command line finds out before what became of it; this is for one that ended meanwhile.
const CONCLUDED: &str = "refused: it is concluded; a conclusion stands";
