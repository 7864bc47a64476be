//! A6: the correlation id stands in every log line of a decision and an effect, as a field; no secret stands in logs, payloads,
//! errors, state, journal or dead letters.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::payments::{Answer, Payments};
use crate::place::Place;
use crate::program::Done;
use crate::repository::root;
use crate::shop::{arrived, placed};
use crate::traces::Traces;

const SECRET: &str = "swordfish-7f3a9c";

fn logged(place: &mut Place, filter: &str, format: &str) -> Done {
    place.variable("PUREFOLD_LOG", filter);
    place.variable("PUREFOLD_LOG_FORMAT", format);
    place.run().well()
}

/// The lines of the log, which are JSON objects.
fn lines(done: &Done) -> Vec<Value> {
    let lines: Vec<&str> = done.err.lines().filter(|line| !line.is_empty()).collect();
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

#[test]
fn every_decision_and_every_effect_is_logged_with_its_correlation_id() {
    let mut place = Place::registration();
    place.stream_from(&root().join("demo/events.jsonl"));
    let done = logged(&mut place, "purefold=debug,purefold_effects=debug", "json");
    let lines = lines(&done);

    let about_entities: Vec<&Value> = lines.iter().filter(|line| line.get("entity").is_some()).collect();
    for line in &about_entities {
        for field in ["correlation_id", "entity", "workflow", "level", "timestamp"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {line}");
        }
        assert!(line["sequence"].is_u64(), "no sequence in {line}");
    }

    // Each decision of the journal was logged, under the correlation id that the journal has.
    let mut journal: BTreeMap<(String, u64), String> = BTreeMap::new();
    for row in place.rows("registration.db", "SELECT entity, sequence, correlation_id FROM entries WHERE kind = 'decided'") {
        let parts: Vec<&str> = row.split(" | ").collect();
        journal.insert((parts[0].to_owned(), parts[1].parse().unwrap()), parts[2].to_owned());
    }
    let of = |line: &Value| (line["entity"].as_str().unwrap_or_default().to_owned(), line["sequence"].as_u64().unwrap_or_default());
    let decided: Vec<&&Value> = about_entities.iter().filter(|line| message(line) == "decided").collect();
    assert_eq!(decided.len(), journal.len());
    for line in decided {
        assert_eq!(line["correlation_id"].as_str(), journal.get(&of(line)).map(String::as_str), "{line}");
    }
    // So was each intent, under that of the decision that asked for it.
    let concluded: Vec<&&Value> = about_entities.iter().filter(|line| message(line) == "intent concluded").collect();
    let outcomes = "SELECT count(*) FROM entries WHERE kind = 'concluded' OR (kind = 'decided' AND (input LIKE '{\"record_stored%' OR input LIKE '{\"service_registered%'))";
    assert_eq!(concluded.len().to_string(), place.value("registration.db", outcomes));
    for line in concluded {
        assert_eq!(line["correlation_id"].as_str(), journal.get(&of(line)).map(String::as_str), "{line}");
    }
}

#[test]
fn logging_changes_nothing_and_is_quiet_unless_asked_for() {
    let mut loud = Place::registration();
    loud.stream_from(&root().join("demo/events.jsonl"));
    logged(&mut loud, "debug", "json");
    let quiet = Place::registration();
    quiet.stream_from(&root().join("demo/events.jsonl"));
    let done = quiet.run().well();
    assert!(!done.err.contains("correlation_id"), "{}", done.err);
    Traces::of_registration(&quiet).assert_same(&Traces::of_registration(&loud), "quiet and loud");
}

#[test]
fn no_secret_is_written_anywhere() {
    // It repeats what it was sent, in whatever it answers.
    let payments = Payments::answering(|request, before| {
        let echo = format!("X-Echo: {}\r\n", request.authorization);
        let body = format!("{{\"you_said\": {:?}}}", request.authorization);
        match request.what.rsplit('/').next().and_then(|last| last.split('?').next()).unwrap_or_default() {
            "refused" => Answer::Reply("403 Forbidden", echo, body),
            "broken" => Answer::Reply("500 Internal Server Error", echo, body),
            "unreadable" => Answer::Reply("200 OK", echo, body),
            "busy" if before == 0 => Answer::Reply("503 Service Unavailable", echo, body),
            _ => Answer::receipt(&request.body["amount"]),
        }
    });
    let mut place = Place::orders(payments.port);
    place.variable("PAYMENT_TOKEN", SECRET);
    place.mend("outcome = \"charged\"", "outcome = \"charged\"\nheaders = { authorization = \"Bearer ${PAYMENT_TOKEN}\" }");
    place.mend("/charges/{order-id}", "/charges/{order-id}?key=${PAYMENT_TOKEN}");
    place.mend("retry = { attempts = 5, first = \"200ms\"", "retry = { attempts = 2, first = \"10ms\"");
    let mut stream = vec![arrived("tea", 50, 0.0)];
    stream.extend(
        (1..)
            .zip(["refused", "broken", "unreadable", "busy", "fine"])
            .map(|(second, order)| placed(order, &[("tea", 1)], f64::from(second))),
    );
    stream.push("not an event".to_owned());
    place.stream(&stream);
    let done = logged(&mut place, "trace", "json");
    assert!(
        payments.requests_for(&format!("POST /charges/fine?key={SECRET}"))[0].authorization == format!("Bearer {SECRET}"),
        "the secret was sent where it belongs"
    );
    let phases = place.rows("shop.db", "SELECT order_id, phase FROM orders ORDER BY order_id");
    assert_eq!(phases, ["broken | cancelled", "busy | shipped", "fine | shipped", "refused | cancelled", "unreadable | cancelled"]);

    assert!(!done.err.contains(SECRET), "the log has it: {:?}", done.err.lines().find(|line| line.contains(SECRET)));
    assert!(!done.out.contains(SECRET));
    for command in
        [&["journal", "--json"][..], &["intents", "--json"], &["dead-letters", "list", "--json"], &["check", "--json"], &["machine"]]
    {
        let told = place.ask(command[0], &command[1..]);
        assert!(!told.out.contains(SECRET) && !told.err.contains(SECRET), "{command:?} tells it");
    }
    for file in place.files() {
        let bytes = fs::read(place.path(&file)).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{file} has it");
    }
}

#[test]
fn a_wrong_setting_does_not_tell_the_secret_in_it() {
    let mut place = Place::orders(1);
    place.variable("PAYMENT_TOKEN", SECRET);
    place.mend("hosts = [\"127.0.0.1:${PAYMENT_PORT}\"]", "hosts = [\"127.0.0.1:${PAYMENT_PORT}\"]\ntimeout = \"${PAYMENT_TOKEN}\"");
    let refused = place.ask("check", &["--format", "json"]).exits(2);
    assert!(refused.out.contains("effects.payments.timeout"), "{}", refused.out);
    assert!(!refused.out.contains(SECRET) && !refused.err.contains(SECRET), "{}{}", refused.out, refused.err);
}
