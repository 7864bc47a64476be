//! The recorded decisions of the reference domain's two reducers, by the library and by the command line; `tests/vectors/` says
//! what they are.

use std::fs;
use std::sync::Arc;

use purefold::sandbox::{Context, DecisionCodec, Limits, Reducer, Sandbox};
use purefold_wit::{Contract, UnknownFields, instant};
use serde_json::{Value, json};

use crate::program::{purefold, reducer, with_input};
use crate::repository::root;

/// The reducers that have recorded decisions, and how many there are at least.
const RECORDED: [(&str, usize); 2] = [(REFERENCE, 400), ("registry", 10)];

const REFERENCE: &str = "registration";

/// A recorded case, as its line has it.
struct Case {
    line: Value,
}

#[test]
fn the_component_decides_as_recorded() {
    for (name, least) in RECORDED {
        let (decide, cases) = (Decider::of(name), cases(name));
        assert!(cases.len() >= least, "{name}: {} cases", cases.len());
        check(&cases, cases.iter().map(|case| decide.answer(&case.line)));
    }
}

#[test]
fn the_command_line_decides_as_recorded() {
    for (name, _) in RECORDED {
        let cases = cases(name);
        let lines: String = cases.iter().map(|case| format!("{}\n", case.line)).collect();
        let mut command = purefold(["reduce"]);
        command.arg(reducer(name));
        let answers = with_input(command, lines.into_bytes()).well().json();
        check(&cases, answers.into_iter());
    }
}

#[test]
fn the_comparison_sees_what_differs() {
    let same = |expected: Value, found: Value| fits("", &expected, &found);
    assert_eq!(same(json!({"a": null, "b": [1, {"c": 2}]}), json!({"b": [1, {"c": 2, "more": 3}], "d": 4})), Ok(()));
    assert_eq!(same(json!({"a": 1}), json!({"a": null})), Err(".a: expected 1, found null".to_owned()));
    assert_eq!(same(json!({"a": [1]}), json!({"a": [1, 2]})), Err(".a: expected 1 elements, found 2".to_owned()));
    assert_eq!(same(json!({"a": null}), json!({"a": {"b": 1}})), Err(".a: expected null, found {\"b\":1}".to_owned()));
}

fn cases(name: &str) -> Vec<Case> {
    let path = root().join("tests/vectors").join(name).with_extension("jsonl");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    text.lines().map(|line| Case { line: serde_json::from_str(line).expect("a case is JSON") }).collect()
}

/// Compares every answer with its case, and tells all that differ.
#[track_caller]
fn check(cases: &[Case], answers: impl Iterator<Item = Value>) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        count += 1;
        if let Err(difference) = case.compare(&answer) {
            wrong.push(format!("{}: {difference}\n  answered {answer}", case.line["case"].as_str().unwrap_or_default()));
        }
    }
    assert_eq!(count, cases.len(), "one answer for each case");
    assert!(wrong.is_empty(), "{} of {count} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

impl Case {
    fn compare(&self, answer: &Value) -> Result<(), String> {
        let expect = self.line["expect"].as_object().and_then(|expect| expect.iter().next()).ok_or("the case expects nothing")?;
        match expect {
            (kind, accepted) if kind == "accepted" => {
                let found = answer.get("accepted").ok_or("it should be accepted")?;
                fits("state", &accepted["state"], &found["state"])?;
                intents(accepted["intents"].as_array().ok_or("no intents")?, found["intents"].as_array().ok_or("no intents")?)
            }
            (kind, rejected) if kind == "rejected" => match answer.get("rejected") {
                Some(found) if found == rejected => Ok(()),
                _ => Err(format!("it should be rejected as {rejected}")),
            },
            (kind, _) if kind == "undecodable" => match answer["undecodable"].as_str().and_then(|text| text.split_once(": ")) {
                Some((path, reason)) if path.starts_with("input.") && !reason.is_empty() => Ok(()),
                _ => Err("it should be undecodable, with the path".to_owned()),
            },
            (kind, _) => Err(format!("the case expects {kind}, whatever that is")),
        }
    }
}

/// Exactly these, in this order; of each payload only what is given is compared.
fn intents(expected: &[Value], found: &[Value]) -> Result<(), String> {
    let names = |intents: &[Value]| intents.iter().map(case_name).collect::<Vec<_>>().join(", ");
    if names(expected) != names(found) {
        return Err(format!("expected the intents {}, found {}", names(expected), names(found)));
    }
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        fits(&format!("intents[{index}]"), expected, found)?;
    }
    Ok(())
}

fn case_name(intent: &Value) -> String {
    intent.as_object().and_then(|intent| intent.keys().next()).cloned().unwrap_or_default()
}

/// Of records only the fields given count; null and absent are the same.
fn fits(path: &str, expected: &Value, found: &Value) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().try_for_each(|(name, value)| fits(&format!("{path}.{name}"), value, found.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() != found.len() => {
            Err(format!("{path}: expected {} elements, found {}", expected.len(), found.len()))
        }
        (Value::Array(expected), Value::Array(found)) => (0..)
            .zip(expected.iter().zip(found))
            .try_for_each(|(index, (expected, found)): (usize, _)| fits(&format!("{path}[{index}]"), expected, found)),
        _ if expected == found => Ok(()),
        _ => Err(format!("{path}: expected {expected}, found {found}")),
    }
}

/// The library's own parts, put together as `purefold reduce` does.
pub(crate) struct Decider {
    reducer: Reducer,
    codec: DecisionCodec,
}

impl Decider {
    /// For the reference reducer.
    pub(crate) fn new() -> Decider {
        Decider::of(REFERENCE)
    }

    /// For the reducer of that name.
    pub(crate) fn of(name: &str) -> Decider {
        let component = fs::read(reducer(name)).expect("the component can be read");
        let contract = Arc::new(Contract::read(&component).expect("the contract holds"));
        let limits = Limits::default();
        let codec = DecisionCodec::new(&contract, &limits);
        let reducer = Sandbox::new().expect("there is a sandbox").load(&component, contract, limits).expect("the component loads");
        Decider { reducer, codec }
    }

    /// Decides one line of `purefold reduce`.
    pub(crate) fn answer(&self, line: &Value) -> Value {
        match self.decide(line) {
            Ok(answer) => serde_json::from_str(&answer).expect("canonical JSON is JSON"),
            Err(undecodable) => json!({"undecodable": undecodable}),
        }
    }

    /// The decision's canonical JSON, or why the line cannot be decoded.
    pub(crate) fn decide(&self, line: &Value) -> Result<String, String> {
        let state = match &line["state"] {
            Value::Null => None,
            state => Some(self.codec.decode_state(state.to_string().as_bytes()).map_err(|error| error.to_string())?),
        };
        let input = line["input"].to_string();
        let input = self.codec.input().decode("input", input.as_bytes(), UnknownFields::Ignore).map_err(|error| error.to_string())?;
        let decision = self.reducer.reduce(&context(&line["context"]), state.as_ref(), &input).expect("the host works");
        let kind = match &decision {
            purefold::sandbox::Decision::Accepted { .. } => "accepted",
            purefold::sandbox::Decision::Rejected(_) => "rejected",
            purefold::sandbox::Decision::Faulted(_) => "faulted",
        };
        let (_, encoded) = self.codec.encode(decision);
        let output = String::from_utf8(encoded.output).expect("JSON is text");
        let state = encoded.state.map_or("null".to_owned(), |state| String::from_utf8(state.into()).expect("JSON is text"));
        Ok(match kind {
            "accepted" => format!("{{\"accepted\":{{\"state\":{state},\"intents\":{output}}}}}"),
            kind => format!("{{\"{kind}\":{output}}}"),
        })
    }
}

fn context(json: &Value) -> Context {
    let text = |name: &str| json[name].as_str().expect("a text").to_owned();
    let half = |index: usize| json["seed"][index].as_u64().expect("a number");
    Context {
        now: instant::parse(&text("now")).expect("an instant"),
        entity: text("entity").into(),
        sequence: json["sequence"].as_u64().expect("a number"),
        event_id: text("event_id").into(),
        correlation_id: text("correlation_id").into(),
        seed: (half(0), half(1)),
    }
}

/// The lines of all recorded cases.
pub(crate) fn recorded_lines() -> Vec<Value> {
    cases(REFERENCE).into_iter().map(|case| case.line).collect()
}
