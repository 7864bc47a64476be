//! What came of the stream, read where the effects left it and asked of the host's own commands.

mod dead_letters;
mod decisions;
mod nodes;
mod published;
mod services;
pub(crate) mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};

use crate::host::Host;
use crate::options::Options;

/// Rows of a table that are shown unless all are asked for.
const ROWS_SHOWN: usize = 14;

/// Prints the whole report.
///
/// # Errors
/// Where something cannot be read, or where `verify` finds that the journal is not what was decided.
pub(crate) fn print(host: &Host, options: &Options) -> Result<()> {
    let rows = if options.all { usize::MAX } else { ROWS_SHOWN };
    let nodes = nodes::print(&host.folder().join("records.db"), rows)?;
    services::print(&host.folder().join("services.db"), rows)?;
    published::print(&host.folder().join("events.jsonl"))?;
    decisions::print(host)?;
    dead_letters::print(host)?;
    heading("Verification: every decision made again, and the chain of hashes");
    let workflow = host.workflow();
    let verified = host.show(&["verify", &workflow])?;
    if !verified {
        bail!("the journal is not what the reducer decides");
    }
    more(host, nodes.first().map(String::as_str).unwrap_or_default());
    Ok(())
}

/// Commands that show more, ready to be copied.
fn more(host: &Host, node: &str) {
    let workflow = host.workflow();
    heading("More");
    let commands: [(&[&str], &str); 7] = [
        (&["state", &workflow, node], "a node's state"),
        (&["journal", &workflow, node], "everything that was decided about it, and why"),
        (&["intents", &workflow], "what was asked of the effects, and what became of it"),
        (&["dead-letters", &workflow, "list"], "what could not be read"),
        (&["machine", &workflow], "the state machine that the reducer is held to"),
        (&["check", &workflow], "what keeps a wrong manifest or reducer from running"),
        (&["run", &workflow, "--clock", "event", "--advance", "5m", "--until-idle"], "five silent minutes: every node expires"),
    ];
    for (arguments, purpose) in commands {
        println!("  {purpose}\n    {}", host.line(arguments));
    }
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}\n{}", "─".repeat(text.chars().count()));
}

/// An effect's database, to be read only: the host may be running.
fn open(path: &Path) -> Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).with_context(|| format!("cannot open {}", path.display()))
}

/// The time of day of an RFC 3339 text, without its fraction: the whole stream is of one day.
fn time_of_day(instant: Option<&str>) -> String {
    instant.and_then(|text| text.get(11..19)).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::time_of_day;

    #[test]
    fn instants_are_told_by_their_time_of_day() {
        assert_eq!(time_of_day(Some("2026-02-13T12:00:30.000000Z")), "12:00:30");
        assert_eq!(time_of_day(None), "-");
    }
}
