//! `purefold verify`: nothing to say after the demo; and whatever is altered by as little as one byte, it names the entry.

use std::fs;
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::Value;

use crate::place::Place;
use crate::repository::root;
use crate::tables;

const STORE: &str = "registration.db";

/// A journal after the demo, with timers set, in one file.
pub(crate) fn demo() -> &'static Place {
    static DEMO: OnceLock<Place> = OnceLock::new();
    DEMO.get_or_init(|| {
        let place = Place::registration();
        place.stream_from(&root().join("demo/events.jsonl"));
        place.run_as_far_as_the_stream();
        tables::in_one_file(&place.path(STORE));
        place
    })
}

/// A copy of it that can be altered.
pub(crate) fn copy_of(original: &Place) -> Place {
    let place = Place::registration();
    fs::copy(original.path(STORE), place.path(STORE)).unwrap();
    place
}

/// The entry that most tests alter: an accepted heartbeat in the middle of an active node's life.
struct Victim {
    row: i64,
    entity: String,
    sequence: u64,
}

/// A heartbeat's decision, not the last one of its node, which has a timer at the end.
fn victim() -> Victim {
    let sql = "SELECT journal.row, key, journal.sequence FROM journal JOIN entities ON entities.id = journal.entity
        WHERE input LIKE '{\"heartbeat\"%' AND output LIKE '%\"timer\"%' AND journal.sequence < entities.sequence
        AND (SELECT count(*) FROM timers WHERE timers.entity = entities.id) = 1 ORDER BY journal.row LIMIT 1";
    let row = demo().rows(STORE, sql).remove(0);
    let parts: Vec<&str> = row.split(" | ").collect();
    Victim { row: parts[0].parse().unwrap(), entity: parts[1].to_owned(), sequence: parts[2].parse().unwrap() }
}

/// What `verify` says of an altered copy: it must find something and exit with 1.
#[track_caller]
fn found(place: &Place) -> Vec<Value> {
    let done = place.ask("verify", &["--json"]).exits(1);
    let mut lines = done.json();
    let counts = lines.pop().expect("counts");
    assert!(counts["mismatches"].as_u64().is_some_and(|mismatches| mismatches > 0), "{}", done.out);
    lines
}

/// The next digit after `near` becomes another one: one byte.
fn another_digit(text: &str, near: &str) -> String {
    let from = text.find(near).unwrap_or_else(|| panic!("{near} is not in {text}")) + near.len();
    let at = from + text[from..].find(|c: char| c.is_ascii_digit()).expect("a digit");
    let digit = text.as_bytes()[at] - b'0';
    format!("{}{}{}", &text[..at], (digit + 1) % 10, &text[at + 1..])
}

fn alter_text(place: &Place, row: i64, column: &str, near: &str) {
    let connection = Connection::open(place.path(STORE)).unwrap();
    let text: String = connection.query_row(&format!("SELECT {column} FROM journal WHERE row = ?1"), [row], |row| row.get(0)).unwrap();
    let changed =
        connection.execute(&format!("UPDATE journal SET {column} = ?1 WHERE row = ?2"), (another_digit(&text, near), row)).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn nothing_is_found_after_the_demo() {
    demo().verifies();
    let text = demo().ask("verify", &[]).well();
    assert!(text.out.contains("verified"), "{}", text.out);
}

#[test]
fn an_altered_text_of_an_entry_is_named_with_what_it_should_be() {
    let victim = victim();
    // Column, a place in it, and the path of the typed difference, where replay shows one.
    let alterations = [
        ("input", "\"timestamp\":", Some("state.last_heartbeat_at")),
        ("input", "\"uptime_seconds\":", None),
        ("state", "\"last_heartbeat_at\":", Some("state.last_heartbeat_at")),
        ("state", "\"major\":", Some("state.node_version.major")),
        ("output", "\"liveness_deadline\":", Some("intents[0].set_heartbeat.liveness_deadline")),
        ("output", "\"due\":", Some("intents[1].timer.due")),
        ("event_id", "-", None),
        ("correlation_id", "", None),
    ];
    for (column, near, path) in alterations {
        let place = copy_of(demo());
        alter_text(&place, victim.row, column, near);
        let found = found(&place);
        let of_entry: Vec<&Value> = found
            .iter()
            .filter(|line| line["entity"] == *victim.entity && line["sequence"] == victim.sequence && line["ordinal"] == 0)
            .collect();
        assert!(!of_entry.is_empty(), "{column} {near}: the entry is not named: {found:?}");
        let Some(path) = path else { continue };
        let differences: Vec<&Value> = of_entry.iter().flat_map(|line| line["differences"].as_array().into_iter().flatten()).collect();
        let difference = differences
            .iter()
            .find(|difference| difference["path"].as_str().is_some_and(|found| path.ends_with(found) || found.ends_with(path)));
        let difference = difference.unwrap_or_else(|| panic!("{column} {near}: no difference at {path}: {differences:?}"));
        assert_ne!(difference["stored"], difference["replayed"]);
    }
}

#[test]
fn an_altered_number_or_hash_of_an_entry_is_named() {
    let victim = victim();
    let row = victim.row;
    let alterations = [
        ("now", "now + 1"),
        ("verdict", "'rejected'"),
        ("hash", "zeroblob(32)"),
        ("event_hash", "zeroblob(32)"),
        ("kind", "'concluded'"),
        ("release", "release + 1"),
        ("ordinal", "ordinal + 1"),
        ("sequence", "sequence + 1"),
        ("profile", "profile + 1"),
    ];
    for (column, value) in alterations {
        let place = copy_of(demo());
        assert_eq!(tables::change(&place.path(STORE), &format!("UPDATE journal SET {column} = {value} WHERE row = {row}")), 1);
        let done = place.ask("verify", &["--json"]);
        assert_ne!(done.code, Some(0), "{column} = {value}: {}", done.out);
        assert!(done.out.contains(&victim.entity), "{column} = {value}: the entity is not named: {done:?}");
        assert_eq!(done.code, Some(1), "{column} = {value}: {done:?}");
    }
}

#[test]
fn altered_bytes_of_an_event_are_named() {
    let victim = victim();
    let place = copy_of(demo());
    let connection = Connection::open(place.path(STORE)).unwrap();
    let mut bytes: Vec<u8> = connection.query_row("SELECT bytes FROM events WHERE row = ?1", [victim.row], |row| row.get(0)).unwrap();
    bytes[40] ^= 1;
    connection.execute("UPDATE events SET bytes = ?1 WHERE row = ?2", (bytes, victim.row)).unwrap();
    drop(connection);
    let found = found(&place);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["entity"], &found[0]["sequence"], &found[0]["what"]),
        (&victim.entity.as_str().into(), &victim.sequence.into(), &"event".into())
    );
}

#[test]
fn erased_bytes_of_an_event_leave_the_chain_verifiable() {
    let victim = victim();
    let place = copy_of(demo());
    assert_eq!(tables::change(&place.path(STORE), &format!("DELETE FROM events WHERE row = {}", victim.row)), 1);
    place.verifies();
}

#[test]
fn what_stands_beside_the_journal_is_checked_against_it() {
    let victim = victim();
    let of_victim = format!("entity = (SELECT id FROM entities WHERE key = '{}')", victim.entity);
    let alterations = [
        format!("UPDATE entities SET sequence = sequence + 1 WHERE key = '{}'", victim.entity),
        format!("UPDATE entities SET now = now + 1 WHERE key = '{}'", victim.entity),
        format!("UPDATE entities SET parked = 1 WHERE key = '{}'", victim.entity),
        format!("UPDATE entities SET head = zeroblob(32) WHERE key = '{}'", victim.entity),
        format!("UPDATE entities SET state_row = {} WHERE key = '{}'", victim.row, victim.entity),
        format!("UPDATE entities SET head_row = {} WHERE key = '{}'", victim.row, victim.entity),
        format!("UPDATE timers SET due = due + 1 WHERE {of_victim}"),
        format!("UPDATE timers SET name = 'livenest' WHERE {of_victim}"),
        format!("DELETE FROM timers WHERE {of_victim}"),
        format!("DELETE FROM journal WHERE row = {}", victim.row),
    ];
    for sql in alterations {
        let place = copy_of(demo());
        assert_eq!(tables::change(&place.path(STORE), &sql), 1, "{sql}");
        let done = place.ask("verify", &["--json"]);
        assert_eq!(done.code, Some(1), "{sql}: {done:?}");
        assert!(done.json().iter().any(|line| line["entity"] == *victim.entity), "{sql}: {}", done.out);
    }
}

#[test]
fn a_lost_intent_is_missed() {
    let place = Place::registration();
    place.stream([crate::wire::Node::new(1, "effect").introspection(0.0, "ffffffff-0000-4000-8000-000000000001")]);
    crate::acceptance::run_by_library(&place, false, 2);
    tables::in_one_file(&place.path(STORE));
    place.verifies();
    assert_eq!(tables::change(&place.path(STORE), "DELETE FROM outbox WHERE position = 3"), 1);
    let found = found(&place);
    assert!(found.iter().any(|line| line["what"] == "tables" && line["differences"].to_string().contains("outbox")), "{found:?}");
}

#[test]
fn an_altered_component_is_named() {
    let place = copy_of(demo());
    let connection = Connection::open(place.path(STORE)).unwrap();
    let mut bytes: Vec<u8> = connection.query_row("SELECT bytes FROM components", [], |row| row.get(0)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    connection.execute("UPDATE components SET bytes = ?1", [bytes]).unwrap();
    drop(connection);
    let found = found(&place);
    assert!(found.iter().any(|line| line["what"] == "component"), "{found:?}");
}

/// Runs statements as somebody would who wants to leave no trace.
fn tamper(place: &Place, sql: &str) {
    let connection = Connection::open(place.path(STORE)).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The lines that say `what`.
fn of_kind<'f>(found: &'f [Value], what: &str) -> Vec<&'f Value> {
    found.iter().filter(|line| line["what"] == what).collect()
}

#[test]
fn an_entity_that_was_deleted_whole_is_missed() {
    let victim = victim();
    let place = copy_of(demo());
    let head = place.value(STORE, &format!("SELECT lower(hex(head)) FROM entities WHERE key = '{}'", victim.entity));
    let entity = place.value(STORE, &format!("SELECT id FROM entities WHERE key = '{}'", victim.entity));
    let tables = ["journal", "timers", "outbox", "inbox"].map(|table| format!("DELETE FROM {table} WHERE entity = {entity};"));
    tamper(&place, &format!("{} DELETE FROM entities WHERE id = {entity};", tables.concat()));
    let found = found(&place);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["what"], "tally");
    assert!(found[0]["differences"].to_string().contains(&head), "the head of the one that is missing is told: {found:?}");
}

#[test]
fn entries_that_no_chain_leads_to_are_named() {
    let victim = victim();
    let place = copy_of(demo());
    let columns = "entity, sequence, ordinal, kind, release, profile, now, event_id, correlation_id, input, verdict, state, output, \
                   event_hash, previous_row, hash";
    let copy = format!(
        "INSERT INTO journal (row, {columns}) SELECT (SELECT max(row) + 1 FROM journal), {columns} FROM journal WHERE row = {};",
        victim.row
    );
    tamper(&place, &copy);
    let one_too_many = found(&place);
    assert_eq!(one_too_many.len(), 1, "{one_too_many:?}");
    let (what, entity) = (&one_too_many[0]["what"], &one_too_many[0]["entity"]);
    assert_eq!((what, entity), (&Value::from("orphan"), &Value::from(victim.entity.as_str())));
    assert_eq!(one_too_many[0]["sequence"], victim.sequence);

    let place = copy_of(demo());
    tamper(&place, &format!("DELETE FROM entities WHERE key = '{}';", victim.entity));
    let left_behind = found(&place);
    let entries = demo().value(STORE, &format!("SELECT count(*) FROM entries WHERE entity = '{}'", victim.entity));
    assert_eq!(of_kind(&left_behind, "orphan").len().to_string(), entries, "{left_behind:?}");
    assert_eq!(of_kind(&left_behind, "tally").len(), 1);
}

#[test]
fn what_is_kept_of_releases_and_clocks_is_checked() {
    let alterations = [
        ("UPDATE releases SET contract = 'x'", "release", "releases.contract"),
        ("UPDATE releases SET state_type = 'x'", "release", "releases.state_type"),
        ("UPDATE releases SET generation = 2", "release", "releases"),
        ("UPDATE manifests SET text = text || ' '", "manifest", "manifests.text"),
        ("DELETE FROM manifests", "manifest", "manifests.text"),
        ("UPDATE meta SET value = 'arrival' WHERE name = 'clock'", "tally", "meta.clock"),
        ("DELETE FROM meta WHERE name = 'clock'", "tally", "meta.clock"),
        ("UPDATE meta SET value = '7e570000-0000-4000-8000-000000000002' WHERE name = 'journal'", "tally", "meta.journal"),
        ("UPDATE workflows SET clock = clock + 1", "tally", "workflows.clock"),
        ("UPDATE tallies SET entries = entries + 1", "tally", "entries"),
        ("DELETE FROM tallies", "tally", "tallies"),
    ];
    for (sql, what, path) in alterations {
        let place = copy_of(demo());
        tamper(&place, sql);
        let found = found(&place);
        let told = of_kind(&found, what);
        let differences = told.iter().flat_map(|line| line["differences"].as_array().unwrap());
        assert!(differences.clone().any(|difference| difference["path"] == path), "{sql}: {found:?}");
    }
}

#[test]
fn a_component_that_is_missing_is_told_once_and_the_rest_is_verified() {
    let victim = victim();
    let place = copy_of(demo());
    tamper(&place, "DELETE FROM components");
    let done = place.ask("verify", &["--json"]).exits(1);
    let lines = done.json();
    let (counts, found) = lines.split_last().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["what"], &found[0]["entity"], &found[0]["ordinal"]), (&"component".into(), &"".into(), &1.into()));
    assert_eq!(counts["entries"].to_string(), place.value(STORE, "SELECT count(*) FROM journal"));
    assert_eq!(counts["decisions"], 0);
    assert_eq!(counts["not_executed"].to_string(), place.value(STORE, "SELECT count(*) FROM journal WHERE kind = 'decided'"));

    // The chains are still checked.
    alter_text(&place, victim.row, "state", "\"major\":");
    let named = self::found(&place);
    assert!(of_kind(&named, "hash").iter().any(|line| line["entity"] == *victim.entity), "{named:?}");
}

#[test]
fn a_journal_is_verified_beside_the_host_that_writes_it() {
    let place = Place::registration();
    let node = crate::wire::Node::new(1, "effect");
    place.stream([node.introspection(0.0, "ffffffff-0000-4000-8000-000000000001")]);
    let mut running = crate::place::Running::start(place.running(&["--follow"]));
    running.until("a decision", || tables::number(&place.path(STORE), "SELECT count(*) FROM journal WHERE kind = 'decided'") > 0);
    for round in 1..=20_u32 {
        place.append((0..50).map(|number| node.heartbeat(f64::from(round * 100 + number))));
        if round % 5 == 0 {
            place.verifies();
        }
    }
    running.kill();
    place.verifies();
}

#[test]
fn a_journal_that_nobody_wrote_cannot_be_verified() {
    let place = Place::registration();
    let done = place.ask("verify", &["--json"]);
    assert!(matches!(done.code, Some(2 | 3)) && !done.err.is_empty(), "{done:?}");
}
