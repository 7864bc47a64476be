//! Brokers that hang, die and come back; an engine that is slower than the topic.

use std::time::{Duration, Instant};

use purefold_nodes as nodes;
use purefold_nodes::random::Random;

use super::{Host, PATIENCE, STORE, Stream, assert_decided_once, own_broker};
use crate::tables::number;
use crate::wire::now;

#[track_caller]
fn until_ready(host: &Host, ready: bool) -> String {
    let begun = Instant::now();
    loop {
        let (status, told) = host.get("/readyz");
        if (status == 200) == ready {
            return told;
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {told}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn brokers_that_hang_or_restart_are_told_of_and_waited_for() {
    let mut kafka = own_broker();
    let stream = Stream::at(kafka.address(), 2);
    let place = stream.place(", session-timeout = \"6s\"");
    stream.announce(0..20);
    let mut host = Host::start(&place);
    host.until_known(&place, 20);
    until_ready(&host, true);
    kafka.pause().unwrap();
    let told = until_ready(&host, false);
    assert!(told.contains("the Kafka brokers do not answer"), "{told}");
    kafka.resume().unwrap();
    until_ready(&host, true);
    stream.announce(20..40);
    host.until_known(&place, 40);
    kafka.kill().unwrap();
    until_ready(&host, false);
    kafka.start_again().unwrap();
    until_ready(&host, true);
    stream.announce(40..60);
    host.until_known(&place, 60);
    let told = host.stop();
    assert_eq!(told.matches("do not answer").count(), 2, "one line for each outage: {told}");
    assert_decided_once(&place, 0..60);
}

#[test]
fn brokers_that_are_away_at_the_start_keep_nothing_else_from_running() {
    let mut kafka = own_broker();
    let stream = Stream::at(kafka.address(), 1);
    stream.announce(0..3);
    let place = stream.place("");
    kafka.stop().unwrap();
    let mut host = Host::start(&place);
    until_ready(&host, false);
    place.ask("pause", &["--effect", "events", "--reason", "asked while Kafka is away"]).well();
    kafka.start_again().unwrap();
    host.until_known(&place, 3);
    until_ready(&host, true);
    host.stop();
    assert_decided_once(&place, 0..3);
}

/// The brokers are away for longer than a deadline and `timer-wait` together. Whoever could not send meanwhile is alive; who is
/// silent after that is not.
#[test]
fn deadlines_wait_for_brokers_that_are_away_and_for_what_could_not_be_sent() {
    // As it is where the manifest says nothing: it bears that the group is joined again.
    const TIMER_WAIT: u64 = 30_000_000;
    let mut kafka = own_broker();
    let stream = Stream::at(kafka.address(), 1);
    let place = stream.place(", session-timeout = \"6s\"");
    let mut random = Random::new(12);
    let mut both = [(); 2].map(|()| nodes::Node::of_kind("effect", now(), &mut random));
    let send = |message: nodes::Message| stream.event(&message.structured(message.kind).unwrap());
    let correlation = random.uuid();
    for node in &mut both {
        send(node.announce(now(), Some(&correlation)).unwrap());
        send(node.ack(now(), &correlation).unwrap());
    }
    let mut host = Host::start(&place);
    let journal = place.path(STORE);
    let of_phase = |phase: &str| number(&journal, &format!("SELECT count(*) FROM states WHERE json_extract(state, '$.phase') = '{phase}'"));
    host.running.until("that they are active", || of_phase("active") == 2);
    // They are alive until 90 seconds after what their clocks say: for ten more.
    let behind = now() - 80_000_000;
    for node in &mut both {
        send(node.heartbeat(behind).unwrap());
    }
    let due = behind + 90_000_001;
    host.running.until("the deadlines", || number(&journal, &format!("SELECT count(*) FROM timers WHERE due = {due}")) == 2);
    kafka.stop().unwrap();
    until_ready(&host, false);
    while now() < due + TIMER_WAIT + 3_000_000 {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(of_phase("active"), 2, "nobody knows what they could not send");
    kafka.start_again().unwrap();
    send(both[0].heartbeat(now()).unwrap());
    stream.flush();
    host.running.until("that the silent one expires", || of_phase("liveness_expired") > 0);
    assert_eq!(place.state(STORE, &both[0].id)["phase"], "active");
    assert_eq!(place.state(STORE, &both[1].id)["phase"], "liveness_expired");
    host.stop();
    place.verifies();
}

/// The workflow is paused while nodes announce themselves: nothing is taken, and the topic waits where it is. The host stays a
/// member and goes on when it may.
#[test]
fn an_engine_that_takes_nothing_stays_a_member_and_holds_little() {
    const NODES: u32 = 12_000;
    let stream = Stream::new(2);
    let place = stream.place(", session-timeout = \"6s\", prefetch-bytes = 1048576");
    stream.announce(0..1);
    let mut host = Host::start(&place);
    host.until_known(&place, 1);
    place.ask("pause", &[]).well();
    stream.announce(1..NODES);
    // Nothing more is taken for longer than a session lasts.
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(host.figure("purefold_events_total{kind=\"taken\"}"), Some(1.0));
    assert_eq!(host.figure("purefold_source_rebalances_total"), Some(1.0), "it was a member all the time");
    assert_eq!(host.get("/healthz").0, 200);
    assert!(host.figure("purefold_backlog").is_some_and(|held| held < 8_192.0));
    assert_eq!(host.figure("purefold_source_paused"), Some(1.0), "nothing more is fetched");
    place.ask("resume", &[]).well();
    host.until_known(&place, NODES as usize);
    assert_eq!(host.figure("purefold_source_paused"), Some(0.0));
    host.stop();
    assert_decided_once(&place, 0..NODES);
}
