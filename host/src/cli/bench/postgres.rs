//! The pipeline with its journal in PostgreSQL, against the same rows put into the same database by hand-written statements.
//! Both in turn, in one run.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use purefold::sandbox::Sandbox;
use purefold::store::Reader;
use purefold::workflow::Workflow;

use super::database::Schema;
use super::hand::Hand;
use super::processors::{Usage, Used, Watched, with_host};
use super::{Arguments, copy_with, load, raw, started_pipeline};
use crate::cli::report;

/// How often each of the two has its turn.
const ROUNDS: usize = 4;

/// What was measured.
#[derive(Default, serde::Serialize)]
struct Compared {
    events: u64,
    events_per_second: f64,
    raw_events_per_second: f64,
    ratio_to_raw: f64,
    commits: u64,
    /// Where the system tells.
    used: Option<Used>,
    raw_used: Option<Used>,
}

pub(super) fn run(arguments: &Arguments, original: &Workflow, folder: &Path, sandbox: &Sandbox) -> anyhow::Result<()> {
    let schema = Schema::new()?;
    let manifest = copy_with(original, folder, schema.store())?;
    let measured = measure(arguments, &manifest, folder, &schema.name, sandbox)?;
    if arguments.json {
        return Ok(report::line(&serde_json::to_string(&measured)?)?);
    }
    let Compared { events, events_per_second, raw_events_per_second, ratio_to_raw, commits, used, raw_used } = &measured;
    let told = |used: &Option<Used>| used.as_ref().map_or_else(String::new, |used| format!("\n              {}", used.told(*events)));
    report::line(&format!(
        "pipeline:     {events_per_second:.0} events/s into PostgreSQL ({events} events, {} a commit){}",
        events / commits.max(&1),
        told(used)
    ))?;
    report::line(&format!(
        "hand-written: {raw_events_per_second:.0} events/s for the same rows in as many transactions; the pipeline makes {ratio_to_raw:.2} of that{}",
        told(raw_used)
    ))?;
    if let Some(used) = used {
        report::line(&format!(
            "              while the pipeline ran, {:.0} % of all processors were in use, by whomever",
            used.busy() * 100.0
        ))?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, manifest: &Path, folder: &Path, schema: &str, sandbox: &Sandbox) -> anyhow::Result<Compared> {
    if let Some(setup) = &arguments.setup {
        eprintln!("running the set-up events");
        started_pipeline(manifest, setup, sandbox, arguments.perform, &[])?;
    }
    let watched = with_host(&arguments.beside);
    let parts = parts(arguments.events()?, folder)?;
    let workflow = load(manifest)?;
    let location = &workflow.manifest.store.location;
    let (mut hand, mut copy) = (None, raw::Copy::new(&workflow, 1, 1));
    let (mut took, mut measured) = (Duration::ZERO, Compared::default());
    for (round, part) in (1..).zip(&parts) {
        eprintln!("round {round} of {}", parts.len());
        let before = Reader::open(location).and_then(|reader| reader.last_entry()).unwrap_or(0);
        let ran = started_pipeline(manifest, part, sandbox, arguments.perform, &watched)?;
        took += ran.took;
        measured.events += ran.summary.events;
        measured.commits += ran.summary.commits;
        add(&mut measured.used, ran.used);
        let hand = match &mut hand {
            Some(hand) => hand,
            none => none.insert(Hand::beside(schema)?),
        };
        // What is read back and made ready for it is not its work.
        copy.each(&Reader::open(location)?, before, ran.summary.commits, |batch| {
            by_hand(hand, &watched, &mut measured.raw_used, |hand| hand.put(batch))
        })?;
        by_hand(hand, &watched, &mut measured.raw_used, Hand::finish)?;
    }
    anyhow::ensure!(measured.events > 0, "{} holds no events", arguments.events()?.display());
    let raw_took = hand.map_or(Duration::ZERO, |hand| hand.took);
    #[allow(clippy::cast_precision_loss)]
    let per_second = |took: Duration| measured.events as f64 / took.as_secs_f64();
    (measured.events_per_second, measured.raw_events_per_second) = (per_second(took), per_second(raw_took));
    measured.ratio_to_raw = raw_took.as_secs_f64() / took.as_secs_f64();
    Ok(measured)
}

/// Has the hand-written service do something, and counts what was used meanwhile.
fn by_hand(
    hand: &mut Hand,
    watched: &[Watched],
    used: &mut Option<Used>,
    work: impl FnOnce(&mut Hand) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (began, took) = (Usage::now(watched), hand.took);
    work(hand)?;
    // A batch that only waits for others costs nothing.
    if hand.took > took {
        let ended = Usage::now(watched);
        add(used, began.zip(ended).map(|(began, ended)| began.until(&ended, watched)));
    }
    Ok(())
}

fn add(sum: &mut Option<Used>, more: Option<Used>) {
    if let Some(more) = more {
        sum.get_or_insert_default().add(more);
    }
}

/// The events in as many files as there are rounds.
fn parts(events: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || std::fs::File::open(events).with_context(|| format!("cannot read {}", events.display()));
    let lines = BufReader::new(read()?).lines().count();
    let together = lines.div_ceil(ROUNDS).max(1);
    let mut parts = Vec::new();
    let mut lines = BufReader::new(read()?).lines();
    while let Some(first) = lines.next() {
        let path = folder.join(format!("part-{}.jsonl", parts.len()));
        let mut part = std::io::BufWriter::new(std::fs::File::create(&path)?);
        writeln!(part, "{}", first?)?;
        for line in lines.by_ref().take(together - 1) {
            writeln!(part, "{}", line?)?;
        }
        part.flush()?;
        parts.push(path);
    }
    Ok(parts)
}
