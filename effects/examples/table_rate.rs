//! How many small updates a second the SQLite table takes: `cargo run --release -p purefold-effects --example table_rate`.
//!
//! 10,000 entities with a row each, some hundred calls in flight, each answered when it is durable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a program to be run by hand")]

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use purefold_effects::{Call, IntentId, Operation, Route};
use purefold_wit::{Field, Name, Record, Type, Value};

const ENTITIES: u64 = 10_000;
const UPDATES: u64 = 300_000;

fn record(name: &str, fields: &[(&str, Type)]) -> Arc<Record> {
    let fields = fields.iter().map(|(name, ty)| Field { name: Name::new(name), ty: ty.clone() }).collect();
    Arc::new(Record { name: Name::new(name), fields })
}

fn call(entity: u64, sequence: u64, payload: Vec<Value>) -> Call {
    Call {
        id: IntentId(entity, sequence),
        journal: "8c2f4a7e-0000-4000-8000-000000000001".into(),
        workflow: "registration".into(),
        entity: purefold_wit::uuid::format(entity.wrapping_mul(0x9E37_79B9_7F4A_7C15), entity).into(),
        sequence,
        index: 0,
        now: 1_770_984_000_000_000 + sequence,
        correlation_id: "c".into(),
        trace: None,
        payload: Arc::new(Value::Record(payload.into())),
    }
}

fn id(entity: u64) -> Value {
    Value::Uuid(entity.wrapping_mul(0x9E37_79B9_7F4A_7C15), entity)
}

/// Performs all calls, `in_flight` at a time, and tells how long that took.
async fn perform(operation: &Arc<dyn Operation>, in_flight: usize, calls: impl Iterator<Item = Call>) -> f64 {
    let begun = Instant::now();
    let mut running = FuturesUnordered::new();
    for call in calls {
        if running.len() >= in_flight {
            let done: Option<Result<_, _>> = running.next().await;
            done.expect("one is running").expect("it succeeds");
        }
        running.push(operation.perform(call));
    }
    while let Some(done) = running.next().await {
        done.expect("it succeeds");
    }
    begun.elapsed().as_secs_f64()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "capability = 'table'\nsqlite = 'records.db'".parse().unwrap();
    let effect = purefold_effects::open("records", &settings, folder.path()).unwrap();
    let upsert = record(
        "upsert",
        &[("id", Type::Uuid), ("domain", Type::String), ("note", Type::String), ("seen-at", Type::Instant), ("until", Type::Instant)],
    );
    let update = record("update", &[("id", Type::Uuid), ("domain", Type::String), ("seen-at", Type::Instant), ("until", Type::Instant)]);
    let routes = |operation: &str| format!("operation = '{operation}'\ntable = 'rows'\nkey = ['id', 'domain']").parse().unwrap();
    let (fill, change): (toml::Table, toml::Table) = (routes("upsert"), routes("update"));
    let route = |case, intent, settings| Route { workflow: "registration", case, intent, reply: None, settings };
    let operations = effect.bind(&[route("upsert", &upsert, &fill), route("update", &update, &change)]).unwrap();
    effect.start().await.unwrap();

    let domain = || Value::String("registration".into());
    let note = "x".repeat(200);
    let rows = (0..ENTITIES).map(|entity| {
        let values = vec![id(entity), domain(), Value::String(note.as_str().into()), Value::Instant(0), Value::Instant(0)];
        call(entity, 1, values)
    });
    let seconds = perform(&operations[0], 1_024, rows).await;
    println!("upserts of new rows          {:>9.0} /s", ENTITIES as f64 / seconds);
    for (turn, in_flight) in [64, 256, 1_024, 4_096].into_iter().enumerate() {
        let first = 2 + turn as u64 * (UPDATES / ENTITIES);
        let calls = (0..UPDATES).map(|number| {
            let (entity, sequence) = (number % ENTITIES, first + number / ENTITIES);
            call(entity, sequence, vec![id(entity), domain(), Value::Instant(sequence), Value::Instant(sequence + 90)])
        });
        let seconds = perform(&operations[1], in_flight, calls).await;
        println!("updates, {in_flight:>5} in flight     {:>9.0} /s", UPDATES as f64 / seconds);
    }
}
