//! What operators ask of the running engine.

use std::sync::Arc;
use std::time::Duration;

use super::input::{EntityName, EventOrigin, Order, OrderKind};
use super::{Engine, EngineError};
use crate::store::CommandRow;

/// How often operators' commands are looked for.
pub(super) const COMMAND_INTERVAL: Duration = Duration::from_millis(250);

impl Engine {
    pub(super) fn look_for_commands(&mut self) -> Result<(), EngineError> {
        let now = self.clock.elapsed();
        if self.state.last_command_look.is_some_and(|last| now < last + COMMAND_INTERVAL) {
            return Ok(());
        }
        self.state.last_command_look = Some(now);
        for command in self.reader.commands()? {
            if self.state.commands_seen.insert(command.id) {
                self.apply(command)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, command: CommandRow) -> Result<(), EngineError> {
        let Some(workflow) = self.shared.plans.iter().position(|plan| *plan.workflow.name == *command.workflow) else { return Ok(()) };
        let what = match command.command.as_str() {
            "parked redrive" => OrderKind::Redrive,
            "parked drop" => OrderKind::Drop,
            other => {
                let answer = self.apply_to_dead_letter(workflow, other, &command)?;
                self.state.draft.answers.extend(answer.map(|answer| (command.id, answer)));
                return Ok(());
            }
        };
        let name = EntityName { workflow, key: command.subject.into() };
        self.pending(name).orders.push(Order { command: command.id, what });
        Ok(())
    }

    /// The answer, where there is one at once.
    fn apply_to_dead_letter(&mut self, workflow: usize, what: &str, command: &CommandRow) -> Result<Option<String>, EngineError> {
        let id: i64 = command.subject.parse().unwrap_or(-1);
        let plan = self.shared.plans[workflow].clone();
        let Some(letter) = self.reader.dead_letter(plan.id, id)? else { return Ok(Some("refused: there is no such dead letter".into())) };
        match what {
            "dead-letters drop" => {
                self.state.draft.dead_letters_removed.push(id);
                self.intake.dropped(workflow, letter.source_id, super::Line(letter.line), &letter.bytes, &mut self.state.draft);
                Ok(Some("dropped".into()))
            }
            "dead-letters redrive" => {
                let origin = EventOrigin::DeadLetter { id, source: letter.source_id, line: super::Line(letter.line) };
                let bytes: Arc<[u8]> = letter.bytes.into();
                for (taker, decoded) in self.decoder.decode(&bytes, origin, self.clock.wall()) {
                    match decoded {
                        Ok((key, event)) if taker == workflow => {
                            if self.intake.knows(event.fingerprint) {
                                return Ok(Some("refused: an event of that source and id was accepted before".into()));
                            }
                            self.intake.remember(event.fingerprint);
                            self.pending(EntityName { workflow, key }).events.push_back(event);
                            return Ok(Some("taken: it is decided in its entity's turn".into()));
                        }
                        Err(undecodable) if taker == workflow => {
                            return Ok(Some(format!("refused: {} {}: {}", undecodable.code, undecodable.path, undecodable.reason)));
                        }
                        _ => {}
                    }
                }
                Ok(Some("refused: this workflow takes no events of that type".into()))
            }
            other => Ok(Some(format!("refused: unknown command {other:?}"))),
        }
    }
}
