//! From a topic to decisions, and on from the stored position.

use super::{Host, Stream, announcement, assert_decided_once, decided, positions, run};
use crate::place::Place;

#[test]
fn a_topic_is_read_to_its_end_and_on_from_there() {
    let stream = Stream::new(3);
    stream.announce(0..40);
    let place = stream.place("");
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!((&summary["events"], &summary["accepted"]), (&40.into(), &summary["accepted"]));
    assert_decided_once(&place, 0..40);
    let ends: u64 = positions(&place).iter().map(|row| row.split(" | ").nth(1).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(ends, 40, "{:?}", positions(&place));

    stream.announce(40..60);
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!(summary["events"], 20, "what was read is not read again");
    assert_decided_once(&place, 0..60);
}

#[test]
fn the_groups_own_offsets_are_a_mirror_and_never_read() {
    let stream = Stream::new(1);
    stream.announce(0..10);
    let place = stream.place("");
    let mut host = Host::start(&place);
    host.until_known(&place, 10);
    let begun = std::time::Instant::now();
    while stream.committed(0) != Some(10) {
        assert!(begun.elapsed() < super::PATIENCE, "{:?}", stream.committed(0));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    host.stop();
    // Somebody sets them: nothing comes of it.
    stream.commit(0, 3);
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!(summary["events"], 0);
    assert_decided_once(&place, 0..10);
}

#[test]
fn the_status_says_how_far_behind_each_partition_is() {
    let stream = Stream::new(1);
    stream.announce(0..10);
    let mut place = stream.place("");
    run(&place).well();
    let source = |place: &Place| place.ask("status", &["--json"]).well().json().remove(0)["sources"][0].clone();
    let told = |place: &Place| place.ask("status", &[]).well();
    assert_eq!((&source(&place)["position"], &source(&place)["lag"]), (&10.into(), &0.into()));
    stream.announce(10..17);
    assert_eq!((&source(&place)["position"], &source(&place)["lag"]), (&10.into(), &7.into()));
    let line = format!("{}/0: at offset 10, 7 behind, 0 duplicates", stream.topic);
    assert!(told(&place).out.contains(&line), "{}", told(&place).out);
    // Brokers that are away keep nothing else from being shown.
    place.variable("BROKERS", "127.0.0.1:1");
    assert_eq!((&source(&place)["position"], &source(&place)["lag"]), (&10.into(), &serde_json::Value::Null));
    let told = told(&place);
    assert!(told.out.contains("at offset 10, how far behind is not known"), "{}", told.out);
    assert!(told.err.contains("the brokers do not tell where the partitions end"), "{}", told.err);
}

#[test]
fn an_event_that_comes_again_is_a_duplicate() {
    let stream = Stream::new(2);
    stream.announce(0..5);
    stream.announce(0..5);
    let place = stream.place("");
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!((&summary["events"], &summary["duplicates"]), (&10.into(), &5.into()));
    stream.announce(3..6);
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!((&summary["events"], &summary["duplicates"]), (&3.into(), &2.into()));
    assert_decided_once(&place, 0..6);
}

#[test]
fn killed_under_load_nothing_is_lost_and_nothing_repeated() {
    const NODES: u32 = 3_000;
    let stream = Stream::new(4);
    let place = stream.place(", session-timeout = \"6s\", instance = \"one\"");
    stream.announce(0..NODES / 2);
    let mut killed = 0;
    for share in [200, 900, 1_400] {
        let mut host = Host::start(&place);
        host.until_known(&place, share);
        host.kill();
        killed += 1;
        if killed == 2 {
            stream.announce(NODES / 2..NODES);
        }
    }
    let mut host = Host::start(&place);
    host.until_known(&place, NODES as usize);
    host.stop();
    assert_decided_once(&place, 0..NODES);
}

#[test]
fn a_new_workflow_may_begin_with_what_comes() {
    let stream = Stream::new(2);
    stream.announce(0..10);
    let place = stream.place(", from = \"end\"");
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!(summary["events"], 0);
    stream.announce(10..14);
    run(&place).well();
    assert_decided_once(&place, 10..14);
}

#[test]
fn the_clock_of_the_events_and_a_missing_topic_are_refused() {
    let stream = Stream::new(1);
    let place = stream.place("");
    let refused = place.ask("run", &["--clock", "event", "--until-idle"]).exits(2);
    assert!(refused.err.contains("no order among each other"), "{}", refused.err);
    place.mend(&format!("topics = [\"{}\"]", stream.topic), "topics = [\"no-such-topic\"]");
    for command in ["run", "check"] {
        let refused = place.ask(command, &[]).exits(2);
        let told = format!("{}{}", refused.out, refused.err);
        assert!(told.contains("topic-missing") && told.contains("source.kafka.topics[0]"), "{told}");
    }
}

#[test]
fn how_far_it_is_is_told() {
    let stream = Stream::new(1);
    stream.announce(0..7);
    let place = stream.place("");
    let mut host = Host::start(&place);
    host.until_known(&place, 7);
    let lag = format!("purefold_source_records_behind{{topic=\"{}\",partition=\"0\"}}", stream.topic);
    host.running.until("everything is decided", || host_figure(&host.admin, &lag) == Some(0.0));
    assert_eq!(host.get("/readyz").0, 200);
    assert_eq!(host.figure("purefold_source_down"), Some(0.0));
    let name = format!("{}/0", stream.topic);
    let status = place.ask("status", &[]).well().out;
    assert!(status.contains(&format!("{name}: at offset 7")), "{status}");
    stream.event(&announcement(7));
    stream.flush();
    host.until_known(&place, 8);
    let listed = place.ask("source", &["list", "--json"]).well().json().pop().unwrap();
    assert_eq!((&listed["position"], &listed["end"], &listed["lag"]), (&8.into(), &8.into(), &0.into()), "{listed}");
    host.stop();
    assert_eq!(decided(&place).len(), 8);
}

fn host_figure(admin: &std::net::SocketAddr, sample: &str) -> Option<f64> {
    let mut client = crate::client::Client::connect(*admin).ok()?;
    client.send("GET", "/metrics", &[], "").ok()?;
    let body = client.receive().ok()?.body;
    body.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}
