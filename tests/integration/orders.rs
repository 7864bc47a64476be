//! The second domain end to end: orders and stock, which write to each other, and a payment service over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::payments::{Payments, Request, receipt};
use crate::place::{Place, Running};
use crate::service::Answer;
use crate::shop::{arrived, placed, withdrawn};
use crate::traces::Traces;

/// How the service answers, by what the order is called.
pub(crate) fn by_name(request: &Request, before: usize) -> Answer {
    let charged = receipt(&request.body["amount"]);
    let first = before == 0;
    match request.what.rsplit('/').next().unwrap_or_default() {
        _ if request.what.starts_with("POST /refunds/") => Answer::status("204 No Content"),
        "refused" => Answer::status("402 Payment Required"),
        "busy" if first => Answer::Reply("503 Service Unavailable", "Retry-After: 1\r\n".to_owned(), String::new()),
        "hangs-up" if first => Answer::HangUp,
        "unreadable" => Answer::Reply("200 OK", String::new(), r#"{"charge_id":"ch-1","amount":"a lot"}"#.to_owned()),
        "wrong-amount" => receipt(&1.into()),
        _ => charged,
    }
}

/// Orders that end in every way, and the stock that they need.
pub(crate) fn stream() -> Vec<String> {
    vec![
        arrived("tea", 20, 0.0),
        arrived("cup", 3, 1.0),
        placed("paid", &[("tea", 2), ("cup", 1)], 2.0),
        placed("refused", &[("tea", 2), ("cup", 1)], 3.0),
        placed("short", &[("tea", 1), ("cup", 9)], 4.0),
        placed("busy", &[("tea", 3)], 5.0),
        placed("hangs-up", &[("tea", 1)], 6.0),
        placed("unreadable", &[("tea", 4)], 7.0),
        placed("wrong-amount", &[("tea", 5)], 8.0),
        withdrawn("paid", 9.0),
        withdrawn("nobody", 10.0),
    ]
}

/// What a run of the workflow left.
pub(crate) fn traces(place: &Place) -> Traces {
    Traces::of(place, "orders.db", &["shop.db", "levels.db"], "order-events.jsonl")
}

fn place(payments: &Payments) -> Place {
    let place = Place::orders(payments.port);
    place.stream(stream());
    place
}

#[test]
fn orders_are_paid_refused_retried_and_taken_back() {
    let payments = Payments::answering(by_name);
    let place = place(&payments);
    let summary = place.run_as_far_as_the_stream();
    assert_eq!((&summary["faulted"], &summary["dead_letters"], &summary["held"]), (&0.into(), &0.into(), &0.into()), "{summary}");

    let ended = "SELECT order_id, phase, coalesce(cancelled_because, '') FROM orders ORDER BY order_id";
    let rows = place.rows("shop.db", ended);
    let (names, reasons): (Vec<&str>, Vec<&str>) = rows.iter().filter_map(|row| row.rsplit_once(" | ")).unzip();
    assert_eq!(
        names,
        [
            "busy | shipped",
            "hangs-up | shipped",
            "paid | shipped",
            "refused | cancelled",
            "short | cancelled",
            "unreadable | cancelled",
            "wrong-amount | cancelled",
        ]
    );
    for (reason, said) in reasons.iter().zip(["", "", "", "refused: ", "cup", "unreadable_reply", "another amount"]) {
        let said = said.replace('_', "-");
        assert!(reason.replace('_', "-").contains(&said), "{reason:?} says nothing of {said:?}");
    }
    assert_eq!(place.rows("shop.db", "SELECT order_id FROM shipments ORDER BY order_id"), ["busy", "hangs-up", "paid"]);

    // Three were shipped: 2 + 3 + 1 of 20 and 1 of 3; everything else was given back.
    assert_eq!(place.state("orders.db", "tea")["body"]["stock"]["on_hand"], 14);
    assert_eq!(place.state("orders.db", "cup")["body"]["stock"]["on_hand"], 2);
    for stock in ["tea", "cup"] {
        assert_eq!(place.state("orders.db", stock)["body"]["stock"]["holds"], serde_json::json!({}), "{stock}");
    }

    // Where money may have moved for nothing, it goes back; where it has not, nothing does.
    let refunds: Vec<String> =
        payments.requests().into_iter().map(|request| request.what).filter(|what| what.starts_with("POST /refunds/")).collect();
    assert_eq!(refunds, ["POST /refunds/unreadable", "POST /refunds/wrong-amount"]);

    let topics = place.published("order-events.jsonl").iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(topics.iter().filter(|topic| *topic == "shop.order.shipped.v1").count(), 3);
    assert_eq!(topics.iter().filter(|topic| *topic == "shop.order.cancelled.v1").count(), 4);
    let rejected = place.rows("orders.db", "SELECT entity, output FROM entries WHERE verdict = 'rejected' ORDER BY entity");
    assert_eq!(rejected, ["nobody | \"unknown\"", "paid | {\"too_late\":\"shipped\"}"]);
    place.verifies();
}

#[test]
fn a_repeated_charge_is_the_same_charge_and_waits_as_long_as_it_is_told() {
    let payments = Payments::answering(by_name);
    let place = place(&payments);
    place.run_as_far_as_the_stream();
    for (order, waits) in [("busy", Duration::from_secs(1)), ("hangs-up", Duration::ZERO)] {
        let charges = payments.requests_for(&format!("POST /charges/{order}"));
        assert_eq!(charges.len(), 2, "{order}");
        assert!(!charges[0].idempotency_key.is_empty());
        assert_eq!(charges[0].idempotency_key, charges[1].idempotency_key, "{order}");
        assert_eq!(charges[0].body, charges[1].body);
        assert!(charges[1].at - charges[0].at >= waits, "{order} waited {:?}", charges[1].at - charges[0].at);
        assert_eq!(charges[0].correlation_id, format!("correlation-{order}"));
    }
    let mut keys: Vec<String> = payments.requests().into_iter().map(|request| request.idempotency_key).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all - 2, "other requests have keys of their own");
}

#[test]
fn what_orders_and_stock_tell_each_other_carries_the_orders_correlation() {
    let payments = Payments::willing();
    let place = Place::orders(payments.port);
    place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
    place.run_as_far_as_the_stream();
    let of_stock = "SELECT (SELECT key FROM json_each(input)), correlation_id FROM entries WHERE entity = 'tea' AND kind = 'decided' ORDER BY sequence";
    assert_eq!(place.rows("orders.db", of_stock), ["arrived | arrived-tea-0", "reserve | correlation-one", "settle | correlation-one"]);
    let decided = "SELECT (SELECT key FROM json_each(input)), json_extract(state, '$.phase') FROM entries WHERE entity = 'one' AND kind = 'decided' ORDER BY sequence";
    assert_eq!(place.rows("orders.db", decided), ["placed | reserving", "answered | charging", "charged | shipping", "booked | shipped"]);
    assert_eq!(place.value("orders.db", "SELECT count(*) FROM deliveries"), "0");
}

#[test]
fn a_finished_order_ends_after_its_stay_and_leaves_a_tombstone() {
    let payments = Payments::willing();
    let place = Place::orders(payments.port);
    place.stream([arrived("tea", 20, 0.0), placed("one", &[("tea", 2)], 1.0)]);
    let month = place.running(&["--clock", "event", "--until-idle", "--advance", "744h"]).output().unwrap();
    assert!(month.status.success(), "{month:?}");
    assert_eq!(place.rows("orders.db", "SELECT entity FROM states"), ["tea"]);
    let end = "SELECT sequence, ordinal, kind FROM entries WHERE entity = 'one' ORDER BY sequence DESC, ordinal DESC LIMIT 2";
    assert_eq!(place.rows("orders.db", end), ["5 | 1 | ended", "5 | 0 | decided"]);
    assert_eq!(place.rows("orders.db", "SELECT name FROM timers"), [""; 0]);
    // A new life goes on counting.
    place.append([placed("one", &[("tea", 1)], 3_000_000.0).replace("placed-one", "placed-one-again")]);
    let skew = place.running(&["--clock", "event", "--until-idle", "--json"]).output().unwrap();
    assert!(skew.status.success(), "{skew:?}");
    assert_eq!(place.value("orders.db", "SELECT code FROM dead_letters"), "time-ahead", "a month ahead of the clock");
    place.append([placed("one", &[("tea", 1)], 60_000.0).replace("placed-one", "placed-one-later")]);
    place.run_as_far_as_the_stream();
    assert_eq!(place.value("orders.db", "SELECT sequence FROM states WHERE entity = 'one'"), "9");
    place.verifies();
}

#[test]
fn a_kill_while_a_charge_is_under_way_changes_nothing_in_the_end() {
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let payments = Payments::answering(move |request, before| {
        while is_silent.load(Ordering::Acquire) {
            thread::park_timeout(Duration::from_millis(5));
        }
        by_name(request, before)
    });
    let undisturbed = place(&payments);
    undisturbed.run().well();
    let asked = payments.requests().len();

    // The first charge is not answered: the host dies while it waits.
    silent.store(true, Ordering::Release);
    let place = place(&payments);
    let mut running = Running::start(place.running_to_the_end());
    running.until("the first charge", || payments.requests().len() > asked);
    running.kill();
    silent.store(false, Ordering::Release);

    place.run().well();
    let charges = payments.requests_for("POST /charges/paid");
    assert_eq!(charges.len(), 3, "once undisturbed, once before and once after the kill");
    assert!(charges.iter().all(|charge| charge.idempotency_key == charges[0].idempotency_key), "the same charge: {charges:?}");
    traces(&place).assert_same(&traces(&undisturbed), "killed while charging");
    place.verifies();
}
