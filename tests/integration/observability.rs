//! What a host tells of itself while it runs: figures, health, readiness.

use std::io::BufReader;
use std::net::SocketAddr;

use serde_json::Value;

use crate::client::Client;
use crate::place::{Place, Running};
use crate::service::closed_port;
use crate::shop::{arrived, placed};

/// A host with an admin port, which it chooses itself.
struct Watched {
    _running: Running,
    admin: SocketAddr,
    // Kept, so that the host can go on writing.
    _told: BufReader<std::process::ChildStderr>,
}

impl Watched {
    fn start(place: &Place) -> Watched {
        let mut running = Running::start(place.running(&["--admin", "127.0.0.1:0", "--follow"]));
        let (admin, told) = running.listens("metrics, health and readiness on http://");
        Watched { _running: running, admin, _told: told }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut client = Client::connect(self.admin).expect("the admin port listens");
        client.send("GET", path, &[], "").expect("it can be asked");
        let response = client.receive().expect("it answers");
        (response.status, response.body)
    }

    /// The value of the sample that begins so.
    fn figure(&self, sample: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
    }

    #[track_caller]
    fn until(&self, sample: &str, expected: f64) {
        self.until_it(sample, |figure| figure == expected, &expected.to_string());
    }

    #[track_caller]
    fn until_it(&self, sample: &str, is_right: impl Fn(f64) -> bool, expected: &str) {
        let begun = std::time::Instant::now();
        loop {
            let figure = self.figure(sample);
            if figure.is_some_and(&is_right) {
                return;
            }
            assert!(begun.elapsed().as_secs() < 60, "{sample} became {figure:?}, not {expected}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn a_host_tells_how_it_is_doing_and_what_does_not_work() {
    // Nobody listens where payments should be: the breaker opens.
    let place = Place::orders(closed_port());
    let orders = (0..12).map(|order| placed(&format!("order-{order}"), &[("tea", 1)], 1.0));
    place.stream(std::iter::once(arrived("tea", 90, 0.0)).chain(orders).chain(["no event at all".to_owned()]));
    let watched = Watched::start(&place);
    assert_eq!(watched.get("/healthz"), (200, "alive\n".to_owned()));
    watched.until("purefold_events_total{kind=\"taken\"}", 14.0);
    watched.until("purefold_events_not_decided_total{kind=\"dead-letter\"}", 1.0);
    watched.until("purefold_effect_breaker{workflow=\"orders\",effect=\"payments\"}", 1.0);
    watched.until("purefold_effect_breaker{workflow=\"orders\",effect=\"tables\"}", 0.0);
    let figure = |sample: &str| watched.figure(sample).unwrap_or_else(|| panic!("there is no {sample}: {}", watched.get("/metrics").1));
    assert!(figure("purefold_decisions_total{workflow=\"orders\",verdict=\"accepted\"}") >= 13.0);
    assert!(figure("purefold_outbox_depth{workflow=\"orders\",effect=\"payments\"}") >= 1.0);
    assert!(figure("purefold_effect_retries_total{workflow=\"orders\",effect=\"payments\"}") >= 1.0);
    assert!(figure("purefold_sandbox_time_seconds_total{workflow=\"orders\"}") > 0.0);
    assert!(figure("purefold_sandbox_fuel_total{workflow=\"orders\"}") > 1000.0);
    assert!(figure("purefold_commit_latency_seconds_count") >= 1.0);
    assert!(figure("purefold_commit_entries_count") >= 1.0);
    let entries = place.rows("orders.db", "SELECT count(*) FROM journal").remove(0).parse::<f64>().expect("a number");
    assert!((14.0..=entries).contains(&figure("purefold_commit_entries_sum")), "as many as the journal has: {entries}");
    watched.until_it("purefold_outbox_age_seconds{workflow=\"orders\",effect=\"payments\"}", |age| age > 0.5, "as old as what waits");
    assert_eq!(figure("purefold_outbox_age_seconds{workflow=\"orders\",effect=\"tables\"}"), 0.0, "nothing waits there");
    watched.until("purefold_dead_letters{workflow=\"orders\"}", 1.0);
    let timers = place.rows("orders.db", "SELECT count(*) FROM timers").remove(0).parse().expect("a number");
    watched.until("purefold_timers", timers);
    assert!(timers >= 12.0, "each order has one: {timers}");
    assert_eq!(figure("purefold_store_down"), 0.0);
    assert_eq!(figure("purefold_source_lag_bytes"), 0.0, "all of the file was read");
    assert_eq!(figure("purefold_parked_entities{workflow=\"orders\"}"), 0.0);

    // An effect that does not work does not keep the host from taking events, and is named.
    let (status, text) = watched.get("/readyz");
    let ready: Value = serde_json::from_str(&text).expect("readiness is JSON");
    assert_eq!((status, &ready["ready"]), (200, &Value::Bool(true)), "{text}");
    let degraded = ready["degraded"].as_array().expect("a list");
    assert!(degraded.iter().any(|what| what.as_str().is_some_and(|what| what.starts_with("effect payments of orders"))), "{text}");
    assert_eq!(watched.get("/nothing").0, 404);

    // What an operator has paused takes no events.
    place.ask("pause", &["--reason", "a look around"]).well();
    watched.until("purefold_workflow_paused{workflow=\"orders\"}", 1.0);
    let (status, text) = watched.get("/readyz");
    assert!(status == 503 && text.contains("workflow orders is paused"), "{status} {text}");
    // More than is read ahead: the rest stays in the file.
    place.append((0..20_000).map(|_| "no event at all".repeat(20)));
    let begun = std::time::Instant::now();
    while watched.figure("purefold_source_lag_bytes").is_none_or(|lag| lag < 1.0) {
        assert!(begun.elapsed().as_secs() < 60, "the lag does not grow");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_admin_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let place = Place::registration();
    place.stream([""; 0]);
    let done: crate::program::Done =
        place.running(&["--until-idle", "--admin", &address]).output().expect("purefold can be started").into();
    let done = done.exits(3);
    assert!(done.err.contains(&address) && done.err.contains("--admin"), "{}", done.err);
    assert!(!place.path("registration.db").exists(), "nothing was begun");
}
