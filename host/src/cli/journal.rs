//! `purefold journal`: what was decided, on what, and what came of it.

use std::io::{self, Write};
use std::path::PathBuf;

use purefold::journal::{Entry, Kind, Verdict};
use purefold::store::StoredEntry;
use purefold_wit::instant;
use serde::Serialize;
use serde_json::value::RawValue;

use super::exit::Exit;
use super::open::{self, Stored};
use super::table::{Side, Style, Table, visible};
use super::{entity, json, report};

/// Entries that are read together.
const PAGE: u32 = 128;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// The entity, whose entries come oldest first; without it, every entry in the order of commits
    key: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Inputs, states and intents in full
    #[arg(long, conflicts_with = "json")]
    full: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    entity: &'a str,
    sequence: u64,
    ordinal: u32,
    kind: &'static str,
    release: u64,
    now: Option<String>,
    event_id: &'a str,
    correlation_id: &'a str,
    input: Option<Box<RawValue>>,
    decision: Option<Decision>,
    hash: String,
    /// Whether what it held is erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    /// Who had it done and why, where an operator did, or the host by a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<RawValue>>,
    /// What a concluded intent came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// Why an entity was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Box<RawValue>>,
    /// What a migration made of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Accepted { state: Option<Box<RawValue>>, intents: Option<Box<RawValue>> },
    Rejected(Option<Box<RawValue>>),
    Faulted(Option<Box<RawValue>>),
}

impl<'a> Line<'a> {
    fn new(key: &'a str, stored: &'a StoredEntry) -> Self {
        let entry = &stored.entry;
        let output = || json::raw(&entry.output);
        Line {
            entity: key,
            sequence: entry.sequence,
            ordinal: entry.ordinal,
            kind: entry.kind.as_str(),
            release: entry.release,
            now: if key.is_empty() { json::moment(entry.now) } else { instant::format(entry.now) },
            event_id: &entry.event_id,
            correlation_id: &entry.correlation_id,
            input: json::raw(&entry.input),
            decision: Decision::of(entry),
            hash: purefold::journal::hex(&stored.hash),
            erased: stored.erased.is_some(),
            act: if entry.kind.is_act() { output() } else { None },
            result: if entry.kind == Kind::Concluded { output() } else { None },
            fault: if entry.kind == Kind::Parked { output() } else { None },
            state: entry.state.as_ref().filter(|_| entry.kind == Kind::Migrated).and_then(|state| json::raw(state)),
        }
    }

    /// In a few words what the entry is about, and what came of it.
    fn summary(&self) -> (String, String) {
        let case = |raw: &Option<Box<RawValue>>| raw.as_ref().and_then(|raw| json::variant(raw.get())).map(|(case, _)| case);
        let text = |raw: &Option<Box<RawValue>>| raw.as_ref().map_or_else(String::new, |raw| raw.get().to_owned());
        let about = match self.kind {
            "decided" | "parked" | "resumed" | "dropped" if !self.entity.is_empty() => case(&self.input).unwrap_or_default(),
            "concluded" | "redriven" | "abandoned" if !self.entity.is_empty() => {
                self.input.as_ref().and_then(|raw| json::field(raw, "case")).map_or_else(String::new, |case| unquoted(case.get()))
            }
            _ => String::new(),
        };
        let outcome = match &self.decision {
            Some(_) if self.erased => "erased".to_owned(),
            Some(Decision::Accepted { state, intents }) => accepted(state.is_some(), intents.as_deref()),
            Some(Decision::Rejected(reason)) => format!("rejected: {}", unquoted(&text(reason))),
            Some(Decision::Faulted(fault)) => format!("faulted: {}", told(fault.as_deref())),
            None if self.fault.is_some() => told(self.fault.as_deref()),
            None if self.kind == "released" => text(&self.input),
            None if self.act.is_some() => self.told_act(),
            None => self.result.as_deref().map_or_else(String::new, concluded),
        };
        (about, outcome)
    }
}

impl Line<'_> {
    /// Who did it and why; what it is about, where that is no input or intent of an entity.
    fn told_act(&self) -> String {
        let act = self.act.as_deref();
        let part = |name| act.and_then(|act| json::field(act, name)).map(RawValue::get).filter(|part| *part != "null").map(unquoted);
        let by = format!("by {}", part("by").unwrap_or_default());
        let told = part("reason").map_or_else(|| by.clone(), |reason| format!("{by}: {reason}"));
        match &self.input {
            Some(about) if self.entity.is_empty() => format!("{} {told}", about.get()),
            _ => told,
        }
    }
}

impl Decision {
    fn of(entry: &Entry) -> Option<Decision> {
        let output = || json::raw(&entry.output);
        Some(match entry.verdict? {
            Verdict::Accepted => Decision::Accepted { state: entry.state.as_deref().and_then(json::raw), intents: output() },
            Verdict::Rejected => Decision::Rejected(output()),
            Verdict::Faulted => Decision::Faulted(output()),
        })
    }
}

/// The intents' cases, in order.
fn accepted(has_state: bool, intents: Option<&RawValue>) -> String {
    let intents = intents.and_then(|intents| json::list(intents.get().as_bytes())).unwrap_or_default();
    let cases: Vec<String> = intents.iter().filter_map(|intent| json::variant(intent.get())).map(|(case, _)| case).collect();
    let mut text = if has_state { "accepted".to_owned() } else { "accepted, no state".to_owned() };
    if !cases.is_empty() {
        text.push_str(": ");
        text.push_str(&cases.join(", "));
    }
    text
}

/// What became of an intent: `done`, or the failure's case and text.
fn concluded(result: &RawValue) -> String {
    match json::field(result, "err").map(|failure| (failure, json::variant(failure.get()))) {
        None => "done".to_owned(),
        Some((_, Some((case, Some(text))))) => format!("failed: {case}: {}", unquoted(text.get())),
        Some((failure, _)) => format!("failed: {}", unquoted(failure.get())),
    }
}

/// A fault's code and reason.
fn told(fault: Option<&RawValue>) -> String {
    let part = |name| fault.and_then(|fault| json::field(fault, name)).map_or_else(String::new, |part| unquoted(part.get()));
    format!("{}: {}", part("code"), part("reason"))
}

/// The text of a JSON string; other JSON as it is.
fn unquoted(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    // The rows of one entity are known before the first is shown; their texts are not.
    let rows = match &arguments.key {
        None => None,
        Some(key) => {
            let Some(entity) = entity::known(&stored, key)? else { return Ok(Exit::Negative) };
            let mut rows = stored.reader.chain(entity.head_row).map(|link| Ok(link?.row)).collect::<anyhow::Result<Vec<_>>>()?;
            rows.reverse();
            Some((entity.key, rows))
        }
    };
    let each = |tell: &mut dyn FnMut(&Line<'_>) -> io::Result<()>| match &rows {
        Some((key, rows)) => rows.iter().try_for_each(|row| Ok(tell(&Line::new(key, &stored.reader.entry(*row)?))?)),
        None => every_entry(&stored, tell),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        each(&mut |line| report::json_line(&mut out, line))?;
    } else if arguments.full {
        let style = Style::of_stdout();
        each(&mut |line| full(&mut out, style, line))?;
    } else {
        table(&mut out, each)?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

/// Every entry of the workflow, in the order of commits.
fn every_entry(stored: &Stored, tell: &mut dyn FnMut(&Line<'_>) -> io::Result<()>) -> anyhow::Result<()> {
    let mut row = 0;
    loop {
        let page = stored.reader.entries_from(stored.id, row, PAGE)?;
        let Some((_, last)) = page.last() else { return Ok(()) };
        row = last.row + 1;
        for (key, entry) in &page {
            tell(&Line::new(key, entry))?;
        }
    }
}

fn table(out: &mut dyn Write, each: impl Fn(&mut dyn FnMut(&Line<'_>) -> io::Result<()>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let columns = [
        ("entity", Side::Whole),
        ("sequence", Side::Right),
        ("kind", Side::Left),
        ("now", Side::Left),
        ("input", Side::Left),
        ("what came of it", Side::Left),
    ];
    let mut table = Table::new(out, Style::of_stdout(), &columns);
    each(&mut |line| {
        let (about, outcome) = line.summary();
        let now = line.now.as_deref().unwrap_or("-");
        table.row([line.entity, &number(line), line.kind, now, &about, &outcome])
    })?;
    table.finish()?;
    Ok(())
}

/// `7` for the seventh decision, `7.2` for the second entry that followed it.
fn number(line: &Line<'_>) -> String {
    match line.ordinal {
        0 => line.sequence.to_string(),
        ordinal => format!("{}.{ordinal}", line.sequence),
    }
}

fn full(out: &mut dyn Write, style: Style, line: &Line<'_>) -> io::Result<()> {
    let title = format!("{}  {}  {}", visible(line.entity), number(line), line.kind);
    writeln!(out, "{}", style.bold(title.trim_start()))?;
    let release = line.release.to_string();
    let texts = [
        ("now", line.now.as_deref().unwrap_or("-")),
        ("release", &release),
        ("event id", line.event_id),
        ("correlation id", line.correlation_id),
        ("hash", &line.hash),
    ];
    for (name, text) in texts {
        writeln!(out, "  {name}: {}", visible(text))?;
    }
    let decision = line.decision.as_ref().map(serde_json::value::to_raw_value).transpose()?;
    let parts = [
        ("input", &line.input),
        ("decision", &decision),
        ("result", &line.result),
        ("fault", &line.fault),
        ("act", &line.act),
        ("state", &line.state),
    ];
    for (name, part) in parts {
        if let Some(part) = part {
            writeln!(out, "  {name}:")?;
            json::write_pretty(out, part, 4)?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn stored(kind: Kind, verdict: Option<Verdict>, state: Option<&str>, output: &str) -> StoredEntry {
        let bytes = |text: &str| text.as_bytes().into();
        StoredEntry {
            row: 1,
            previous_row: 0,
            profile: "p".into(),
            hash: [0xab; 32],
            entry: Entry {
                sequence: 7,
                ordinal: u32::from(verdict.is_none()),
                kind,
                release: 2,
                now: 1_770_984_000_000_000,
                event_id: "e".into(),
                correlation_id: "c".into(),
                input: bytes(r#"{"heartbeat":{"node_id":"n"}}"#),
                verdict,
                state: state.map(bytes),
                output: bytes(output),
                event_hash: None,
            },
            erased: None,
        }
    }

    fn line(stored: &StoredEntry) -> String {
        serde_json::to_string(&Line::new("n", stored)).unwrap().replace(&"ab".repeat(32), "HASH")
    }

    #[test]
    fn a_line_holds_the_decision_as_it_is_stored() {
        let head = |ordinal: u32, kind: &str| {
            format!(
                r#"{{"entity":"n","sequence":7,"ordinal":{ordinal},"kind":"{kind}","release":2,"now":"2026-02-13T12:00:00.000000Z","event_id":"e","correlation_id":"c","input":{{"heartbeat":{{"node_id":"n"}}}},"decision":"#
            )
        };
        let accepted = stored(Kind::Decided, Some(Verdict::Accepted), Some(r#"{"b":1,"a":2}"#), r#"[{"note":{"z":1}}]"#);
        let expected = r#"{"accepted":{"state":{"b":1,"a":2},"intents":[{"note":{"z":1}}]}},"hash":"HASH"}"#;
        assert_eq!(line(&accepted), head(0, "decided") + expected);
        let rejected = stored(Kind::Decided, Some(Verdict::Rejected), None, r#"{"blocked":"active"}"#);
        assert_eq!(line(&rejected), head(0, "decided") + r#"{"rejected":{"blocked":"active"}},"hash":"HASH"}"#);
        let faulted = stored(Kind::Decided, Some(Verdict::Faulted), None, r#"{"code":"fuel","reason":"r"}"#);
        assert_eq!(line(&faulted), head(0, "decided") + r#"{"faulted":{"code":"fuel","reason":"r"}},"hash":"HASH"}"#);
        let concluded = stored(Kind::Concluded, None, None, r#"{"ok":null}"#);
        assert_eq!(line(&concluded), head(1, "concluded") + r#"null,"hash":"HASH","result":{"ok":null}}"#);
        let migrated = stored(Kind::Migrated, None, Some("{}"), "");
        assert_eq!(line(&migrated), head(1, "migrated") + r#"null,"hash":"HASH","state":{}}"#);
    }

    #[test]
    fn a_release_before_the_virtual_clock_began_has_no_time() {
        let mut released = stored(Kind::Released, None, None, "");
        released.entry.now = 0;
        assert_eq!(Line::new("", &released).now, None);
        assert_eq!(Line::new("n", &released).now.as_deref(), Some("1970-01-01T00:00:00.000000Z"));
    }

    #[test]
    fn a_row_says_what_came_of_the_input() {
        let summary = |kind, verdict, state, output| Line::new("n", &stored(kind, verdict, state, output)).summary().1;
        let accepted = summary(Kind::Decided, Some(Verdict::Accepted), Some("{}"), r#"[{"set_active":{}},{"timer":{}}]"#);
        assert_eq!(accepted, "accepted: set_active, timer");
        assert_eq!(summary(Kind::Decided, Some(Verdict::Accepted), None, "[]"), "accepted, no state");
        assert_eq!(summary(Kind::Decided, Some(Verdict::Rejected), None, r#""unknown_node""#), "rejected: unknown_node");
        assert_eq!(summary(Kind::Parked, None, None, r#"{"code":"trap","reason":"as asked"}"#), "trap: as asked");
        assert_eq!(summary(Kind::Concluded, None, None, r#"{"ok":null}"#), "done");
        assert_eq!(summary(Kind::Concluded, None, None, r#"{"err":{"refused":"no"}}"#), "failed: refused: no");
    }
}
