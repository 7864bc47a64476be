//! What records mean: the forms of events, and what is none.

use std::time::Duration;

use rdkafka::producer::Producer;
use serde_json::{Value, json};

use super::{STORE, STRUCTURED, Stream, announcement, assert_decided_once, decided, producer, run, send};
use crate::wire::HEARTBEAT;

fn letters(place: &crate::place::Place) -> Vec<Value> {
    place.ask("dead-letters", &["list", "--json"]).well().json()
}

#[test]
fn binary_structured_and_plain_events_are_taken() {
    let stream = Stream::new(1);
    let event: Value = serde_json::from_str(&announcement(1)).unwrap();
    let text = |name: &str| event[name].as_str().unwrap();
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", text("id")),
        ("ce_source", text("source")),
        ("ce_type", text("type")),
        ("ce_time", text("time")),
        ("ce_correlationid", text("correlationid")),
        ("content-type", "application/json"),
    ];
    stream.send("1", &headers, Some(&event["data"].to_string()));
    stream.event(&announcement(2));
    // Data alone: the topic is its type.
    let data: Value = serde_json::from_str::<Value>(&announcement(3)).unwrap()["data"].take();
    stream.send("3", &[("correlationid", "from-a-header")], Some(&data.to_string()));
    // Of a type that nobody names, on a topic that somebody does.
    let mut other: Value = serde_json::from_str(&announcement(4)).unwrap();
    other["type"] = "something.else".into();
    stream.event(&other.to_string());
    stream.flush();
    let place = stream.place("");
    place.mend("[inputs]\n", &format!("[inputs]\n\"{}\" = \"introspected\"\n", stream.topic));
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!((&summary["events"], &summary["dead_letters"]), (&4.into(), &0.into()));
    let plain = format!("{}/0/2", stream.topic);
    let ids = decided(&place);
    assert_eq!(
        ids,
        [
            text("id"),
            serde_json::from_str::<Value>(&announcement(2)).unwrap()["id"].as_str().unwrap(),
            &plain,
            other["id"].as_str().unwrap()
        ]
    );
    assert_eq!(place.value(STORE, &format!("SELECT correlation_id FROM journal WHERE event_id = '{plain}'")), "from-a-header");
    let kept = place.value(STORE, &format!("SELECT CAST(bytes AS TEXT) FROM events JOIN journal USING (row) WHERE event_id = '{plain}'"));
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["type"], &kept["source"]), (&stream.topic.as_str().into(), &format!("kafka:{}", stream.topic).into()));
    assert!(kept["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{kept}");
    place.verifies();
}

#[test]
fn an_id_may_stand_in_a_header_or_a_field() {
    let stream = Stream::new(1);
    let data = |number: u32| serde_json::from_str::<Value>(&announcement(number)).unwrap()["data"].take();
    let mut with_field = data(2);
    with_field["message"] = "m-2".into();
    stream.send("1", &[("message-id", "m-1")], Some(&data(1).to_string()));
    stream.send("1", &[("message-id", "m-1")], Some(&data(1).to_string()));
    stream.send("2", &[], Some(&with_field.to_string()));
    stream.flush();
    let place = stream.place(", id-header = \"message-id\", id-field = \"message\"");
    place.mend("[inputs]\n", &format!("[inputs]\n\"{}\" = \"introspected\"\n", stream.topic));
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!(summary["duplicates"], 1);
    assert_eq!(decided(&place), ["m-1", "m-2"]);
}

#[test]
fn what_is_no_event_is_a_dead_letter_with_its_place() {
    let stream = Stream::new(1);
    stream.send("a", &[], None);
    stream.send("a", STRUCTURED, Some("{"));
    stream.send("a", &[("content-type", "application/cloudevents-batch+json")], Some("[]"));
    stream.send("a", &[("content-type", "application/cloudevents+avro")], Some("x"));
    stream.send(
        "a",
        STRUCTURED,
        Some(&json!({"specversion": "1.0", "id": "big", "source": "s", "type": HEARTBEAT, "data": "x".repeat(5_000)}).to_string()),
    );
    stream.send("a", &[("ce_id", "odd"), ("ce_Type", "t")], Some("{}"));
    stream.send("a", &[], Some("{}"));
    stream.event(&announcement(1));
    stream.flush();
    let place = stream.place("");
    place.mend("[store]\n", "[limits]\nevent = 4096\n[store]\n");
    run(&place).well();
    let found = letters(&place);
    let told: Vec<(u64, &str)> =
        found.iter().map(|letter| (letter["position"].as_u64().unwrap(), letter["code"].as_str().unwrap())).collect();
    let expected = [
        (0, "tombstone"),
        (1, "not-json"),
        (2, "batch-refused"),
        (3, "not-json"),
        (4, "event-too-large"),
        (5, "not-cloudevent"),
        (6, "type-unroutable"),
    ];
    assert_eq!(told, expected);
    assert!(found.iter().all(|letter| letter["source"] == format!("kafka:{}/0", stream.topic)), "{found:?}");
    assert_decided_once(&place, 1..2);
    let again = run(&place).well().json().pop().unwrap();
    assert_eq!((&again["events"], &again["dead_letters"]), (&0.into(), &0.into()));
    // Its topic is named by now, but its data still fits nothing.
    place.mend("[inputs]\n", &format!("[inputs]\n\"{}\" = \"introspected\"\n", stream.topic));
    let id = found[6]["id"].to_string();
    let refused = place.ask("dead-letters", &["redrive", &id]).exits(1);
    assert!(refused.out.contains("data-undecodable"), "{}", refused.out);
}

#[test]
fn what_a_transaction_takes_back_is_not_read_and_its_marks_hold_nothing_up() {
    let stream = Stream::new(1);
    let writer = producer(&stream.brokers, &[("transactional.id", &stream.topic)]);
    let wait = Duration::from_secs(30);
    writer.init_transactions(wait).unwrap();
    for (nodes, commits) in [(0..5, true), (5..9, false), (9..12, true), (12..14, false)] {
        writer.begin_transaction().unwrap();
        for number in nodes {
            send(&writer, &stream.topic, "k", STRUCTURED, Some(&announcement(number)));
        }
        writer.flush(wait).unwrap();
        if commits {
            writer.commit_transaction(wait).unwrap();
        } else {
            writer.abort_transaction(wait).unwrap();
        }
    }
    let place = stream.place("");
    run(&place).well();
    let mut expected: Vec<u32> = (0..5).chain(9..12).collect();
    expected.sort_unstable();
    let ids: Vec<String> = expected
        .iter()
        .map(|number| serde_json::from_str::<Value>(&announcement(*number)).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(decided(&place), ids);
    // Behind the last record stand what was taken back and marks: they are passed.
    assert_eq!(super::positions(&place), [format!("kafka:{}/0 | 18", stream.topic)]);
    stream.remove_before(0, 18);
    run(&place).well();
    assert_eq!(decided(&place), ids);
}
