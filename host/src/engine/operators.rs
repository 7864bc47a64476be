//! What operators ask of the running engine.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::dispatch::{self, Answer};
use super::input::{EntityName, EventInput, EventOrigin, Order, OrderKind};
use super::own::OwnEntry;
use super::planted::{Mistake, planted};
use super::reposition::ResetSubject;
use super::{Engine, EngineError};
use crate::journal::{Kind, Warrant};
use crate::source::{position_of, topic_of};
use crate::store::{Batch, CommandRow, DeadLetter, IntentKey, Scope};

/// How often operators' commands are looked for.
pub(super) const COMMAND_INTERVAL: Duration = Duration::from_millis(250);

/// Ids that a refusal names.
const MOST_NAMED: u32 = 10;

/// An intent that an operator gives up, while the dispatcher takes it out of its lane.
pub(super) struct GivingUp {
    command: i64,
    warrant: Warrant,
}

/// What an intent's command is about.
#[derive(Deserialize)]
struct IntentSubject {
    entity: String,
    sequence: u64,
    index: u32,
}

/// What is to be erased.
#[derive(Deserialize)]
struct EraseSubject {
    entity: String,
    keep_state: bool,
}

/// What a pause is about: one of its effects, one of its entities, else the workflow itself.
#[derive(Deserialize)]
struct PauseSubject {
    effect: Option<String>,
    entity: Option<String>,
}

impl From<PauseSubject> for Scope {
    fn from(subject: PauseSubject) -> Self {
        match subject {
            PauseSubject { effect: Some(effect), .. } => Scope::Effect(effect.into()),
            PauseSubject { entity: Some(entity), .. } => Scope::Entity(entity.into()),
            PauseSubject { .. } => Scope::Workflow,
        }
    }
}

impl Engine {
    pub(super) fn look_for_commands(&mut self) -> Result<(), EngineError> {
        let now = self.clock.elapsed();
        if self.state.last_command_look.is_some_and(|last| now < last + COMMAND_INTERVAL) {
            return Ok(());
        }
        let workflows: Vec<&str> = self.shared.plans.iter().map(|plan| &*plan.workflow.name).collect();
        let commands = self.reader.commands(&workflows)?;
        // What is not open any more will never be seen again.
        self.state.commands_seen.retain(|seen| commands.iter().any(|command| command.id == *seen));
        self.state.migrations.retain(&commands);
        for command in commands {
            if self.state.commands_seen.contains(&command.id) {
                continue;
            }
            if !self.is_mine(&command) {
                match (command.command.as_str(), self.workflow_of(&command)) {
                    // Each host does it for its own entities; one of them answers.
                    ("truncate", _) => self.state.sweep.begin(),
                    ("migrate", Some(workflow)) => self.state.migrations.begin(workflow, &command, false),
                    _ => {}
                }
                self.state.commands_seen.insert(command.id);
                continue;
            }
            let mut draft = std::mem::take(&mut self.state.draft);
            let applied = self.apply(&command, &mut draft);
            self.state.draft = draft;
            // What could not be read for it was read before anything was done: it is looked at again.
            let answer = applied?;
            self.state.commands_seen.insert(command.id);
            self.state.draft.answers.extend(answer.map(|answer| (command.id, answer)));
        }
        self.state.last_command_look = Some(now);
        Ok(())
    }

    /// Whether this host is to do it: it owns the entity that it is about, or, where it is about no single one, the
    /// workflow's own.
    fn is_mine(&self, command: &CommandRow) -> bool {
        if !self.share.is_shared() {
            return true;
        }
        let subject = &command.subject;
        let key = match command.command.as_str() {
            "parked redrive" | "parked drop" => subject.clone(),
            "intents redrive" | "intents give-up" => serde_json::from_str(subject).map_or(String::new(), |of: IntentSubject| of.entity),
            "erase" => serde_json::from_str(subject).map_or(String::new(), |of: EraseSubject| of.entity),
            _ => String::new(),
        };
        self.share.shards.has_key(&key)
    }

    fn workflow_of(&self, command: &CommandRow) -> Option<usize> {
        self.shared.plans.iter().position(|plan| *plan.workflow.name == *command.workflow)
    }

    /// The answer, where there is one at once.
    fn apply(&mut self, command: &CommandRow, draft: &mut Batch) -> Result<Option<String>, EngineError> {
        let Some(workflow) = self.workflow_of(command) else { return Ok(None) };
        let subject = &command.subject;
        let entity = |key: &str| EntityName { workflow, key: key.into() };
        Ok(match command.command.as_str() {
            "parked redrive" => self.entity_order(entity(subject), OrderKind::RedriveHead, command),
            "parked drop" => self.entity_order(entity(subject), OrderKind::DropHead, command),
            "dead-letters redrive" => Some(self.redrive_dead_letter(workflow, command, draft)?),
            "dead-letters drop" => Some(self.drop_dead_letter(workflow, command, draft)?),
            "intents redrive" | "intents give-up" => match serde_json::from_str::<IntentSubject>(subject) {
                Ok(IntentSubject { entity: key, sequence, index }) if command.command == "intents redrive" => {
                    self.entity_order(entity(&key), OrderKind::RedriveIntent(sequence, index), command)
                }
                Ok(IntentSubject { entity: key, sequence, index }) => self.give_up(entity(&key), sequence, index, command)?,
                Err(error) => Some(unreadable(subject, &error)),
            },
            "pause" | "resume" => match serde_json::from_str::<PauseSubject>(subject) {
                Ok(scope) if command.command == "pause" => Some(self.pause(workflow, &scope.into(), &command.warrant, draft)?),
                Ok(scope) => Some(self.resume(workflow, &scope.into(), &command.warrant, draft)?),
                Err(error) => Some(unreadable(subject, &error)),
            },
            "source reset" => match serde_json::from_str::<ResetSubject>(subject) {
                Ok(reset) => Some(self.reset_source(workflow, &reset, &command.warrant, draft)?),
                Err(error) => Some(unreadable(subject, &error)),
            },
            "deploy" => self.deploy(workflow, command)?,
            "migrate" => {
                self.state.migrations.begin(workflow, command, true);
                None
            }
            "truncate" if !self.shared.plans[workflow].workflow.manifest.retention.forgets() => Some(
                "refused: the manifest that the host runs with forgets nothing; say in `[retention]` what is old, and start it anew".into(),
            ),
            "truncate" => {
                self.state.sweep.ask(command.id);
                None
            }
            "erase" if self.state.erasing.is_for(command.id) => None,
            "erase" => match serde_json::from_str::<EraseSubject>(subject) {
                Ok(erase) => self.erase(workflow, &erase, command)?,
                Err(error) => Some(unreadable(subject, &error)),
            },
            other => Some(format!("refused: this host knows no command {other:?}")),
        })
    }

    fn erase(&mut self, workflow: usize, subject: &EraseSubject, command: &CommandRow) -> Result<Option<String>, EngineError> {
        let EraseSubject { entity, keep_state } = subject;
        let plan = &self.shared.plans[workflow];
        let row = self.reader.entity(plan.id, entity)?.filter(|_| !entity.is_empty());
        let Some(row) = row else {
            return Ok(Some(format!("refused: workflow {:?} knows no entity {entity:?}", plan.workflow.name)));
        };
        if self.state.erasing.has(row.id) {
            return Ok(Some(super::acts::ERASED_ALREADY.into()));
        }
        if self.reader.deliveries_to(&plan.workflow.name, entity)? > 0 {
            return Ok(Some("refused: inputs from other entities are on their way to it; ask again when they are decided".into()));
        }
        let name = EntityName { workflow, key: entity.as_str().into() };
        Ok(self.entity_order(name, OrderKind::Erase { keep_state: *keep_state }, command))
    }

    fn entity_order(&mut self, name: EntityName, what: OrderKind, command: &CommandRow) -> Option<String> {
        self.pending(name).orders.push(Order { command: command.id, what, warrant: command.warrant.clone() });
        None
    }

    /// Has an intent leave its lane first: what is journaled as given up must not be performed after.
    fn give_up(&mut self, name: EntityName, sequence: u64, index: u32, command: &CommandRow) -> Result<Option<String>, EngineError> {
        if !self.course.perform || planted(Mistake::GivenUpInItsLane) {
            return Ok(self.entity_order(name, OrderKind::GiveUpIntent(sequence, index), command));
        }
        let Some(row) = self.reader.entity(self.shared.plans[name.workflow].id, &name.key)? else {
            return Ok(Some(format!("refused: there is no entity {:?}", name.key)));
        };
        let key = IntentKey { entity: row.id, sequence, index };
        if self.state.giving_up.contains_key(&key) {
            return Ok(Some("refused: somebody else gives it up at this moment".into()));
        }
        self.state.giving_up.insert(key, GivingUp { command: command.id, warrant: command.warrant.clone() });
        self.order(dispatch::Order::GiveUp(name, key));
        Ok(None)
    }

    /// The dispatcher's answer to an order on an intent.
    pub(super) fn answered(&mut self, name: EntityName, key: IntentKey, answer: Answer) {
        // The same intent may have been redriven just before: that answer is about something else.
        let asked = answer.is_to_giving_up().then(|| self.state.giving_up.remove(&key)).flatten();
        let Some(GivingUp { command, warrant }) = asked else {
            let IntentKey { sequence, index, .. } = key;
            let plan = &self.shared.plans[name.workflow];
            let intent =
                self.cached(&name).and_then(|entity| entity.outstanding.iter().find(|o| (o.sequence, o.index) == (sequence, index)));
            tracing::debug!(
                workflow = %plan.workflow.name, effect = intent.and_then(|intent| intent.terms.route(intent.case)).map(|route| &*route.effect), entity = %name.key,
                sequence, index, event_id = intent.map(|intent| &*intent.event_id), correlation_id = intent.map(|intent| &*intent.correlation_id),
                %answer, "the dispatcher's answer"
            );
            return;
        };
        // Whatever it is, no attempt starts any more; where it was concluded, the entity knows.
        let what = OrderKind::GiveUpIntent(key.sequence, key.index);
        self.pending(name).orders.push(Order { command, what, warrant });
    }

    fn drop_dead_letter(&mut self, workflow: usize, command: &CommandRow, draft: &mut Batch) -> Result<String, EngineError> {
        let letter = match self.dead_letter(workflow, &command.subject)? {
            Ok(letter) => letter,
            Err(refused) => return Ok(refused),
        };
        self.note_dead_letter(workflow, Kind::Dropped, &letter, &command.warrant, draft)?;
        draft.dead_letters_removed.push(letter.id);
        self.intake.dropped(workflow, letter.source_id, super::Line(letter.line), &letter.bytes, draft);
        Ok("dropped".into())
    }

    fn redrive_dead_letter(&mut self, workflow: usize, command: &CommandRow, draft: &mut Batch) -> Result<String, EngineError> {
        let letter = match self.dead_letter(workflow, &command.subject)? {
            Ok(letter) => letter,
            Err(refused) => return Ok(refused),
        };
        let origin = EventOrigin::DeadLetter { id: letter.id, source: letter.source_id, line: super::Line(letter.line) };
        let bytes: Arc<[u8]> = letter.bytes.as_slice().into();
        for (taker, decoded) in self.decoder.decode_from(topic_of(&letter.source), &bytes, origin, self.clock.wall()) {
            match decoded {
                Ok((key, event)) if taker == workflow && !self.share.shards.has_key(&key) => {
                    self.note_dead_letter(workflow, Kind::Redriven, &letter, &command.warrant, draft)?;
                    draft.dead_letters_removed.push(letter.id);
                    self.intake.forward(workflow, (letter.source_id, super::Line(letter.line)), key, event.bytes, draft);
                    return Ok("taken: it is decided in its entity's turn, by the host that owns the entity".into());
                }
                Ok((key, event)) if taker == workflow => {
                    if self.intake.knows(event.fingerprint) {
                        return Ok("refused: an event of that source and id was accepted before".into());
                    }
                    self.note_dead_letter(workflow, Kind::Redriven, &letter, &command.warrant, draft)?;
                    self.intake.remember(event.fingerprint);
                    self.pending(EntityName { workflow, key }).events.push_back(event);
                    return Ok("taken: it is decided in its entity's turn".into());
                }
                Err(undecodable) if taker == workflow => {
                    return Ok(format!("refused: {} {}: {}", undecodable.code, undecodable.path, undecodable.reason));
                }
                _ => {}
            }
        }
        Ok("refused: this workflow takes no events of that type".into())
    }

    /// Whether the event of a dead letter waits to be decided.
    fn is_redriven(&self, letter: i64) -> bool {
        let is_it = |event: &EventInput| matches!(event.origin, EventOrigin::DeadLetter { id, .. } if id == letter);
        self.state.work.values().any(|work| work.pending.events.iter().any(is_it))
    }

    /// The dead letter of that id, or why there is none.
    fn dead_letter(&self, workflow: usize, id: &str) -> Result<Result<DeadLetter, String>, EngineError> {
        let plan = &self.shared.plans[workflow];
        let number = id.parse().unwrap_or(-1);
        if let Some(letter) = self.reader.dead_letter(plan.id, number)? {
            // It stays one until that is durable, and the window of duplicates may be too small to know it again.
            if self.is_redriven(number) {
                return Ok(Err(format!("refused: dead letter {id} is redriven already, and not decided yet")));
            }
            return Ok(Ok(letter));
        }
        let known = self.reader.dead_letter_ids_after(plan.id, 0, MOST_NAMED + 1)?;
        let named: Vec<String> = known.iter().take(MOST_NAMED as usize).map(ToString::to_string).collect();
        let there_is = match known.len() {
            0 => "there are none".to_owned(),
            count if count > MOST_NAMED as usize => format!("there are {}, …", named.join(", ")),
            _ => format!("there are {}", named.join(", ")),
        };
        Ok(Err(format!("refused: there is no dead letter {id}; {there_is}")))
    }

    fn note_dead_letter(
        &mut self,
        workflow: usize,
        kind: Kind,
        letter: &DeadLetter,
        warrant: &Warrant,
        draft: &mut Batch,
    ) -> Result<(), EngineError> {
        let DeadLetter { id, source, line, code, .. } = letter;
        let about = json!({ "dead_letter": id, "source": source, "position": position_of(source, *line), "code": code });
        let event_id = letter.event_id.as_deref().unwrap_or_default();
        self.note_own(workflow, &OwnEntry { kind, event_id, about: &about, warrant }, draft)
    }
}

fn unreadable(subject: &str, error: &serde_json::Error) -> String {
    format!("refused: {subject:?} names nothing that this command knows: {error}")
}
