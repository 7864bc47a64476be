//! An effect is down: its intents are retried, other effects and entities go on, and what waited is done when it returns.

use crate::payments::{Answer, Payments, closed_port};
use crate::place::{Place, Running};
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
    assert!(reason.contains("refused") && reason.contains(&port.to_string()), "{reason}");

    let payments = Payments::answering_at(port, |request, _| Answer::receipt(&request.body["amount"]));
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
    let payments = Payments::answering_at(port, |request, _| Answer::receipt(&request.body["amount"]));
    Running::start(place.running(ARRIVAL)).end().well();
    assert_eq!(payments.requests().len(), 1);
    assert_eq!(place.value("shop.db", "SELECT phase FROM orders"), "shipped");
    place.verifies();
}
