//! `purefold explain`: which input and which release last changed each field of an entity's state.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::replay::{self, Change};
use purefold_wit::finding;

use super::exit::Exit;
use super::table::{Side, Style, Table};
use super::{open, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity
    key: String,
    /// Only this field and what is below it, as in `address.port`
    #[arg(long, value_name = "PATH")]
    field: Option<String>,
    /// One JSON object a line: every field, then the counts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (open::Past { stored, lineage, .. }, row) = match open::past_of(&arguments.workflow, &arguments.key)? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    let found = replay::explain(&stored.reader, &lineage, &row)?;
    let asked = arguments.field.as_ref().map(|field| field.replace('-', "_"));
    let is_asked = |change: &&Change| {
        asked
            .as_ref()
            .is_none_or(|asked| change.field.strip_prefix(&**asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    };
    let changes: Vec<&Change> = found.changes.iter().filter(is_asked).collect();
    if let (Some(field), true) = (&arguments.field, changes.is_empty()) {
        let near = finding::nearest(field, found.changes.iter().map(|change| &*change.field));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        eprintln!("error: the state of entity {:?} holds nothing at {field:?}{near}", arguments.key);
        return Ok(Exit::Negative);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        for change in changes {
            report::json_line(&mut out, change)?;
        }
        let counts = serde_json::json!({
            "decisions": found.decisions, "mismatches": found.mismatches, "not_executed": found.not_executed
        });
        report::json_line(&mut out, &counts)?;
    } else {
        text(&mut out, &changes)?;
        let verdict = if found.mismatches == 0 { "as stored" } else { "NOT as stored" };
        writeln!(out, "\n{verdict}: {} decisions made again, {} come out otherwise", found.decisions, found.mismatches)?;
        for (sequence, departures) in &found.told {
            let places: Vec<&str> = departures.iter().map(|departure| departure.path.as_str()).collect();
            writeln!(out, "decision {sequence}: {}", places.join(", "))?;
        }
        if found.not_executed > 0 {
            writeln!(out, "{} decisions could not be made again for want of what is erased or truncated", found.not_executed)?;
        }
    }
    out.flush()?;
    Ok(if found.mismatches == 0 { Exit::Well } else { Exit::Negative })
}

fn text(out: &mut dyn Write, changes: &[&Change]) -> io::Result<()> {
    let columns = [
        ("field", Side::Whole),
        ("value", Side::Left),
        ("before", Side::Left),
        ("decision", Side::Right),
        ("input", Side::Left),
        ("release", Side::Right),
        ("at", Side::Left),
    ];
    let mut table = Table::new(out, Style::of_stdout(), &columns);
    for change in changes {
        let at = purefold_wit::instant::format(change.now).unwrap_or_default();
        let (sequence, release) = (change.sequence.to_string(), change.release.to_string());
        let input = change.input.as_deref().unwrap_or("(migrated)");
        table.row([&change.field, &change.value.to_string(), &change.before.to_string(), &sequence, input, &release, &at])?;
    }
    table.finish()
}
