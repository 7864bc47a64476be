//! The pipeline with its journal in PostgreSQL, against the same rows put into the same database by statements that are
//! written out here: what a service that decides nothing would do. Both in turn, in one run.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use purefold::sandbox::Sandbox;
use purefold::store::{Batch, Location, Reader};
use purefold::workflow::Workflow;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::{Arguments, copy_with, load, raw, started_pipeline};
use crate::cli::report;

/// Names the database: a superuser's or another role's that may make schemas.
const VARIABLE: &str = "DATABASE_URL";

/// How often each of the two has its turn.
const ROUNDS: usize = 4;

/// Tables of their own with the same columns, keys and room on their pages.
const TABLES: &str = "CREATE TABLE raw_journal (LIKE journal INCLUDING ALL); CREATE TABLE raw_events (LIKE events INCLUDING ALL); \
                      CREATE TABLE raw_entities (LIKE entities INCLUDING ALL) WITH (fillfactor = 70); \
                      CREATE TABLE raw_accepted (LIKE accepted INCLUDING ALL); CREATE TABLE raw_outbox (LIKE outbox INCLUDING ALL)";

const JOURNAL: &str = "INSERT INTO raw_journal SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], \
                       $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], \
                       $15::bytea[], $16::bigint[], $17::bytea[])";
const EVENTS: &str = "INSERT INTO raw_events SELECT * FROM unnest($1::bigint[], $2::bytea[])";
const ENTITIES: &str = "INSERT INTO raw_entities SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], \
                        $6::bigint[], $7::bytea[], $8::bigint[], $9::bigint[], $10::boolean[]) ON CONFLICT (id) DO UPDATE SET \
                        sequence = excluded.sequence, ordinal = excluded.ordinal, now = excluded.now, head = excluded.head, \
                        head_row = excluded.head_row, state_row = excluded.state_row, parked = excluded.parked";
const ACCEPTED: &str = "INSERT INTO raw_accepted SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])";
const OUTBOX: &str = "INSERT INTO raw_outbox (entity, sequence, position, row, effect) \
                      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])";
const CONCLUDED: &str = "DELETE FROM raw_outbox USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (entity, sequence, position) \
                         WHERE raw_outbox.entity = given.entity AND raw_outbox.sequence = given.sequence \
                         AND raw_outbox.position = given.position";

/// What was measured.
#[derive(serde::Serialize)]
struct Compared {
    events: u64,
    events_per_second: f64,
    raw_events_per_second: f64,
    ratio_to_raw: f64,
    commits: u64,
}

pub(super) fn run(arguments: &Arguments, original: &Workflow, folder: &Path, sandbox: &Sandbox) -> anyhow::Result<()> {
    let url = std::env::var(VARIABLE).with_context(|| format!("set {VARIABLE} to the database to measure with"))?;
    let schema = format!("purefold_bench_{}", std::process::id());
    let mut store = toml::Table::new();
    store.insert("postgres".into(), format!("${{{VARIABLE}}}").into());
    store.insert("schema".into(), schema.as_str().into());
    let manifest = copy_with(original, folder, store)?;
    let location = load(&manifest)?.manifest.store.location;
    let measured = measure(arguments, &manifest, &location, folder, &url, &schema, sandbox);
    // Whatever became of it, nothing is left.
    let dropped = Hand::connect(&url, &schema).and_then(|hand| hand.execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")));
    let measured = measured?;
    dropped?;
    if arguments.json {
        report::line(&serde_json::to_string(&measured)?)?;
        return Ok(());
    }
    let Compared { events, events_per_second, raw_events_per_second, ratio_to_raw, commits } = measured;
    report::line(&format!("pipeline:     {events_per_second:.0} events/s into PostgreSQL ({events} events, {commits} commits)"))?;
    report::line(&format!(
        "hand-written: {raw_events_per_second:.0} events/s for the same rows in as many transactions; the pipeline makes {ratio_to_raw:.2} of that"
    ))?;
    Ok(())
}

fn measure(
    arguments: &Arguments,
    manifest: &Path,
    location: &Location,
    folder: &Path,
    url: &str,
    schema: &str,
    sandbox: &Sandbox,
) -> anyhow::Result<Compared> {
    let parts = parts(&arguments.events, folder)?;
    if let Some(setup) = &arguments.setup {
        eprintln!("running the set-up events");
        // Performed in any case: what it leaves undone would be in the way of every start.
        started_pipeline(manifest, setup, sandbox, true)?;
    }
    let workflow = load(manifest)?;
    let (mut hand, mut copy) = (None, raw::Copy::new(&workflow, 1, 1));
    let (mut took, mut raw_took, mut events, mut commits) = (Duration::ZERO, Duration::ZERO, 0, 0);
    for (round, part) in (1..).zip(&parts) {
        eprintln!("round {round} of {}", parts.len());
        let before = Reader::open(location).and_then(|reader| reader.last_entry()).unwrap_or(0);
        let (summary, time) = started_pipeline(manifest, part, sandbox, arguments.perform)?;
        took += time;
        events += summary.events;
        commits += summary.commits;
        if hand.is_none() {
            let connected = Hand::connect(url, schema)?;
            connected.execute(TABLES)?;
            hand = Some(connected);
        }
        if let Some(hand) = &mut hand {
            raw_took += copy.write(&Reader::open(location)?, before, summary.commits, |batch| hand.put(batch))?;
        }
    }
    anyhow::ensure!(events > 0, "{} holds no events", arguments.events.display());
    #[allow(clippy::cast_precision_loss)]
    let per_second = |took: Duration| events as f64 / took.as_secs_f64();
    Ok(Compared {
        events,
        events_per_second: per_second(took),
        raw_events_per_second: per_second(raw_took),
        ratio_to_raw: raw_took.as_secs_f64() / took.as_secs_f64(),
        commits,
    })
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

/// A service that puts rows where it is told.
struct Hand {
    runtime: Runtime,
    client: Client,
    statements: Vec<Statement>,
}

impl Hand {
    fn connect(url: &str, schema: &str) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("cannot start a runtime")?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&format!("SET search_path TO {schema}")).await?;
            anyhow::Ok(client)
        })?;
        Ok(Hand { runtime, client, statements: Vec::new() })
    }

    fn execute(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }

    /// One transaction, its statements sent together.
    fn put(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let Hand { runtime, client, statements } = self;
        runtime.block_on(async {
            if statements.is_empty() {
                for sql in [JOURNAL, EVENTS, ENTITIES, ACCEPTED, OUTBOX, CONCLUDED] {
                    statements.push(client.prepare(sql).await?);
                }
            }
            let lists = lists(batch)?;
            let send = async |index: usize| {
                let values: Vec<&(dyn ToSql + Sync)> = lists[index].iter().map(|list| &**list as &(dyn ToSql + Sync)).collect();
                client.execute(&statements[index], &values).await.map(drop)
            };
            futures_util::try_join!(
                client.batch_execute("BEGIN"),
                send(0),
                send(1),
                send(2),
                send(3),
                send(4),
                send(5),
                client.batch_execute("COMMIT"),
            )?;
            Ok(())
        })
    }
}

type List<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The values of each statement, a list for each column.
fn lists(batch: &Batch) -> anyhow::Result<[Vec<List<'_>>; 6]> {
    fn list<'a, T: ToSql + Sync + Send + 'a>(values: impl Iterator<Item = T>) -> List<'a> {
        Box::new(values.collect::<Vec<T>>())
    }
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let text = |bytes: &'_ [u8]| std::str::from_utf8(bytes).map(str::to_owned);
    let (entries, entities, intents) = (&batch.entries, &batch.entities, &batch.outbox_added);
    let texts = |of: &dyn Fn(&purefold::journal::Entry) -> Option<Vec<u8>>| {
        entries.iter().map(|e| of(&e.entry).as_deref().map(text).transpose()).collect::<Result<Vec<_>, _>>()
    };
    let (input, state, output) =
        (texts(&|e| Some(e.input.to_vec()))?, texts(&|e| e.state.as_ref().map(|s| s.to_vec()))?, texts(&|e| Some(e.output.to_vec()))?);
    let events = || entries.iter().filter_map(|e| Some((e.row, e.event.as_ref()?)));
    Ok([
        vec![
            list(entries.iter().map(|e| e.row)),
            list(entries.iter().map(|e| e.entity)),
            list(entries.iter().map(|e| int(e.entry.sequence))),
            list(entries.iter().map(|e| i64::from(e.entry.ordinal))),
            list(entries.iter().map(|e| e.entry.kind.as_str())),
            list(entries.iter().map(|e| int(e.entry.release))),
            list(entries.iter().map(|e| e.profile)),
            list(entries.iter().map(|e| int(e.entry.now))),
            list(entries.iter().map(|e| &*e.entry.event_id)),
            list(entries.iter().map(|e| &*e.entry.correlation_id)),
            Box::new(input),
            list(entries.iter().map(|e| e.entry.verdict.map(purefold::journal::Verdict::as_str))),
            Box::new(state),
            Box::new(output),
            list(entries.iter().map(|e| e.entry.event_hash.as_ref().map(|hash| &hash[..]))),
            list(entries.iter().map(|e| e.previous_row)),
            list(entries.iter().map(|e| &e.hash[..])),
        ],
        vec![list(events().map(|(row, _)| row)), list(events().map(|(_, bytes)| &**bytes))],
        vec![
            list(entities.iter().map(|e| e.id)),
            list(entities.iter().map(|e| e.workflow)),
            list(entities.iter().map(|e| &*e.key)),
            list(entities.iter().map(|e| int(e.sequence))),
            list(entities.iter().map(|e| i64::from(e.ordinal))),
            list(entities.iter().map(|e| int(e.now))),
            list(entities.iter().map(|e| &e.head[..])),
            list(entities.iter().map(|e| e.head_row)),
            list(entities.iter().map(|e| e.state_row)),
            list(entities.iter().map(|e| e.parked)),
        ],
        vec![
            list(batch.accepted.iter().map(|a| a.row)),
            list(batch.accepted.iter().map(|a| a.source)),
            list(batch.accepted.iter().map(|a| int(a.line))),
            list(batch.accepted.iter().map(|a| a.fingerprint.to_be_bytes().to_vec())),
        ],
        vec![
            list(intents.iter().map(|o| o.key.entity)),
            list(intents.iter().map(|o| int(o.key.sequence))),
            list(intents.iter().map(|o| i64::from(o.key.index))),
            list(intents.iter().map(|o| o.row)),
            list(intents.iter().map(|o| &*o.effect)),
        ],
        vec![
            list(batch.outbox_removed.iter().map(|key| key.entity)),
            list(batch.outbox_removed.iter().map(|key| int(key.sequence))),
            list(batch.outbox_removed.iter().map(|key| i64::from(key.index))),
        ],
    ])
}
