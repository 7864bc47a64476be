//! Reducers in other languages than Rust: the same decisions as the reducer in Rust, byte for byte, under the same gates.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::orders::{by_name, stream, traces};
use crate::payments::Payments;
use crate::place::Place;
use crate::program::{Done, component, purefold, with_input};

/// The components that decide on orders, besides the one in Rust.
const LANGUAGES: [&str; 2] = ["orders-c", "orders-javascript"];

const IN_RUST: &str = "orders";

/// What builds all of them.
const MAKE: &str = "cargo xtask test reducers languages";

/// States that every input is tried on: enough for each phase of an order and of a stock.
const STATES_MOST: usize = 40;

/// The component of that name.
fn built(name: &str) -> PathBuf {
    component("reducers", name, MAKE)
}

/// The workflow of orders, run over the usual stream, with the component of that name.
fn ran_with(name: &str) -> Place {
    let payments = Payments::answering(by_name);
    let place = Place::orders(payments.port);
    place.install(&built(name));
    place.stream(stream());
    place.run_as_far_as_the_stream();
    place
}

#[test]
fn the_gates_admit_them() {
    for language in LANGUAGES {
        let place = Place::orders(1);
        place.install(&built(language));
        let told = place.ask("check", &[]).well().out;
        assert!(told.contains(": well"), "{language}: {told}");
        let told = purefold(["check"]).arg(built(language)).output().map(Done::from).unwrap().well().out;
        assert!(told.contains("no function"), "{language}: {told}");
    }
}

#[test]
fn what_they_leave_is_what_the_reducer_in_rust_leaves() {
    let in_rust = traces(&ran_with(IN_RUST)).without_the_workflows_own();
    for language in LANGUAGES {
        let place = ran_with(language);
        // States, intents, timers, what effects wrote, and the hash of each entry, which is over all of it.
        traces(&place).without_the_workflows_own().assert_same(&in_rust, language);
        place.verifies();
    }
}

#[test]
fn they_run_beside_a_reducer_in_rust() {
    let payments = Payments::willing();
    let places: Vec<Place> = [IN_RUST, LANGUAGES[0], LANGUAGES[1]]
        .into_iter()
        .map(|name| {
            let place = Place::orders(payments.port);
            place.install(&built(name));
            place.mend("name = \"orders\"", &format!("name = \"{name}\""));
            place
        })
        .collect();
    // Workflows of one host have one store.
    let store = places[0].path("orders.db").display().to_string();
    for place in &places {
        place.mend("sqlite = \"orders.db\"", &format!("sqlite = \"{store}\""));
    }
    let (in_rust, others) = places.split_first().expect("the first is the one in Rust");
    in_rust.stream(stream());
    let manifests: Vec<String> = others.iter().map(|place| place.manifest().display().to_string()).collect();
    let stream = in_rust.path("stream.jsonl").display().to_string();
    let options = [manifests[0].as_str(), &manifests[1], "--events", &stream, "--clock", "event", "--until-idle", "--json"];
    let summary = in_rust.ask("run", &options).well().json().pop().expect("a summary");
    assert_eq!((&summary["faulted"], &summary["dead_letters"]), (&0.into(), &0.into()), "{summary}");

    let decided = |workflow: &str| {
        let sql = format!(
            "SELECT entity, sequence, verdict, now, state, output FROM entries WHERE workflow = '{workflow}' AND kind = 'decided' ORDER BY entity, sequence"
        );
        in_rust.rows("orders.db", &sql)
    };
    let expected = decided(IN_RUST);
    assert!(expected.len() > 30, "{} decisions", expected.len());
    for language in LANGUAGES {
        assert_eq!(decided(language), expected, "{language}");
    }
    for place in &places {
        place.verifies();
    }
}

#[test]
fn every_input_in_every_state_is_decided_alike() {
    let place = ran_with(IN_RUST);
    let distinct = |sql: &str| -> Vec<Value> {
        let texts: BTreeSet<String> = place.rows("orders.db", sql).into_iter().collect();
        texts.iter().map(|text| serde_json::from_str(text).expect("the journal holds JSON")).collect()
    };
    let mut states = distinct("SELECT state FROM entries WHERE kind = 'decided' AND state IS NOT NULL");
    assert!(states.len() >= STATES_MOST, "{} states", states.len());
    // Every so many of them, so that they are of all kinds.
    states = states.iter().step_by(states.len().div_ceil(STATES_MOST)).cloned().chain([Value::Null]).collect();
    let mut inputs = distinct("SELECT input FROM entries WHERE kind = 'decided'");
    inputs.extend(borderline());

    let mut lines = String::new();
    for state in &states {
        for (number, input) in inputs.iter().enumerate() {
            // The last instant that there is, for some: sums stop there.
            let now = if number % 5 == 0 { "9999-12-31T23:59:59.999999Z" } else { "2026-02-13T12:00:00Z" };
            let context =
                json!({"now": now, "entity": "paid", "sequence": 3, "event_id": "e", "correlation_id": "c", "seed": [1, u64::MAX]});
            lines += &format!("{}\n", json!({"context": context, "state": state, "input": input}));
        }
    }
    let expected = decided(IN_RUST, &lines);
    for kind in ["{\"accepted\"", "{\"rejected\""] {
        assert!(expected.iter().filter(|line| line.starts_with(kind)).count() > 100, "{kind}");
    }
    assert!(!expected.iter().any(|line| line.starts_with("{\"faulted\"")), "{expected:?}");
    for language in LANGUAGES {
        let found = decided(language, &lines);
        assert_eq!(found.len(), expected.len(), "{language}");
        for ((line, expected), found) in lines.lines().zip(&expected).zip(&found) {
            assert_eq!(found, expected, "{language} decides otherwise on\n{line}");
        }
    }
}

/// Inputs at the edges of what their types and the rules hold.
fn borderline() -> Vec<Value> {
    let line = |stock: &str, quantity: u32, price: u64| json!({"stock_id": stock, "quantity": quantity, "unit_price": price});
    let placed = |lines: Vec<Value>, discount: Value| {
        json!({"placed": {
            "id": "paid", "customer": "Zoë 🦀", "lines": lines, "currency": "usd", "discount": discount, "handling": ["gift_wrapped", "express"],
            "payment_method": "", "placed_at": "1970-01-01T00:00:00Z",
        }})
    };
    let one = || vec![line("tea", 3, 333)];
    let mut inputs: Vec<Value> = [
        json!(0),
        json!(-0.0),
        json!(0.5),
        json!(1.0 / 3.0),
        json!(1.0 - f64::EPSILON),
        json!(1),
        json!(-0.1),
        json!("NaN"),
        json!("Infinity"),
    ]
    .into_iter()
    .map(|discount| placed(one(), discount))
    .collect();
    inputs.extend(
        [
            vec![],
            vec![line("tea", 0, 1)],
            vec![line("tea", 1, 1), line("tea", 1, 1)],
            vec![line("tea", 1, 1 << 53)],
            vec![line("tea", 1, 1 << 53), line("cup", 1, 1)],
            vec![line("tea", u32::MAX, u64::MAX)],
            (0..50).map(|number| line(&format!("article-{number}"), 1, 7)).collect(),
            (0..51).map(|number| line(&format!("article-{number}"), 1, 7)).collect(),
        ]
        .map(|lines| placed(lines, Value::Null)),
    );
    // Half a hundredth is rounded up, and what is just below is not.
    inputs.extend([1_u64, 3, 5, 999, (1 << 53) - 1].map(|price| placed(vec![line("tea", 1, price)], json!(0.5))));
    inputs.extend(
        [u32::MAX, 0]
            .map(|quantity| json!({"arrived": {"id": "paid", "quantity": quantity, "shelf": ["🦀", 65535], "unit_weight_kg": 0.1}})),
    );
    inputs.extend(["paid", "busy", "nobody"].map(|order| json!({"settle": {"stock_id": "tea", "order_id": order, "settlement": "taken"}})));
    inputs.extend(["paid", ""].map(|order| json!({"reserve": {"stock_id": "tea", "order_id": order, "quantity": u32::MAX}})));
    inputs.extend(["reserving", "payment", "archive", "other"].map(|name| json!({"timer": {"name": name, "due": "2026-02-13T12:00:00Z"}})));
    let outcome =
        |result: Value| json!({"charged": {"intent_id": "ffffffff-ffff-ffff-ffff-ffffffffffff", "amount": u64::MAX, "result": result}});
    for kind in ["refused", "exhausted", "unknown", "unreadable_reply"] {
        let failure = json!({"err": {kind: "no\u{0}thing — “quoted”"}});
        inputs.push(outcome(failure.clone()));
        inputs.push(json!({"booked": {"intent_id": "00000000-0000-0000-0000-000000000000", "result": failure}}));
    }
    inputs.push(outcome(json!({"ok": {"charge_id": "ch", "amount": u64::MAX, "fee_rate": 1e-320}})));
    inputs
}

/// What a component decides on each line of `purefold reduce`, as text.
fn decided(name: &str, lines: &str) -> Vec<String> {
    let mut command = purefold(["reduce"]);
    command.arg(built(name));
    with_input(command, lines.as_bytes().to_vec()).well().out.lines().map(str::to_owned).collect()
}

/// The ways in which the impure reducer reaches for clock, entropy and world.
const WAYS: [&str; 16] = [
    "Date.now",
    "new Date",
    "Date",
    "new Date by a date",
    "new Date by Reflect",
    "Math.random",
    "crypto",
    "performance",
    "console",
    "setTimeout",
    "fetch",
    "File",
    "Event",
    "WeakRef",
    "eval",
    "Function",
];

#[test]
fn in_javascript_nothing_impure_answers() {
    let context =
        json!({"now": "2026-02-13T12:00:00Z", "entity": "a", "sequence": 1, "event_id": "e", "correlation_id": "c", "seed": [0, 0]});
    let line = |way: &str, caught: bool| {
        let input = json!({"reached": {"id": "a", "way": way, "caught": caught}});
        format!("{}\n", json!({"context": context, "state": null, "input": input}))
    };
    let answers = |caught: bool| {
        let mut command = purefold(["reduce"]);
        command.arg(component("fixtures", "javascript-impure", MAKE));
        let lines: String = WAYS.iter().map(|way| line(way, caught)).collect();
        with_input(command, lines.into_bytes()).well()
    };

    let caught = answers(true);
    for (way, answer) in WAYS.iter().zip(caught.json()) {
        let text = answer["accepted"]["intents"][0]["told"]["text"].as_str().unwrap_or_else(|| panic!("{way}: {answer}"));
        assert!(text.starts_with("TypeError: "), "{way} is {text}");
        // Nothing is left in a sandbox for the decision after.
        assert_eq!(answer["accepted"]["state"]["calls"], 1, "{way}");
    }
    assert_eq!(caught.json().len(), WAYS.len());
    assert_eq!(answers(true).out, caught.out, "another process, other instances, the same bytes");

    for (way, answer) in WAYS.iter().zip(answers(false).json()) {
        assert_eq!(answer["faulted"]["code"], "trap", "{way}: {answer}");
    }
}
