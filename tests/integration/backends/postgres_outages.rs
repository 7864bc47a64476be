//! `table` on a PostgreSQL that ends, hangs and comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purefold_effects::trial::{Trial, call, open, record, started, trial};
use purefold_effects::{EffectError, Operation};
use purefold_services::Instance;
use purefold_wit::{Type, Value};

use super::database::Database;
use super::{not_done, unknown};

/// Lanes that write side by side.
const LANES: u64 = 40;

/// A table without a key: whatever is written twice is there twice.
fn route() -> Trial {
    let row = record("row", &[("lane", Type::U64), ("number", Type::U64)]);
    trial("row", &row, "operation = 'insert'\ntable = 'log'")
}

async fn started_on(database: &Database, timeout: &str) -> Arc<dyn Operation> {
    let settings = format!("capability = 'table'\npostgres = '{}'\ntimeout = '{timeout}'", database.url);
    let effect = open(&settings, Path::new(".")).unwrap();
    database.execute(&effect.schema(&[route().route()]).unwrap().join(";\n")).await;
    started(&settings, Path::new("."), &[route()]).await.remove(0)
}

/// One lane, as the host drives it until `over`: in order, each intent repeated until it is done. How many there were, and
/// how many attempts failed.
async fn write(operation: Arc<dyn Operation>, lane: u64, over: Arc<AtomicBool>) -> (u64, u64) {
    let (mut number, mut failed) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let call = call(&format!("lane-{lane}"), number, 0, &[Value::U64(lane), Value::U64(number)]);
        loop {
            match operation.perform(call.clone()).await {
                Ok(_) => break,
                Err(EffectError::NotDone { .. } | EffectError::Unknown(_)) => failed += 1,
                Err(other) => panic!("{other}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    (number, failed)
}

/// A flag that is raised at the end, however that comes.
struct Raised(Arc<AtomicBool>);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_restarted_under_load_nothing_is_lost_or_written_twice() {
    let mut server = Instance::postgres().unwrap();
    let mut database = Database::at(server.address()).await;
    let operation = started_on(&database, "5s").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(write(Arc::clone(&operation), lane, Arc::clone(&over)));
    }
    let outages = tokio::task::spawn_blocking(move || {
        // Also where something panics: the lanes must end.
        let _over = Raised(over);
        for graceful in [false, true, false] {
            std::thread::sleep(Duration::from_millis(300));
            if graceful {
                server.stop().unwrap();
            } else {
                server.kill().unwrap();
            }
            server.start_again().unwrap();
        }
        server
    });
    let (mut written, mut failed) = (0, 0);
    while let Some(lane) = lanes.join_next().await {
        let (number, failures) = lane.unwrap();
        written += number;
        failed += failures;
    }
    assert!(failed > 0, "the outages were felt");
    let server = outages.await.unwrap();
    database.reconnect().await;
    let counts = "SELECT count(*) || ' ' || count(DISTINCT (lane, number)) FROM log";
    assert_eq!(database.texts(counts).await, [format!("{written} {written}")]);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_leaves_it_unknown_and_one_that_is_gone_does_not() {
    let mut server = Instance::postgres().unwrap();
    let mut database = Database::at(server.address()).await;
    let operation = started_on(&database, "500ms").await;
    let write = |number| operation.perform(call("a", number, 0, &[Value::U64(1), Value::U64(number)]));
    assert_eq!(write(1).await, Ok(None));
    server.pause().unwrap();
    let reason = unknown(write(2).await);
    assert!(reason.contains("no answer"), "{reason}");
    server.resume().unwrap();
    assert_eq!(write(2).await, Ok(None), "the repeat finds it done, or does it");
    server.stop().unwrap();
    // The first may meet the connection that is just ending.
    let _ = write(3).await;
    not_done(write(3).await);
    server.start_again().unwrap();
    assert_eq!(write(3).await, Ok(None));
    database.reconnect().await;
    assert_eq!(database.texts("SELECT number::text FROM log ORDER BY number").await, ["1", "2", "3"]);
}

/// Whoever holds a lock does not hold the effect for ever, and the server says that it was not done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_not_done() {
    let database = Database::new().await;
    let operation = started_on(&database, "300ms").await;
    database.execute("BEGIN; LOCK TABLE log").await;
    let call = call("a", 1, 0, &[Value::U64(1), Value::U64(1)]);
    let reason = not_done(operation.perform(call.clone()).await);
    assert!(reason.contains("57014"), "{reason}");
    database.execute("COMMIT").await;
    assert_eq!(operation.perform(call).await, Ok(None));
}

/// A trigger that waits for the commit fails there as a disk would: of calls that were committed together nobody knows whether they
/// stand, and each is done once in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_leaves_it_unknown() {
    const CALLS: u64 = 200;
    let database = Database::new().await;
    let operation = started_on(&database, "10s").await;
    database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room' USING ERRCODE = '58030'; END $$;
             CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        .await;
    let perform_all = || async {
        let perform = |lane: u64| {
            let operation = operation.clone();
            tokio::spawn(async move { operation.perform(call(&format!("lane-{lane}"), 1, 0, &[Value::U64(lane), Value::U64(1)])).await })
        };
        let performed: Vec<_> = (0..CALLS).map(perform).collect();
        let mut answers = Vec::new();
        for call in performed {
            answers.push(call.await.unwrap());
        }
        answers
    };
    let mut of_unknown_end = 0;
    for answer in perform_all().await {
        match answer {
            Err(EffectError::Unknown(reason)) if reason.contains("58030") => of_unknown_end += 1,
            // Alone in its transaction, which the server then answers for, or behind one whose connection was given up.
            Err(EffectError::Unknown(_) | EffectError::NotDone { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(of_unknown_end > 1, "{of_unknown_end} of {CALLS}");
    database.execute("DROP TRIGGER at_commit ON log").await;
    assert!(perform_all().await.iter().all(Result::is_ok));
    assert_eq!(database.texts("SELECT count(*)::text FROM log").await, [CALLS.to_string()]);
}
