//! The intents, and how they stand.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use purefold::journal::{Kind, Verdict, intent_id};
use purefold::store::{EntityRow, IntentKey, Link, Reader, Release, Standing};
use purefold::workflow::{DELIVER, TIMER};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::open::Stored;
use crate::cli::table::{Side, Style, Table};
use crate::cli::{json, report};

/// Intents, entities or waiting inputs that are read together.
const PAGE: u32 = 64;

#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) id: String,
    pub(super) entity: &'a str,
    pub(super) sequence: u64,
    pub(super) index: u32,
    pub(super) case: &'a str,
    pub(super) effect: Option<&'a str>,
    /// `pending`, `held` or `settled`; with `--all` also `done` or `failed`.
    pub(super) status: &'static str,
    /// Not known of a concluded intent: attempts are no facts.
    pub(super) attempts: Option<u32>,
    pub(super) payload: Option<&'a RawValue>,
    /// Why the last attempt failed, or the intent as a whole.
    pub(super) reason: Option<&'a RawValue>,
}

impl Line<'_> {
    /// The reason as text; empty where there is none.
    pub(super) fn told_reason(&self) -> String {
        let reason = self.reason.map_or_else(String::new, |reason| reason.get().to_owned());
        serde_json::from_str(&reason).unwrap_or(reason)
    }
}

/// Which intents are meant.
#[derive(clap::Args, Default)]
pub(super) struct Filter {
    /// Those of this effect
    #[arg(long, value_name = "NAME")]
    pub(super) effect: Option<String>,
    /// Those of this entity
    #[arg(long, value_name = "KEY")]
    pub(super) entity: Option<String>,
}

impl Filter {
    pub(super) fn is_set(&self) -> bool {
        self.effect.is_some() || self.entity.is_some()
    }

    fn admits(&self, line: &Line<'_>) -> bool {
        self.effect.as_deref().is_none_or(|effect| line.effect == Some(effect))
            && self.entity.as_deref().is_none_or(|entity| line.entity == entity)
    }
}

/// Shows what `filter` admits.
pub(super) fn list(stored: &Stored, all: bool, filter: &Filter, as_json: bool) -> anyhow::Result<()> {
    let lister = Lister::new(stored)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if as_json {
        lister.list(all, filter, &mut |line| report::json_line(&mut out, line))?;
    } else {
        let columns = [
            ("id", Side::Whole),
            ("entity", Side::Whole),
            ("sequence", Side::Right),
            ("case", Side::Left),
            ("effect", Side::Left),
            ("status", Side::Left),
            ("attempts", Side::Right),
            ("reason", Side::Left),
            ("payload", Side::Left),
        ];
        let mut table = Table::new(&mut out, Style::of_stdout(), &columns);
        lister.list(all, filter, &mut |line| {
            let (number, attempts) =
                (format!("{}#{}", line.sequence, line.index), line.attempts.map_or_else(String::new, |n| n.to_string()));
            let effect = line.effect.unwrap_or("-").to_owned();
            table.row([
                line.id.clone(),
                line.entity.to_owned(),
                number,
                line.case.to_owned(),
                effect,
                line.status.to_owned(),
                attempts,
                line.told_reason(),
                line.payload.map_or_else(String::new, |payload| payload.get().to_owned()),
            ])
        })?;
        table.finish()?;
    }
    out.flush()?;
    Ok(())
}

pub(super) type Tell<'t> = dyn FnMut(&Line<'_>) -> io::Result<()> + 't;

pub(super) struct Lister<'s> {
    stored: &'s Stored,
    journal: (u64, u64),
    routes: Routes,
}

impl<'s> Lister<'s> {
    pub(super) fn new(stored: &'s Stored) -> anyhow::Result<Self> {
        Ok(Lister { journal: stored.reader.journal()?, routes: Routes::new(stored)?, stored })
    }

    /// Tells the intents that `filter` admits: those without a conclusion, or all.
    pub(super) fn list(&self, all: bool, filter: &Filter, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let tell = &mut |line: &Line<'_>| if filter.admits(line) { tell(line) } else { Ok(()) };
        match &filter.entity {
            Some(key) if all => self.every_intent_of(key, tell),
            _ if all => self.every_intent(tell),
            _ => self.outstanding(tell),
        }
    }

    /// The intents without a conclusion.
    fn outstanding(&self, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let mut after = IntentKey { entity: 0, sequence: 0, index: 0 };
        loop {
            let page = self.stored.reader.outbox_after(self.stored.id, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.key;
            for intent in &page {
                let intents = json::list(&intent.intents).unwrap_or_default();
                let Some(found) = intents.get(intent.key.index as usize).and_then(|found| json::variant(found.get())) else {
                    anyhow::bail!("decision {} of entity {:?} holds no intent {}", intent.key.sequence, intent.entity, intent.key.index);
                };
                let at = (&*intent.entity, intent.key.sequence, intent.key.index);
                self.tell(at, (&found.0, found.1), self.routes.effect(intent.release, &found.0), &Status::Open(&intent.standing), tell)?;
            }
        }
    }

    /// Every intent for an effect that was ever asked for, by entity.
    fn every_intent(&self, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let mut after: Arc<str> = "".into();
        loop {
            let page = self.stored.reader.entities_after(self.stored.id, &after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.key.clone();
            for entity in page {
                self.every_intent_of(&entity.key, tell)?;
            }
        }
    }

    fn every_intent_of(&self, key: &str, tell: &mut Tell<'_>) -> anyhow::Result<()> {
        let reader = &self.stored.reader;
        // Of one moment, and over before anything is shown: whoever reads the output may take their time.
        let snapshot = reader.snapshot()?;
        let Some(entity) = reader.entity(self.stored.id, key)? else { return Ok(()) };
        let standings = reader.standings(entity.id)?;
        let mut failures = waiting_failures(reader, &entity)?;
        drop(snapshot);

        let mut links = reader.chain(entity.head_row).collect::<Result<Vec<_>, _>>()?;
        links.reverse();
        for link in &links {
            failures.extend(failure(reader, link)?);
        }
        for link in links.iter().filter(|link| link.verdict == Some(Verdict::Accepted)) {
            let entry = reader.entry(link.row)?.entry;
            for (index, intent) in (0..).zip(json::list(&entry.output).unwrap_or_default()) {
                let Some((case, payload)) = json::variant(intent.get()) else { continue };
                let effect = self.routes.effect(link.release, &case);
                // The commit itself does these: they have no conclusion.
                if effect.is_some_and(|effect| effect == TIMER || effect == DELIVER) {
                    continue;
                }
                let id = self.id(key, link.sequence, index);
                let status = match (standings.get(&(link.sequence, index)), failures.get(&id)) {
                    (Some(standing), _) => Status::Open(standing),
                    (None, Some(failure)) => Status::Failed(failure),
                    (None, None) => Status::Done,
                };
                self.tell((key, link.sequence, index), (&case, payload), effect, &status, tell)?;
            }
        }
        Ok(())
    }

    fn id(&self, key: &str, sequence: u64, index: u32) -> String {
        intent_id(self.journal, &self.stored.workflow.name, key, sequence, index).to_string()
    }

    fn tell(
        &self,
        (entity, sequence, index): (&str, u64, u32),
        (case, payload): (&str, Option<&RawValue>),
        effect: Option<&str>,
        status: &Status<'_>,
        tell: &mut Tell<'_>,
    ) -> io::Result<()> {
        let (name, attempts, reason) = match status {
            Status::Open(standing) => {
                let reason = standing.reason.as_deref().map(serde_json::value::to_raw_value).transpose()?;
                (standing.status.as_str(), Some(standing.attempts), reason)
            }
            Status::Done => ("done", None, None),
            Status::Failed(failure) => ("failed", None, Some((*failure).to_owned())),
        };
        tell(&Line {
            id: self.id(entity, sequence, index),
            entity,
            sequence,
            index,
            case,
            effect,
            status: name,
            attempts,
            payload,
            reason: reason.as_deref(),
        })
    }
}

enum Status<'a> {
    Open(&'a Standing),
    Done,
    /// With the failure, as JSON.
    Failed(&'a RawValue),
}

/// The intent that an entry concludes as a failure, by its id: told by the result of a concluded entry, or by the input
/// of the decision on its outcome.
fn failure(reader: &Reader, link: &Link) -> anyhow::Result<Option<(String, Box<RawValue>)>> {
    if !matches!(link.kind, Kind::Concluded | Kind::Decided) || link.from_event {
        return Ok(None);
    }
    let entry = reader.entry(link.row)?.entry;
    let failure = match link.kind {
        Kind::Concluded => result_failure(&entry.output),
        _ => outcome_failure(&entry.input),
    };
    Ok(failure.map(|failure| (entry.event_id.to_string(), failure)))
}

/// Failures that are concluded and wait to be decided on behind a fault.
fn waiting_failures(reader: &Reader, entity: &EntityRow) -> anyhow::Result<HashMap<String, Box<RawValue>>> {
    let mut failures = HashMap::new();
    let mut after = 0;
    loop {
        let page = reader.waiting_after(entity.id, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(failures) };
        after = last.id;
        for input in page.iter().filter(|input| input.origin == "outcome") {
            failures.extend(outcome_failure(&input.input).map(|failure| (input.event_id.to_string(), failure)));
        }
    }
}

pub(super) fn result_failure(result: &[u8]) -> Option<Box<RawValue>> {
    let result: &RawValue = serde_json::from_slice(result).ok()?;
    json::field(result, "err").map(ToOwned::to_owned)
}

pub(super) fn outcome_failure(input: &[u8]) -> Option<Box<RawValue>> {
    let (_, record) = json::variant(std::str::from_utf8(input).ok()?)?;
    result_failure(json::field(record?, "result")?.get().as_bytes())
}

/// To which effect each release routes its intents.
struct Routes(HashMap<u64, HashMap<String, String>>);

impl Routes {
    fn new(stored: &Stored) -> anyhow::Result<Self> {
        let mut routes = HashMap::new();
        for Release { generation, manifest, .. } in stored.reader.releases(stored.id)? {
            routes.insert(generation, effects_by_case(&stored.reader.manifest(&manifest)?));
        }
        Ok(Routes(routes))
    }

    fn effect(&self, release: u64, case: &str) -> Option<&str> {
        self.0.get(&release)?.get(case).map(String::as_str)
    }
}

/// The effect of every intent case, which JSON calls by its snake-case name.
fn effects_by_case(manifest: &str) -> HashMap<String, String> {
    // It was loaded when the release came into force; what cannot be read now leaves the effects unnamed.
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let intents = manifest.get("intents").and_then(toml::Value::as_table).into_iter().flatten();
    intents.filter_map(|(case, route)| Some((case.replace('-', "_"), route.get("effect")?.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn effects_are_found_by_the_case_in_json() {
        let effects = effects_by_case(
            "name = \"w\"\n[intents.set-active]\neffect = \"records\"\ntable = \"t\"\n[intents.note]\neffect = \"timer\"\n",
        );
        assert_eq!(effects.get("set_active").map(String::as_str), Some("records"));
        assert_eq!(effects.get("note").map(String::as_str), Some("timer"));
        assert_eq!(effects.len(), 2);
    }

    #[test]
    fn a_failure_is_told_by_a_result_and_by_an_outcome() {
        let text = |failure: Option<Box<RawValue>>| failure.map(|failure| failure.get().to_owned());
        assert_eq!(text(result_failure(br#"{"ok":null}"#)), None);
        assert_eq!(text(result_failure(br#"{"err":{"refused":"no"}}"#)).as_deref(), Some(r#"{"refused":"no"}"#));
        let outcome = br#"{"record_stored":{"intent_id":"x","result":{"err":{"exhausted":"down"}}}}"#;
        assert_eq!(text(outcome_failure(outcome)).as_deref(), Some(r#"{"exhausted":"down"}"#));
        assert_eq!(text(outcome_failure(br#"{"timer":{"name":"ack"}}"#)), None);
    }
}
