//! The same rows in the same database by statements that are written out here, as a service would put them there that decides
//! nothing: new rows of the large tables are copied, others go by one statement over lists for each table, all of a batch in one
//! transaction and one round trip, and the next batch is made and sent while the one before is executed.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use purefold::journal::Verdict;
use purefold::store::{AcceptedRow, Batch, EntryRow, TimerRow, shard_of};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::database::Database;

/// Batches that are sent and not answered: as many as the pipeline has.
const UNDER_WAY: usize = 2;

/// Batches that are in memory before any is sent.
const TOGETHER: usize = 16;

/// Tables of their own with the same columns, keys and room on their pages.
const TABLES: &str = "CREATE TABLE raw_journal (LIKE journal INCLUDING ALL); CREATE TABLE raw_events (LIKE events INCLUDING ALL); \
                      CREATE TABLE raw_entities (LIKE entities INCLUDING ALL) WITH (fillfactor = 70); \
                      CREATE TABLE raw_accepted (LIKE accepted INCLUDING ALL); CREATE TABLE raw_outbox (LIKE outbox INCLUDING ALL); \
                      CREATE TABLE raw_timers (LIKE timers INCLUDING ALL); CREATE TABLE raw_sources (position bigint NOT NULL); \
                      INSERT INTO raw_sources VALUES (0)";

const JOURNAL: &str = "COPY raw_journal (row, entity, sequence, ordinal, kind, release, profile, now, event_id, correlation_id, input, verdict, \
                       state, output, event_hash, previous_row, hash) FROM STDIN (FORMAT binary)";
const JOURNAL_TYPES: [Type; 17] = [
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TEXT,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BYTEA,
    Type::INT8,
    Type::BYTEA,
];
const EVENTS: &str = "COPY raw_events (row, bytes) FROM STDIN (FORMAT binary)";
const EVENTS_TYPES: [Type; 2] = [Type::INT8, Type::BYTEA];
const ACCEPTED: &str = "COPY raw_accepted (row, source, line, fingerprint, shard, now) FROM STDIN (FORMAT binary)";
const ACCEPTED_TYPES: [Type; 6] = [Type::INT8, Type::INT8, Type::INT8, Type::BYTEA, Type::INT8, Type::INT8];
const ENTITIES: &str = "INSERT INTO raw_entities (id, workflow, key, sequence, ordinal, now, head, head_row, state_row, parked, shard) \
                        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], \
                        $6::bigint[], $7::bytea[], $8::bigint[], $9::bigint[], $10::boolean[], $11::bigint[]) ON CONFLICT (id) DO UPDATE SET \
                        sequence = excluded.sequence, ordinal = excluded.ordinal, now = excluded.now, head = excluded.head, \
                        head_row = excluded.head_row, state_row = excluded.state_row, parked = excluded.parked";
const OUTBOX: &str = "INSERT INTO raw_outbox (entity, sequence, position, row, effect) \
                      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])";
const CONCLUDED: &str = "DELETE FROM raw_outbox USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (entity, sequence, position) \
                         WHERE raw_outbox.entity = given.entity AND raw_outbox.sequence = given.sequence \
                         AND raw_outbox.position = given.position";
const TIMERS: &str = "INSERT INTO raw_timers (entity, name, due, sequence, position, correlation_id, waits, workflow) \
                      SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::boolean[], \
                      $8::bigint[]) ON CONFLICT (entity, name) DO UPDATE SET due = excluded.due, sequence = excluded.sequence, \
                      position = excluded.position, correlation_id = excluded.correlation_id, waits = excluded.waits";
const POSITION: &str = "UPDATE raw_sources SET position = $1";

/// What the host sets too: rows are found by keys, however small a table was when a statement was planned.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
                        SET plan_cache_mode = force_generic_plan";

/// A service that puts rows where it is told.
pub(super) struct Hand {
    database: Database,
    statements: Statements,
    waiting: Vec<Batch>,
    /// How long it took to put all that is put.
    pub(super) took: Duration,
}

struct Statements {
    journal: Statement,
    events: Statement,
    accepted: Statement,
    entities: Statement,
    outbox: Statement,
    concluded: Statement,
    timers: Statement,
    position: Statement,
}

impl Hand {
    /// One that puts them beside the store in `schema`.
    pub(super) fn beside(schema: &str) -> anyhow::Result<Self> {
        let database = Database::connect()?;
        database.execute(&format!("SET search_path TO {schema}; {SETTINGS}; {TABLES}"))?;
        let client = &database.client;
        let statements = database.runtime.block_on(async {
            anyhow::Ok(Statements {
                journal: client.prepare(JOURNAL).await?,
                events: client.prepare(EVENTS).await?,
                accepted: client.prepare(ACCEPTED).await?,
                entities: client.prepare(ENTITIES).await?,
                outbox: client.prepare(OUTBOX).await?,
                concluded: client.prepare(CONCLUDED).await?,
                timers: client.prepare(TIMERS).await?,
                position: client.prepare(POSITION).await?,
            })
        })?;
        Ok(Hand { database, statements, waiting: Vec::with_capacity(TOGETHER), took: Duration::ZERO })
    }

    /// Puts a batch, together with those that come soon after.
    pub(super) fn put(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.waiting.push(batch);
        if self.waiting.len() < TOGETHER { Ok(()) } else { self.finish() }
    }

    /// Puts what waits.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let batches = std::mem::take(&mut self.waiting);
        let Hand { database, statements, .. } = self;
        let started = Instant::now();
        let put = stream::iter(&batches).map(|batch| transact(&database.client, statements, batch)).buffered(UNDER_WAY);
        database.runtime.block_on(put.try_for_each(async |()| Ok(())))?;
        self.took += started.elapsed();
        Ok(())
    }
}

/// One transaction, all of it sent without waiting in between.
async fn transact(client: &Client, statements: &Statements, batch: &Batch) -> anyhow::Result<()> {
    let lists = Lists::of(batch);
    let command = async |text: &'static str| anyhow::Ok(client.batch_execute(text).await?);
    let change = async |statement: &Statement, lists: &[List<'_>]| {
        let values: Vec<&(dyn ToSql + Sync)> = lists.iter().map(|list| &**list as &(dyn ToSql + Sync)).collect();
        anyhow::Ok(client.execute(statement, &values).await.map(drop)?)
    };
    futures_util::try_join!(
        command("BEGIN"),
        journal(client, &statements.journal, &batch.entries),
        events(client, &statements.events, &batch.entries),
        accepted(client, &statements.accepted, &batch.accepted),
        change(&statements.entities, &lists.entities),
        change(&statements.outbox, &lists.outbox),
        change(&statements.concluded, &lists.concluded),
        change(&statements.timers, &lists.timers),
        change(&statements.position, &lists.position),
        command("COMMIT"),
    )?;
    Ok(())
}

async fn journal(client: &Client, statement: &Statement, entries: &[EntryRow]) -> anyhow::Result<()> {
    let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(statement).await?, &JOURNAL_TYPES));
    for EntryRow { row, entity, previous_row, profile, hash, entry, .. } in entries {
        let (sequence, ordinal, release, now) = (int(entry.sequence), i64::from(entry.ordinal), int(entry.release), int(entry.now));
        let (input, output) = (std::str::from_utf8(&entry.input)?, std::str::from_utf8(&entry.output)?);
        let state = entry.state.as_deref().map(std::str::from_utf8).transpose()?;
        let event_hash = entry.event_hash.as_ref().map(|hash| &hash[..]);
        let record: [&(dyn ToSql + Sync); 17] = [
            row,
            entity,
            &sequence,
            &ordinal,
            &entry.kind.as_str(),
            &release,
            profile,
            &now,
            &&*entry.event_id,
            &&*entry.correlation_id,
            &input,
            &entry.verdict.map(Verdict::as_str),
            &state,
            &output,
            &event_hash,
            previous_row,
            &&hash[..],
        ];
        writer.as_mut().write(&record).await?;
    }
    writer.finish().await?;
    Ok(())
}

async fn events(client: &Client, statement: &Statement, entries: &[EntryRow]) -> anyhow::Result<()> {
    let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(statement).await?, &EVENTS_TYPES));
    for entry in entries {
        if let Some(event) = &entry.event {
            writer.as_mut().write(&[&entry.row, &&**event]).await?;
        }
    }
    writer.finish().await?;
    Ok(())
}

async fn accepted(client: &Client, statement: &Statement, accepted: &[AcceptedRow]) -> anyhow::Result<()> {
    let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(statement).await?, &ACCEPTED_TYPES));
    for AcceptedRow { row, source, line, fingerprint, shard, now } in accepted {
        let fingerprint = fingerprint.to_be_bytes();
        writer.as_mut().write(&[row, source, &int(*line), &&fingerprint[..], &shard.map(i64::from), &int(*now)]).await?;
    }
    writer.finish().await?;
    Ok(())
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

type List<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The values of the statements over lists, a list for each column.
struct Lists<'a> {
    entities: Vec<List<'a>>,
    outbox: Vec<List<'a>>,
    concluded: Vec<List<'a>>,
    timers: Vec<List<'a>>,
    position: Vec<List<'a>>,
}

impl<'a> Lists<'a> {
    fn of(batch: &'a Batch) -> Self {
        fn list<'a, T: ToSql + Sync + Send + 'a>(values: impl Iterator<Item = T>) -> List<'a> {
            Box::new(values.collect::<Vec<T>>())
        }
        let (entities, intents, concluded) = (&batch.entities, &batch.outbox_added, &batch.outbox_removed);
        // Of timers of the same name the last holds: a statement may not touch a row twice.
        let timers: HashMap<(i64, &str), &TimerRow> = batch.timers_set.iter().map(|timer| ((timer.entity, &*timer.name), timer)).collect();
        let timers: Vec<&TimerRow> = timers.into_values().collect();
        Lists {
            entities: vec![
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
                list(entities.iter().map(|e| i64::from(shard_of(&e.key)))),
            ],
            outbox: vec![
                list(intents.iter().map(|o| o.key.entity)),
                list(intents.iter().map(|o| int(o.key.sequence))),
                list(intents.iter().map(|o| i64::from(o.key.index))),
                list(intents.iter().map(|o| o.row)),
                list(intents.iter().map(|o| &*o.effect)),
            ],
            concluded: vec![
                list(concluded.iter().map(|key| key.entity)),
                list(concluded.iter().map(|key| int(key.sequence))),
                list(concluded.iter().map(|key| i64::from(key.index))),
            ],
            timers: vec![
                list(timers.iter().map(|t| t.entity)),
                list(timers.iter().map(|t| &*t.name)),
                list(timers.iter().map(|t| int(t.due))),
                list(timers.iter().map(|t| int(t.sequence))),
                list(timers.iter().map(|t| i64::from(t.index))),
                list(timers.iter().map(|t| &*t.correlation_id)),
                list(timers.iter().map(|t| t.waits)),
                list(timers.iter().map(|t| t.workflow)),
            ],
            position: vec![Box::new(batch.accepted.last().map_or(0, |accepted| int(accepted.line)))],
        }
    }
}
