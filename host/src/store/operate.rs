//! How operators reach the host: what they ask, what it answers, and what stands still because of it.

use std::sync::Arc;

use super::change::{Change, int, text};
use super::connection::{Connection, Transaction};
use super::value::{Columns, values};
use super::{Batch, Location, PauseRow, Reader, Scope, StoreError, Writer, postgres, sqlite};
use crate::journal::Warrant;

/// Answered commands that are kept to be looked at.
const MOST_ANSWERED: i64 = 1000;

/// Open commands that are read together; the others come after them.
const COMMANDS_TOGETHER: u32 = 1024;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// Its id.
    pub id: i64,
    /// The workflow's name.
    pub workflow: String,
    /// What to do.
    pub command: String,
    /// On what.
    pub subject: String,
    /// Who asks, and why.
    pub warrant: Warrant,
    /// What came of it; none where it waits.
    pub answer: Option<String>,
}

/// Something to ask of a host: one command for each subject, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// What to do.
    pub command: &'a str,
    /// On what.
    pub subjects: &'a [String],
    /// Who asks, and why.
    pub warrant: &'a Warrant,
}

static RESUMED: Change = Change::delete("pauses", &[int("workflow"), text("scope"), text("name")]);
static PAUSED: Change =
    Change::replace("pauses", &[int("since"), text("by"), text("reason")], &[int("workflow"), text("scope"), text("name")]);
static ASKED: Change = Change::insert("commands", &[text("workflow"), text("command"), text("subject"), text("by"), text("reason")]);
static ANSWERS: Change = Change::update("commands", &[text("answer")], &[int("id")]);

pub(super) fn write<'v>(transaction: &mut Transaction<'_, 'v>, batch: &'v Batch) -> Result<(), StoreError> {
    // What one commit resumes and pauses again stands still.
    let resumed = batch.pauses_removed.iter().map(|(workflow, scope)| values![*workflow, scope.as_str(), scope.name()]);
    transaction.change(&RESUMED, resumed)?;
    let paused = batch
        .pauses_added
        .iter()
        .map(|p| values![p.since, &p.warrant.by, p.warrant.reason.as_ref(), p.workflow, p.scope.as_str(), p.scope.name()]);
    transaction.change(&PAUSED, paused)?;
    transaction.change(&ANSWERS, batch.answers.iter().map(|(id, text)| values![text, *id]))?;
    let asked = batch.commands_added.iter().map(|a| values![&a.workflow, a.command, &a.subject, &a.warrant.by, a.warrant.reason.as_ref()]);
    transaction.change(&ASKED, asked)?;
    if let Some(last) = batch.answers.iter().map(|(id, _)| *id).max() {
        transaction.execute("DELETE FROM commands WHERE id <= ? AND answer IS NOT NULL", values![last - MOST_ANSWERED])?;
    }
    Ok(())
}

impl Writer {
    /// Asks the host that has the store at `location`, or the next one; gives the commands' ids in order. Needs no lock: it
    /// adds to the table of commands, which no host numbers rows of.
    ///
    /// # Errors
    /// Where nothing was asked.
    pub fn ask_beside(location: &Location, workflow: &str, question: &Question<'_>) -> Result<Vec<i64>, StoreError> {
        let mut connection = match location {
            Location::Sqlite(path) => Connection::Sqlite(sqlite::connect(path)?),
            Location::Postgres(place) => Connection::Postgres(postgres::open_beside(place)?),
        };
        let Question { command, subjects, warrant } = question;
        let asked = subjects.iter().map(|subject| values![workflow, *command, subject, &warrant.by, warrant.reason.as_ref()]);
        connection.transact(|transaction| transaction.change_telling(&ASKED, "id", asked))
    }
}

const COMMAND: &str = "SELECT id, workflow, command, subject, by, reason, answer FROM commands";

fn command(row: &Columns<'_>) -> Result<CommandRow, StoreError> {
    Ok(CommandRow {
        id: row.get(0)?,
        workflow: row.get(1)?,
        command: row.get(2)?,
        subject: row.get(3)?,
        warrant: Warrant { by: row.get(4)?, reason: row.get(5)? },
        answer: row.get(6)?,
    })
}

impl Reader {
    /// The first commands on these workflows that no host has applied yet, oldest first. Those on others wait for a host that
    /// runs them, and keep nobody waiting.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn commands(&self, workflows: &[&str]) -> Result<Vec<CommandRow>, StoreError> {
        let mut open = Vec::new();
        for workflow in workflows {
            let query = format!("{COMMAND} WHERE answer IS NULL AND workflow = ? ORDER BY id LIMIT ?");
            open.extend(self.rows(&query, &values![*workflow, COMMANDS_TOGETHER], command)?);
        }
        open.sort_by_key(|command| command.id);
        Ok(open)
    }

    /// One command.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn command(&self, id: i64) -> Result<Option<CommandRow>, StoreError> {
        self.row(&format!("{COMMAND} WHERE id = ?"), &values![id], command)
    }

    /// What of a workflow stands still.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn pauses(&self, workflow: i64) -> Result<Vec<PauseRow>, StoreError> {
        let query = "SELECT scope, name, since, by, reason FROM pauses WHERE workflow = ? ORDER BY scope DESC, name";
        self.rows(query, &values![workflow], |row| {
            let name: Arc<str> = row.get(1)?;
            Ok(PauseRow {
                workflow,
                scope: row.named(0, |scope| Scope::from_names(scope, name))?,
                since: row.get(2)?,
                warrant: Warrant { by: row.get(3)?, reason: row.get(4)? },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Store;
    use crate::store::trial::on_each;

    fn warrant() -> Warrant {
        Warrant { by: "ann".into(), reason: Some("because".into()) }
    }

    #[test]
    fn a_host_can_be_asked_while_it_has_the_store() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let question = Question { command: "parked redrive", subjects: &["a".to_owned(), "b".to_owned()], warrant: &warrant() };
            let ids = Writer::ask_beside(store.location(), "w", &question).unwrap();
            let asked = store.reader().unwrap().commands(&["other", "w"]).unwrap();
            assert_eq!(asked.iter().map(|command| command.id).collect::<Vec<_>>(), ids);
            assert_eq!(asked.iter().map(|command| command.subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);
            assert!(asked.iter().all(|command| command.answer.is_none() && command.warrant == warrant()));
        });
    }

    #[test]
    fn only_the_last_answers_are_kept() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let subjects: Vec<String> = (0..MOST_ANSWERED + 5).map(|n| n.to_string()).collect();
            let ids =
                Writer::ask_beside(store.location(), "w", &Question { command: "c", subjects: &subjects, warrant: &warrant() }).unwrap();
            // The very first is still open.
            let answers = ids[1..].iter().map(|id| (*id, "done".to_owned())).collect();
            store.writer().unwrap().commit(&Batch { number: 1, answers, ..Batch::default() }).unwrap();
            let reader = store.reader().unwrap();
            assert_eq!(reader.commands(&["w"]).unwrap().len(), 1);
            assert_eq!(reader.commands(&["another"]).unwrap(), [], "they wait for a host that runs it");
            assert!(reader.command(ids[1]).unwrap().is_none());
            assert_eq!(reader.command(*ids.last().unwrap()).unwrap().unwrap().answer.as_deref(), Some("done"));
        });
    }

    #[test]
    fn what_is_paused_is_known_until_it_is_resumed() {
        on_each(|trial| {
            let store = Store::open(&trial.location, None, (1, 2)).unwrap();
            let mut writer = store.writer().unwrap();
            let workflow = writer.workflow("w").unwrap();
            let pause = |scope| PauseRow { workflow, scope, since: 7, warrant: warrant() };
            let paused = vec![pause(Scope::Workflow), pause(Scope::Effect("mail".into())), pause(Scope::Entity("a".into()))];
            writer.commit(&Batch { number: 1, pauses_added: paused.clone(), ..Batch::default() }).unwrap();
            let reader = store.reader().unwrap();
            assert_eq!(reader.pauses(workflow).unwrap(), [paused[0].clone(), paused[2].clone(), paused[1].clone()]);
            let removed = vec![(workflow, Scope::Effect("mail".into()))];
            writer.commit(&Batch { number: 2, pauses_removed: removed, ..Batch::default() }).unwrap();
            assert_eq!(reader.pauses(workflow).unwrap().len(), 2);
        });
    }
}
