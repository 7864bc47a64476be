//! A6: the correlation id stands in every log line of a decision and an effect, as a field; no secret stands in logs, payloads,
//! errors, state, journal, dead letters, figures or traces.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde_json::{Value, json};

use crate::client::Client;
use crate::collector::Collector;
use crate::payments::{Payments, receipt};
use crate::place::{Place, Running};
use crate::program::{Done, signal};
use crate::repository::root;
use crate::service::Answer;
use crate::shop::{arrived, placed};
use crate::traces::Traces;

const SECRET: &str = "swordfish-7f3a9c";
const COLLECTOR_SECRET: &str = "octopus-19b2e4";
const SECRETS: [&str; 2] = [SECRET, COLLECTOR_SECRET];

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

    let about_entities = about_entities(&lines);
    let journal = journal(&place, "registration.db");
    let decided: Vec<&&Value> = about_entities.iter().filter(|line| message(line) == "decided").collect();
    assert_eq!(decided.len(), journal.len());
    for line in decided {
        assert_eq!(Some(&ids(line)), journal.get(&of(line)), "{line}");
    }
    // So was each intent, under that of the decision that asked for it.
    let concluded: Vec<&&Value> = about_entities.iter().filter(|line| message(line) == "intent concluded").collect();
    let outcomes = "SELECT count(*) FROM entries WHERE kind = 'concluded' OR (kind = 'decided' AND (input LIKE '{\"record_stored%' OR input LIKE '{\"service_registered%'))";
    assert_eq!(concluded.len().to_string(), place.value("registration.db", outcomes));
    for line in concluded {
        assert_eq!(Some(&ids(line)), journal.get(&of(line)), "{line}");
    }
}

/// Each failed attempt, and what is held in the end, is logged as that of the decision that asked for it.
#[test]
fn every_failed_attempt_is_logged_with_the_ids_of_its_decision() {
    let payments = Payments::answering(|_, _| Answer::Reply("500 Internal Server Error", String::new(), String::new()));
    let mut place = Place::orders(payments.port);
    place.mend("retry = { attempts = 5, first = \"200ms\"", "retry = { attempts = 2, first = \"10ms\"");
    place.mend("outcome = \"charged\"\non-exhausted = \"outcome\"", "outcome = \"charged\"\non-exhausted = \"hold\"");
    place.stream(&[arrived("tea", 50, 0.0), placed("o1", &[("tea", 1)], 1.0)]);
    let done = logged(&mut place, "purefold=debug", "json");
    let lines = lines(&done);
    let about_entities = about_entities(&lines);
    let journal = journal(&place, "orders.db");
    for (told, times, level) in [("attempt failed", 2, "DEBUG"), ("intent held", 1, "WARN")] {
        let told: Vec<&&Value> = about_entities.iter().filter(|line| message(line) == told).collect();
        assert_eq!(told.len(), times, "{told:?}");
        for line in told {
            assert_eq!((line["level"].as_str(), line["effect"].as_str()), (Some(level), Some("payments")), "{line}");
            assert_eq!(Some(&ids(line)), journal.get(&of(line)), "{line}");
        }
    }
}

/// The lines about decisions and intents. Each has all that it must; what the engine says of a whole effect is none of them.
fn about_entities(lines: &[Value]) -> Vec<&Value> {
    const OF_EFFECTS: [&str; 4] = ["the effect does not work", "the effect works again", "breaker", "attempts were cut off"];
    let from = |line: &Value, module: &str| line["target"].as_str().is_some_and(|target| target.starts_with(module));
    let is_about = |line: &&Value| {
        let is_told_of = from(line, "purefold::engine::fold") || from(line, "purefold::engine::dispatch");
        line.get("entity").is_some() || (is_told_of && !OF_EFFECTS.iter().any(|of| message(line).starts_with(of)))
    };
    let about: Vec<&Value> = lines.iter().filter(is_about).collect();
    for line in &about {
        for field in ["event_id", "correlation_id", "entity", "workflow", "level", "timestamp"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {line}");
        }
        assert!(line["sequence"].is_u64(), "no sequence in {line}");
        if from(line, "purefold::engine::dispatch") {
            assert!(line["effect"].is_string() && line["index"].is_u64() && line["attempt"].is_u64(), "{line}");
        }
    }
    about
}

/// The entity and the sequence of a line.
fn of(line: &Value) -> (String, u64) {
    (line["entity"].as_str().unwrap_or_default().to_owned(), line["sequence"].as_u64().unwrap_or_default())
}

/// The event id and the correlation id of a line.
fn ids(line: &Value) -> (String, String) {
    ["event_id", "correlation_id"].map(|field| line[field].as_str().unwrap_or_default().to_owned()).into()
}

/// The event id and the correlation id of each decision, by entity and sequence.
fn journal(place: &Place, store: &str) -> BTreeMap<(String, u64), (String, String)> {
    let rows = place.rows(store, "SELECT entity, sequence, event_id, correlation_id FROM entries WHERE kind = 'decided'");
    let of = |row: String| {
        let parts: Vec<&str> = row.split(" | ").collect();
        ((parts[0].to_owned(), parts[1].parse().unwrap()), (parts[2].to_owned(), parts[3].to_owned()))
    };
    rows.into_iter().map(of).collect()
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

/// The orders, with secrets wherever one may stand: in headers, in a URL's query, in what reaches the payment service and the
/// collector of traces. Both repeat what they were sent, in whatever they answer.
struct Leaky {
    place: Place,
    payments: Payments,
    collector: Collector,
}

impl Leaky {
    fn new() -> Leaky {
        let payments = Payments::answering(|request, before| {
            let echo = format!("X-Echo: {}\r\n", request.authorization);
            let body = format!("{{\"you_said\": {:?}}}", request.authorization);
            match request.what.rsplit('/').next().and_then(|last| last.split('?').next()).unwrap_or_default() {
                "refused" => Answer::Reply("403 Forbidden", echo, body),
                "broken" => Answer::Reply("500 Internal Server Error", echo, body),
                "unreadable" => Answer::Reply("200 OK", echo, body),
                // A receipt that fits, in which it says what it was told.
                "echoed" => {
                    let receipt = json!({"charge_id": request.authorization, "amount": request.body["amount"], "fee_rate": 0.015});
                    Answer::Reply("200 OK", echo, receipt.to_string())
                }
                "busy" if before == 0 => Answer::Reply("503 Service Unavailable", echo, body),
                _ => receipt(&request.body["amount"]),
            }
        });
        let collector = Collector::answering(|request, before| {
            let said = format!("{} {}", request.header("x-collector-key"), request.what);
            let status = ["400 Bad Request", "503 Service Unavailable", "200 OK"][before.min(2)];
            Answer::Reply(status, format!("X-Echo: {said}\r\n"), said)
        });
        let mut place = Place::orders(payments.port);
        place.variable("PAYMENT_TOKEN", SECRET);
        place.variable("COLLECTOR", &format!("http://127.0.0.1:{}/otlp?api-key={COLLECTOR_SECRET}", collector.port));
        place.variable("COLLECTOR_KEY", COLLECTOR_SECRET);
        place.mend("outcome = \"charged\"", "outcome = \"charged\"\nheaders = { authorization = \"Bearer ${PAYMENT_TOKEN}\" }");
        place.mend("/charges/{order-id}", "/charges/{order-id}?key=${PAYMENT_TOKEN}");
        place.mend("retry = { attempts = 5, first = \"200ms\"", "retry = { attempts = 2, first = \"10ms\"");
        place.mend("[store]\n", "[traces]\nendpoint = \"${COLLECTOR}\"\nheaders = { X-Collector-Key = \"${COLLECTOR_KEY}\" }\n\n[store]\n");
        let mut stream = vec![arrived("tea", 50, 0.0)];
        stream.extend(
            (1..)
                .zip(["refused", "broken", "unreadable", "busy", "fine", "echoed"])
                .map(|(second, order)| placed(order, &[("tea", 1)], f64::from(second))),
        );
        stream.push("not an event".to_owned());
        place.stream(&stream);
        Leaky { place, payments, collector }
    }
}

/// Asserts that no secret stands in what `source` tells.
#[track_caller]
fn holds_no_secret(source: &str, told: &[u8]) {
    for secret in SECRETS {
        let at = told.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around = at.map(|at| String::from_utf8_lossy(&told[at.saturating_sub(200)..(at + 60).min(told.len())]).into_owned());
        assert_eq!(around, None, "{source} tells it");
    }
}

#[test]
fn no_secret_is_written_anywhere() {
    for format in ["json", "text"] {
        let Leaky { mut place, payments, collector } = Leaky::new();
        let done = logged(&mut place, "trace", format);
        assert!(
            payments.requests_for(&format!("POST /charges/fine?key={SECRET}"))[0].authorization == format!("Bearer {SECRET}"),
            "the secret was sent where it belongs"
        );
        let phases = place.rows("shop.db", "SELECT order_id, phase FROM orders ORDER BY order_id");
        assert_eq!(
            phases,
            ["broken | cancelled", "busy | shipped", "echoed | shipped", "fine | shipped", "refused | cancelled", "unreadable | cancelled"]
        );

        holds_no_secret("the log", done.err.as_bytes());
        holds_no_secret("the output", done.out.as_bytes());
        for command in [
            &["journal", "--json"][..],
            &["state", "--json"],
            &["intents", "--json"],
            &["parked", "list", "--json"],
            &["dead-letters", "list", "--json"],
            &["status"],
            &["check"],
            &["check", "--format", "json"],
            &["verify", "--json"],
            &["machine"],
        ] {
            let told = place.ask(command[0], &command[1..]);
            holds_no_secret(&format!("{command:?}"), told.out.as_bytes());
            holds_no_secret(&format!("{command:?}"), told.err.as_bytes());
        }
        let echoed = place.value("orders.db", "SELECT input FROM entries WHERE entity = 'echoed' AND input LIKE '{\"charged%'");
        assert!(echoed.contains("Bearer ${PAYMENT_TOKEN}"), "the reply says where it came from: {echoed}");
        for file in place.files() {
            holds_no_secret(&file, &fs::read(place.path(&file)).unwrap());
        }

        let told = collector.requests();
        assert!(!told.is_empty(), "traces were told");
        for request in &told {
            assert_eq!(request.what, format!("POST /otlp/v1/traces?api-key={COLLECTOR_SECRET}"), "the secret was sent where it belongs");
            assert_eq!(request.header("x-collector-key"), COLLECTOR_SECRET);
            holds_no_secret("a trace", &request.body);
        }
        assert!(done.err.contains("traces cannot be told"), "{}", done.err);
    }
}

#[test]
fn no_secret_is_told_by_a_host_that_runs() {
    let Leaky { mut place, payments: _payments, collector } = Leaky::new();
    place.mend("capability = \"http\"", "capability = \"http\"\nbreaker = { failures = 1, cooldown = \"1h\" }");
    place.variable("PUREFOLD_LOG", "trace");
    let mut running = Running::start(place.running(&["--admin", "127.0.0.1:0", "--follow"]));
    let (admin, mut told) = running.listens("metrics, health and readiness on http://");
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        told.read_to_end(&mut log).map(|_| log)
    });
    let mut admin = Client::connect(admin).expect("the admin port listens");
    let mut get = |path: &str| {
        admin.send("GET", path, &[], "").expect("it can be asked");
        admin.receive().expect("it answers").body
    };
    // An attempt that was under way may close the breaker again: what is looked at is one answer.
    let mut opened = String::new();
    running.until("a breaker opens", || {
        opened = get("/readyz");
        opened.contains("effect payments of orders does not work")
    });
    assert!(opened.contains("http://127.0.0.1:${PAYMENT_PORT}"), "what came from the environment is told by its name: {opened}");
    collector.until("a failed attempt", |spans| spans.iter().any(|span| !span.failure.is_empty()));
    for path in ["/metrics", "/readyz", "/healthz"] {
        holds_no_secret(path, get(path).as_bytes());
    }
    let status = place.ask("status", &[]).well();
    holds_no_secret("status", status.out.as_bytes());
    signal(running.child(), "TERM");
    let done = running.end();
    holds_no_secret("the output", done.out.as_bytes());
    holds_no_secret("the log", &log.join().unwrap().unwrap());
    for request in collector.requests() {
        holds_no_secret("a trace", &request.body);
    }
}

#[test]
fn a_wrong_setting_does_not_tell_the_secret_in_it() {
    const HOSTS: &str = "hosts = [\"127.0.0.1:${PAYMENT_PORT}\"]";
    const TABLES: &str = "sqlite = \"shop.db\"";
    const CHARGES: &str = "http://127.0.0.1:${PAYMENT_PORT}/charges";
    let traces = |settings: &str| format!("[traces]\n{settings}\n[store]\n");
    for (place_told, from, to) in [
        ("effects.payments.timeout", HOSTS, format!("{HOSTS}\ntimeout = \"${{TOKEN}}\"")),
        ("effects.tables.postgres", TABLES, "postgres = \"${DATABASE}\"".to_owned()),
        ("effects.tables.${", TABLES, format!("{TABLES}\n\"${{DATABASE}}\" = 1")),
        ("effects.payments.hosts", HOSTS, "hosts = [\"${DATABASE}\"]".to_owned()),
        ("intents.charge.url", CHARGES, "http://shop:${TOKEN}@127.0.0.1:${PAYMENT_PORT}/charges".to_owned()),
        ("intents.charge.url", CHARGES, "http://${TOKEN}.example/charges".to_owned()),
        ("intents.charge.url", CHARGES, "${DATABASE}".to_owned()),
        ("traces.endpoint", "[store]\n", traces("endpoint = \"http://shop:${TOKEN}@127.0.0.1:4318\"")),
        ("traces.endpoint", "[store]\n", traces("endpoint = \"${DATABASE}\"")),
        ("traces.headers.key", "[store]\n", traces("endpoint = \"http://127.0.0.1:4318\"\nheaders = { key = \"${TOKEN}\\n\" }")),
        ("traces.sample", "[store]\n", traces("endpoint = \"http://127.0.0.1:4318\"\nsample = \"${TOKEN}\"")),
        ("source.http.token", "[store]\n", "[source]\nhttp = { listen = \"127.0.0.1:0\", token = \"${TOKEN} \" }\n\n[store]\n".to_owned()),
        ("source.http.listen", "[store]\n", "[source]\nhttp = { listen = \"${DATABASE}\" }\n\n[store]\n".to_owned()),
    ] {
        let mut place = Place::orders(1);
        place.variable("TOKEN", SECRET);
        place.variable("DATABASE", &format!("postgres://shop:{SECRET}@db.example/orders?token={COLLECTOR_SECRET}"));
        place.mend(from, &to);
        for format in ["json", "text"] {
            let refused = place.ask("check", &["--format", format]).exits(2);
            assert!(refused.out.contains(place_told), "{to}: {}", refused.out);
            holds_no_secret(&to, refused.out.as_bytes());
            holds_no_secret(&to, refused.err.as_bytes());
        }
        holds_no_secret(&to, place.run().exits(2).err.as_bytes());
    }
}
