//! A host that stands still in the middle of an attempt, and wakes when others have concluded the intent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Host, owned, owners, sharing, until};
use crate::payments::{Payments, receipt};
use crate::place::Place;
use crate::shop::{arrived, placed};

/// What the reducer was told of an order and what became of it.
fn life(place: &Place, order: &str) -> Vec<String> {
    let sql = format!("SELECT kind, verdict FROM entries WHERE entity = '{order}' AND kind IN ('decided', 'parked') ORDER BY sequence");
    place.rows("orders.db", &sql)
}

fn send(host: &Host, event: &str) {
    until("that the host takes an event", || {
        host.client().and_then(|mut client| client.event("/", event).ok()).is_some_and(|answer| answer.status == 200)
    });
}

fn is_shipped(place: &Place, order: &str) -> bool {
    place.value("shop.db", &format!("SELECT count(*) FROM orders WHERE order_id = '{order}' AND phase = 'shipped'")) == "1"
}

/// The payment service answers the first host when it sleeps, so that the answer is the first thing that it hears.
#[test]
fn an_outcome_that_another_host_was_told_is_not_told_again() {
    let is_answered = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_answered);
    let payments = Payments::answering(move |request, before| {
        while before == 0 && request.what.ends_with("/one") && !answers.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
        receipt(&request.body["amount"])
    });
    let mut place = sharing(Place::orders(payments.port));
    // A file has one writer.
    place.mend("order-events.jsonl", "order-events-${HOST}.jsonl");
    place.variable("HOST", "first");
    let charges = || payments.requests_for("POST /charges/one");
    let mut asleep = Host::start(&place);
    until("that the first host owns all", || owned(&place) == 960);
    send(&asleep, &arrived("tea", 20, 0.0));
    send(&asleep, &placed("one", &[("tea", 2)], 1.0));
    until("the first charge", || charges().len() == 1);
    asleep.signal("STOP");

    place.variable("HOST", "second");
    let other = Host::start(&place);
    until("that the second host concludes the charge", || is_shipped(&place, "one"));
    assert_eq!(charges().len(), 2);
    assert_eq!(charges()[0].idempotency_key, charges()[1].idempotency_key, "the same charge");
    let whole = life(&place, "one");
    assert_eq!(whole, ["decided | accepted"; 4], "placed, answered, charged, booked");

    is_answered.store(true, Ordering::Release);
    std::thread::sleep(Duration::from_millis(200));
    asleep.signal("CONT");
    until("that it finds itself overtaken", || {
        let told = asleep.told();
        told.contains("overtaken") || told.contains("the lease was over")
    });
    // Once it has work of its own again, what it heard while it slept is long behind it.
    until("that both own shards", || owned(&place) == 960 && owners(&place) == 2);
    for order in ["two", "three", "four", "five"] {
        send(&asleep, &placed(order, &[("tea", 1)], 2.0));
        until("that the order is shipped", || is_shipped(&place, order));
    }
    assert_eq!(life(&place, "one"), whole);
    assert_eq!(charges().len(), 2);
    assert_eq!(place.value("shop.db", "SELECT count(*) FROM shipments"), "5");
    place.verifies();
    asleep.end().well();
    other.end().well();
}
