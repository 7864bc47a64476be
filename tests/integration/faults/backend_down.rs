//! An effect is down: its intents are retried, other effects and entities go on, and what waited is done when it returns.

use crate::payments::{Payments, Request, receipt};
use crate::place::{Place, Running};
use crate::service::{Answer, closed_port};
use crate::shop::{arrived, placed};
use crate::tables::{number, try_rows};

/// On the wall's clock: on virtual time one order would wait for the other.
const ARRIVAL: &[&str] = &["--until-idle"];

#[test]
fn intents_wait_for_their_backend_and_others_go_on() {
    let port = closed_port();
    let place = Place::orders(port);
    place.mend("retry = { attempts = 5,", "retry = { attempts = 100,");
    place.stream([
        arrived("tea", 20, 0.0),
        placed("waits", &[("tea", 2)], 1.0),
        arrived("cup", 5, 2.0),
        placed("short", &[("cup", 9)], 3.0),
        arrived("pot", 1, 4.0),
    ]);
    let mut running = Running::start(place.running(ARRIVAL));
    let journal = place.path("orders.db");
    running.until("a second attempt", || number(&journal, "SELECT max(attempts) FROM outbox") >= 2);
    let shop = place.path("shop.db");
    running.until("the other order", || {
        try_rows(&shop, "SELECT order_id, phase FROM orders ORDER BY order_id")
            .is_ok_and(|rows| rows == ["short | cancelled", "waits | charging"])
    });
    running.until("the other goods", || number(&place.path("orders.db"), "SELECT count(*) FROM states WHERE entity = 'pot'") == 1);
    assert_eq!(place.value("orders.db", "SELECT status FROM outbox WHERE attempts > 0"), "pending");
    let reason = place.value("orders.db", "SELECT reason FROM outbox WHERE attempts > 0");
    assert!(reason.contains("refused") && reason.contains("http://127.0.0.1:${PAYMENT_PORT}"), "as the manifest names it: {reason}");

    let payments = Payments::answering_at(port, |request, _| receipt(&request.body["amount"]));
    running.end().well();
    assert_eq!(payments.requests_for("POST /charges/waits").len(), 1);
    assert_eq!(place.value("shop.db", "SELECT phase FROM orders WHERE order_id = 'waits'"), "shipped");
    assert_eq!(place.value("orders.db", "SELECT count(*) FROM outbox"), "0");
    place.verifies();
}

#[test]
fn what_is_given_up_is_an_outcome_for_the_reducer_and_lost_to_nobody() {
    let place = Place::orders(closed_port());
    place.mend("retry = { attempts = 5, first = \"200ms\"", "retry = { attempts = 3, first = \"10ms\"");
    place.stream([arrived("tea", 20, 0.0), placed("given-up", &[("tea", 2)], 1.0)]);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!(summary["held"], 0, "{summary}");
    let outcome = place.value("orders.db", "SELECT input FROM entries WHERE entity = 'given-up' AND input LIKE '{\"charged\"%'");
    let outcome: serde_json::Value = serde_json::from_str(&outcome).unwrap();
    let failure = outcome["charged"]["result"]["err"]["exhausted"].as_str().unwrap_or_else(|| panic!("{outcome}"));
    assert!(failure.ends_with("(after 3 attempts)"), "{failure}");
    assert_eq!(place.value("shop.db", "SELECT phase FROM orders"), "cancelled");
    assert_eq!(place.state("orders.db", "tea")["body"]["stock"]["on_hand"], 20, "the goods were let go");
    place.verifies();
}

#[test]
fn a_backend_that_is_down_when_the_host_is_killed_gets_its_intents_from_the_next_one() {
    let port = closed_port();
    let place = Place::orders(port);
    place.mend("retry = { attempts = 5,", "retry = { attempts = 100,");
    place.stream([arrived("tea", 20, 0.0), placed("waits", &[("tea", 2)], 1.0)]);
    let mut running = Running::start(place.running(ARRIVAL));
    let journal = place.path("orders.db");
    running.until("an attempt", || number(&journal, "SELECT max(attempts) FROM outbox") >= 1);
    running.kill();
    let payments = Payments::answering_at(port, |request, _| receipt(&request.body["amount"]));
    Running::start(place.running(ARRIVAL)).end().well();
    assert_eq!(payments.requests().len(), 1);
    assert_eq!(place.value("shop.db", "SELECT phase FROM orders"), "shipped");
    place.verifies();
}

/// Goods that come in, so many times in all: each has its level told to a backend that is not there.
fn many_arrivals() -> Vec<String> {
    let one = (0..ONE).map(|number| arrived("tea", 1, f64::from(number) / 1000.0));
    let others = (0..OTHERS).map(|number| arrived(&format!("article-{number}"), 1, f64::from(ONE + number) / 1000.0));
    one.chain(others).collect()
}

/// More than are kept in memory of one lane, and of one effect.
const ONE: u32 = 2500;
const OTHERS: u32 = 9000;

#[test]
fn what_does_not_fit_into_memory_waits_in_the_outbox_and_comes_in_order_also_after_a_crash() {
    let port = closed_port();
    let place = Place::orders(port);
    place.mend(
        "capability = \"key-value\"\nsqlite = \"levels.db\"",
        &format!("capability = \"http\"\nhosts = [\"127.0.0.1:{port}\"]\nbreaker = {{ failures = 4, cooldown = \"100ms\" }}"),
    );
    place.mend(
        "operation = \"put\"\nkey = \"levels/{stock-id}\"\nvalue = \"available\"",
        &format!(
            "method = \"PUT\"\nurl = \"http://127.0.0.1:{port}/levels/{{stock-id}}\"\nretry = {{ attempts = 1000, first = \"10ms\", most = \"1s\" }}"
        ),
    );
    let mut stream = many_arrivals();
    stream.push(placed("of-nothing", &[("nothing", 1)], 100.0));
    place.stream(stream);
    let journal = place.path("orders.db");
    let all = u64::from(ONE + OTHERS);
    let mut running = Running::start(place.running(ARRIVAL));
    running.until("all events", || number(&journal, "SELECT count(*) FROM outbox") >= all);
    let shop = place.path("shop.db");
    running.until("an effect that works", || number(&shop, "SELECT count(*) FROM orders") == 1);
    running.kill();

    let running = Running::start(place.running(ARRIVAL));
    let levels = Payments::answering_at(port, |_, _| Answer::status("204 No Content"));
    running.end().well();
    assert_eq!(place.value("orders.db", "SELECT count(*) FROM outbox"), "0");
    let requests = levels.requests();
    let of_one: Vec<u64> = requests_of(&requests, "PUT /levels/tea").filter_map(|request| request.body["available"].as_u64()).collect();
    assert_eq!(of_one, (1..=u64::from(ONE)).collect::<Vec<_>>(), "in order, each once");
    let mut keys: Vec<&str> = requests.iter().map(|request| request.idempotency_key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), requests.len(), "nothing was sent twice");
    assert!(requests.len() as u64 >= all, "{} requests", requests.len());
    place.verifies();
}

fn requests_of<'a>(requests: &'a [Request], what: &'a str) -> impl Iterator<Item = &'a Request> {
    requests.iter().filter(move |request| request.what == what)
}
