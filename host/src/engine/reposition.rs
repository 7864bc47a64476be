//! Setting the position of a source, as an operator asks.

use serde::Deserialize;
use serde_json::json;

use super::own::OwnEntry;
use super::{Engine, EngineError};
use crate::journal::{Kind, Warrant};
use crate::source::{Partition, position_of};
use crate::store::{Batch, SourceReset};

/// Sources that a refusal names.
const MOST_NAMED: usize = 10;

/// Which position is to be set, and to what.
#[derive(Deserialize)]
pub(super) struct ResetSubject {
    topic: String,
    partition: i32,
    offset: u64,
}

impl Engine {
    /// Sets how far a partition was read. The engine that reads it gives way to another, which begins there.
    pub(super) fn reset_source(
        &mut self,
        workflow: usize,
        subject: &ResetSubject,
        warrant: &Warrant,
        draft: &mut Batch,
    ) -> Result<String, EngineError> {
        let plan = self.shared.plans[workflow].clone();
        let name = Partition { topic: subject.topic.as_str().into(), number: subject.partition }.name();
        let known = self.reader.sources(plan.id)?;
        let Some((_, row)) = known.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> =
                known.iter().map(|(name, _)| name.as_str()).filter(|name| Partition::of_name(name).is_some()).take(MOST_NAMED).collect();
            let there_is = if names.is_empty() { "no partition".to_owned() } else { names.join(", ") };
            return Ok(format!("refused: workflow {:?} has not read {name}; it has read {there_is}", plan.workflow.name));
        };
        if draft.sources_reset.iter().any(|reset| reset.source == row.id) {
            return Ok("refused: its position is being set at this moment".into());
        }
        let before = position_of(&name, row.next_line + 1);
        let about = json!({ "source": name, "from": before, "to": subject.offset });
        self.note_own(workflow, &OwnEntry { kind: Kind::Repositioned, event_id: "", about: &about, warrant }, draft)?;
        draft.sources_reset.push(SourceReset { source: row.id, line: subject.offset });
        tracing::warn!(workflow = %plan.workflow.name, source = name, from = before, to = subject.offset, by = warrant.by, "position set");
        if self.intake.leave(row.id) {
            self.give_way();
        }
        Ok(format!("set: {name} is read from offset {} on (it was at {before})", subject.offset))
    }
}
