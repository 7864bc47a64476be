//! What the journal holds of one entity is erased, and the chain still proves that nothing else was.

use serde_json::json;

use super::{acts, answers, change, number, on_each_store};
use crate::faults::poke;
use crate::payments::Payments;
use crate::place::{Place, Running};
use crate::shop::{arrived, placed, withdrawn};

const ORDERS: &str = "orders.db";

/// An order whose customer is in its events, inputs and states; it has ended.
fn ended() -> ([Place; 2], Payments) {
    let payments = Payments::willing();
    let places = on_each_store(|| Place::orders(payments.port)).map(|place| {
        place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
        let month = place.running(&["--clock", "event", "--until-idle", "--advance", "744h"]).output().unwrap();
        assert!(month.status.success(), "{month:?}");
        assert_eq!(place.rows(ORDERS, "SELECT entity FROM states"), ["tea"]);
        place
    });
    (places, payments)
}

/// Whether a text stands anywhere in the store's files; where a server has them, anywhere in the tables.
fn is_stored(place: &Place, text: &str) -> bool {
    let files = place.files();
    let of_store: Vec<&String> = files.iter().filter(|name| name.starts_with(ORDERS)).collect();
    if !of_store.is_empty() {
        let is_in = |name: &String| std::fs::read(place.path(name)).unwrap().windows(text.len()).any(|window| window == text.as_bytes());
        return of_store.into_iter().any(is_in);
    }
    let tables = place.journal().rows(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables \
                                       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')",
    );
    assert!(tables.iter().any(|table| table.ends_with(".journal")), "{tables:?}");
    // Bytes are written as hexadecimal digits.
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let holds = |table: &String| {
        let sql = format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%{text}%' OR t::text LIKE '%{hex}%'");
        place.journal().number(&sql) > 0
    };
    tables.iter().any(holds)
}

#[test]
fn an_ended_entity_is_erased_from_the_store_and_the_chain_holds() {
    let (places, _payments) = ended();
    for place in places {
        assert!(is_stored(&place, "Ada"));
        let entries = number(&place, ORDERS, "SELECT count(*) FROM entries WHERE entity = 'one'");
        let erased = place.ask("erase", &["one", "--reason", "the customer asked", "--by", "ann", "--json"]).well().json();
        assert!(answers(&erased)[0].starts_with("erased: "), "{erased:?}");
        assert!(!is_stored(&place, "Ada"), "neither in the tables nor in freed pages nor in the log");
        assert_eq!(number(&place, ORDERS, "SELECT count(*) FROM entries WHERE entity = 'one'"), entries + 1);
        assert_eq!(acts(&place, ORDERS, "one"), ["erased | ann | the customer asked"]);
        assert_eq!(number(&place, ORDERS, "SELECT count(*) FROM erasing"), 0);

        place.verifies();
        let counts = place.ask("verify", &["--json"]).well().json().pop().unwrap();
        assert!(counts["erased"].as_u64() > Some(0) && counts["not_executed"].as_u64() > Some(0), "{counts}");
        assert!(place.ask("verify", &[]).well().out.contains("entries are erased"));
        let shown = place.ask("journal", &["one", "--json"]).well().json();
        assert_eq!((&shown[0]["erased"], &shown[0]["input"]), (&json!(true), &json!(null)));
        assert!(place.ask("journal", &["one"]).well().out.contains("erased"));

        // A new life goes on counting, and can be checked.
        place.append([placed("one", &[("tea", 1)], 2.0).replace("placed-one", "placed-again")]);
        place.run_as_far_as_the_stream();
        assert!(place.state(ORDERS, "one")["body"]["order"].is_object());
        place.verifies();
    }
}

#[test]
fn what_is_still_needed_is_not_erased() {
    let payments = Payments::willing();
    for place in on_each_store(|| Place::orders(payments.port)) {
        place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
        place.run_as_far_as_the_stream();
        let refused = |key: &str, options: &[&str], why: &str| {
            let mut arguments = vec![key, "--reason", "x"];
            arguments.extend(options);
            let out = place.ask("erase", &arguments).exits(1).out;
            assert!(out.contains(why), "{out}");
        };
        refused("one", &[], "a pending timer");
        refused("tea", &[], "have it end by an event, or erase all but the state with --keep-state");
        refused("nobody", &[], "knows no entity \"nobody\"");
        assert!(place.ask("erase", &["one"]).exits(2).err.contains("--reason"));
        let before = place.state(ORDERS, "tea");
        place.ask("erase", &["tea", "--reason", "x", "--keep-state"]).well();
        assert_eq!(place.state(ORDERS, "tea"), before);
        place.verifies();
        place.append([arrived("tea", 5, 3.0), withdrawn("one", 4.0)]);
        place.run_as_far_as_the_stream();
        assert_eq!(place.state(ORDERS, "tea")["body"]["stock"]["on_hand"], 23);
        place.verifies();
        // What came since, and the state that had stayed, go with the next one.
        place.ask("erase", &["tea", "--reason", "x", "--keep-state"]).well();
        assert_eq!(acts(&place, ORDERS, "tea").len(), 2);
        place.verifies();
    }
}

#[test]
fn payloads_that_nobody_erased_are_missed() {
    let (places, _payments) = ended();
    for place in places {
        let row = place.value(ORDERS, "SELECT min(journal.row) FROM journal JOIN entities ON entities.id = entity WHERE key = 'one'");
        let hash = place.ask("journal", &["one", "--json"]).well().json()[0]["hash"].clone();
        assert!(hash.is_string());
        change(&place, ORDERS, &format!("INSERT INTO erased VALUES ({row}, zeroblob(32), NULL, NULL)"));
        let done = place.ask("verify", &["--json"]).exits(1);
        assert!(done.out.contains("\"what\":\"erased\"") && done.out.contains("\"what\":\"hash\""), "{}", done.out);
    }
}

#[test]
fn a_long_history_is_erased_commit_by_commit_even_across_a_kill() {
    for place in on_each_store(Place::misbehaving) {
        place.stream((1..=1200).map(|n| poke("a", n, "none")));
        assert!(place.running(&["--until-idle"]).output().unwrap().status.success());
        place.append([poke("b", 1201, "none")]);
        let mut host = Running::start(place.running(&[]));
        host.until("it runs", || number(&place, "misbehaving.db", "SELECT count(*) FROM entries WHERE event_id = 'b-1201'") == 1);
        let asked = Running::start(place.command("erase", &["a", "--keep-state", "--reason", "x", "--by", "ann"]));
        host.until("a part is erased", || number(&place, "misbehaving.db", "SELECT count(*) FROM erased") > 0);
        host.kill();
        drop(asked);
        place.ask("pause", &[]).well();
        assert_eq!(number(&place, "misbehaving.db", "SELECT count(*) FROM erasing"), 0, "the next host went on with it");
        let left = "SELECT count(*) FROM entries WHERE entity = 'a' AND kind IN ('decided', 'concluded') AND input <> ''";
        assert_eq!(number(&place, "misbehaving.db", left), 0);
        assert_eq!(place.state("misbehaving.db", "a")["count"], 1200);
        assert_eq!(acts(&place, "misbehaving.db", "a"), ["erased | ann | x"], "asked once, journaled once");
        place.verifies();
    }
}
