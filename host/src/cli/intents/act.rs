//! One intent in full, and what an operator does about some.

use std::collections::HashMap;
use std::io::{self, Write};

use purefold::journal::Warrant;
use purefold::store::Question;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::list::{Filter, Line, Lister, outcome_failure, result_failure};
use super::{Arguments, Meant};
use crate::cli::ask::{self, is_refused};
use crate::cli::exit::Exit;
use crate::cli::open::Stored;
use crate::cli::table::{Style, visible};
use crate::cli::{json as stored_json, report};

pub(super) const REDRIVE: &str = "intents redrive";
pub(super) const GIVE_UP: &str = "intents give-up";

#[derive(Serialize)]
struct AnswerLine<'a> {
    id: &'a str,
    entity: Option<&'a str>,
    answer: &'a str,
}

/// Where an outstanding intent stands, as a command names it.
struct Subject {
    entity: String,
    json: String,
}

pub(super) fn show(stored: &Stored, ids: &[String], as_json: bool) -> anyhow::Result<Exit> {
    let lister = Lister::new(stored)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut found: Vec<String> = Vec::new();
    for all in [false, true] {
        if found.len() == ids.len() {
            break;
        }
        lister.list(all, &Filter::default(), &mut |line| {
            if !ids.contains(&line.id) || found.contains(&line.id) {
                return Ok(());
            }
            found.push(line.id.clone());
            if as_json { report::json_line(&mut out, line) } else { in_full(&mut out, line) }
        })?;
    }
    out.flush()?;
    let mut done = Exit::Well;
    for id in ids.iter().filter(|id| !found.contains(*id)) {
        eprintln!("error: workflow {:?} has no intent {id}", stored.workflow.name);
        done = Exit::Negative;
    }
    Ok(done)
}

fn in_full(out: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    writeln!(out, "{}", Style::of_stdout().bold(&format!("{}: {} of {}", line.id, visible(line.case), visible(line.entity))))?;
    let asked = format!("decision {}, index {}", line.sequence, line.index);
    let attempts = line.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string());
    let texts = [
        ("asked for by", asked.as_str()),
        ("effect", line.effect.unwrap_or("-")),
        ("status", line.status),
        ("attempts", &attempts),
        ("reason", &line.told_reason()),
    ];
    for (name, text) in texts {
        writeln!(out, "  {name}: {}", visible(text))?;
    }
    match line.payload {
        Some(payload) => stored_json::write_pretty(out, payload, 2),
        None => Ok(()),
    }
}

pub(super) fn change(arguments: &Arguments, stored: Stored, command: &str, meant: &Meant, warrant: &Warrant) -> anyhow::Result<Exit> {
    let (ids, subjects) = meant_ones(&stored, command, meant)?;
    if meant.ids.is_empty() && ids.is_empty() {
        eprintln!("no intent that is meant {}", if command == REDRIVE { "is held" } else { "is outstanding" });
        return Ok(Exit::Well);
    }
    let mut answers: HashMap<String, String> = HashMap::new();
    for id in ids.iter().filter(|id| !subjects.contains_key(*id)) {
        answers.insert(id.clone(), concluded(&stored, id, command)?);
    }
    let asked: Vec<&String> = ids.iter().filter(|id| subjects.contains_key(*id)).collect();
    let texts: Vec<String> = asked.iter().map(|id| subjects[*id].json.clone()).collect();
    if !texts.is_empty() {
        let question = Question { command, subjects: &texts, warrant };
        let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
        answers.extend(asked.iter().map(|id| (*id).clone()).zip(answered.answers));
        if answered.directly && command == REDRIVE {
            eprintln!("no host is running: the attempts begin with the next `purefold run`");
        }
    }
    let mut done = Exit::Well;
    let mut out = io::stdout().lock();
    for id in &ids {
        let answer = answers.get(id).map_or("", String::as_str);
        if is_refused(answer) {
            done = Exit::Negative;
        }
        if arguments.json {
            let entity = subjects.get(id).map(|subject| subject.entity.as_str());
            report::json_line(&mut out, &AnswerLine { id, entity, answer })?;
        } else {
            writeln!(out, "{}: {}", visible(id), visible(answer))?;
        }
    }
    Ok(done)
}

/// The ids that are meant, in order, and where those of them stand that are outstanding.
fn meant_ones(stored: &Stored, command: &str, meant: &Meant) -> anyhow::Result<(Vec<String>, HashMap<String, Subject>)> {
    let by_id = !meant.ids.is_empty();
    let mut ids = meant.ids.clone();
    let mut subjects = HashMap::new();
    debug_assert!(by_id || meant.all || meant.filter.is_set(), "the command line asks for one of them");
    Lister::new(stored)?.list(false, &meant.filter, &mut |line| {
        let is_meant =
            if by_id { meant.ids.contains(&line.id) } else { line.status == "held" || (command == GIVE_UP && line.status == "pending") };
        if !is_meant {
            return Ok(());
        }
        if !by_id {
            ids.push(line.id.clone());
        }
        let json = json!({ "entity": line.entity, "sequence": line.sequence, "index": line.index }).to_string();
        subjects.insert(line.id.clone(), Subject { entity: line.entity.to_owned(), json });
        Ok(())
    })?;
    Ok((ids, subjects))
}

/// Why nothing can be done about an intent that is not outstanding.
fn concluded(stored: &Stored, id: &str, command: &str) -> anyhow::Result<String> {
    let Some(ended) = stored.reader.conclusion(stored.id, id)? else {
        return Ok(format!("refused: workflow {:?} has no intent {id}", stored.workflow.name));
    };
    let failure = if ended.is_outcome { outcome_failure(&ended.json) } else { result_failure(&ended.json) };
    let how = failure.map_or_else(|| "as done".to_owned(), |failure| format!("as failed: {}", told(&failure)));
    let way_out = if command == REDRIVE {
        "a conclusion stands: send a new event that has the reducer ask again"
    } else {
        "there is nothing left to give up"
    };
    Ok(format!("refused: it is concluded {how} (entity {:?}, after decision {}); {way_out}", ended.entity, ended.sequence))
}

/// A failure's case and text.
fn told(failure: &RawValue) -> String {
    match stored_json::variant(failure.get()) {
        Some((case, Some(text))) => {
            format!("{case}: {}", serde_json::from_str(text.get()).unwrap_or_else(|_| text.get().to_owned()))
        }
        Some((case, None)) => case,
        None => failure.get().to_owned(),
    }
}
