//! The consumer group: partitions go to others and come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::Value;

use super::{Host, PATIENCE, Stream, assert_decided_once, decided};

/// Another member of the group, which reads what it is given and commits nothing.
struct Other {
    stop: Arc<AtomicBool>,
    owns: Arc<AtomicBool>,
    /// How often it was given or lost partitions.
    changes: Arc<AtomicUsize>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Other {
    fn join(stream: &Stream) -> Other {
        Other::join_by(stream, &[("partition.assignment.strategy", "cooperative-sticky"), ("session.timeout.ms", "6000")])
    }

    fn join_by(stream: &Stream, protocol: &[(&str, &str)]) -> Other {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &stream.brokers).set("group.id", &stream.topic);
        config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        for (name, value) in protocol {
            config.set(*name, *value);
        }
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&stream.topic]).unwrap();
        let (stop, owns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let changes = Arc::new(AtomicUsize::new(0));
        let (is_stopped, tells, counts) = (stop.clone(), owns.clone(), changes.clone());
        let thread = std::thread::spawn(move || {
            let mut read = BTreeSet::new();
            let mut before = 0;
            while !is_stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
                    let event: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
                    read.insert(event["id"].as_str().unwrap().to_owned());
                }
                let count = consumer.assignment().unwrap().count();
                tells.store(count > 0, Ordering::Relaxed);
                counts.fetch_add(usize::from(std::mem::replace(&mut before, count) != count), Ordering::Relaxed);
            }
            read
        });
        Other { stop, owns, changes, thread }
    }

    #[track_caller]
    fn until_it_owns_something(&self) {
        let begun = Instant::now();
        while !self.owns.load(Ordering::Relaxed) {
            assert!(begun.elapsed() < PATIENCE, "the other member is given partitions");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn leave(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Waits until the number of partitions that the host reads is as told.
#[track_caller]
pub(super) fn until_it_reads(host: &Host, stream: &Stream, is_it: impl Fn(usize) -> bool) {
    let position = format!("purefold_source_position{{topic=\"{}\",", stream.topic);
    let begun = Instant::now();
    while !is_it(host.get("/metrics").1.lines().filter(|line| line.starts_with(&position)).count()) {
        assert!(begun.elapsed() < PATIENCE, "{}", host.get("/metrics").1);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What another member read meanwhile is read again by this host, since that committed nothing: its position in the store
/// is what counts, so nothing is lost, and nothing is decided twice.
fn come_and_go_under_load(nodes: u32, settings: &str, join: impl Fn(&Stream) -> Other) {
    let stream = Stream::new(6);
    let place = stream.place(settings);
    let mut host = Host::start(&place);
    std::thread::scope(|scope| {
        let stream = &stream;
        scope.spawn(move || {
            for begin in (0..nodes).step_by(50) {
                stream.announce(begin..begin + 50);
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        for _ in 0..3 {
            until_it_reads(&host, stream, |partitions| partitions == 6);
            let other = join(stream);
            other.until_it_owns_something();
            until_it_reads(&host, stream, |partitions| partitions < 6);
            std::thread::sleep(Duration::from_millis(300));
            other.leave();
        }
    });
    host.until_known(&place, nodes as usize);
    let rebalances = host.figure("purefold_source_rebalances_total").unwrap();
    assert!(rebalances >= 7.0, "{rebalances}");
    // Counted on from engine to engine.
    host.until_figure("purefold_events_total{kind=\"taken\"}", |taken| taken.is_some_and(|taken| taken >= f64::from(nodes)));
    host.stop();
    assert_decided_once(&place, 0..nodes);
}

#[test]
fn partitions_that_go_and_come_back_under_load_lose_and_repeat_nothing() {
    come_and_go_under_load(4_000, "", Other::join);
}

#[test]
fn partitions_that_brokers_take_and_give_back_under_load_lose_and_repeat_nothing() {
    come_and_go_under_load(2_000, ", protocol = \"consumer\"", |stream| Other::join_by(stream, &[("group.protocol", "consumer")]));
}

#[test]
fn what_another_member_has_is_left_to_it() {
    let stream = Stream::new(2);
    let other = Other::join(&stream);
    other.until_it_owns_something();
    let place = stream.place("");
    let mut host = Host::start(&place);
    until_it_reads(&host, &stream, |partitions| partitions == 1);
    stream.announce(0..60);
    let mut mine = 0;
    host.running.until("both have theirs", || {
        let known = decided(&place).len();
        std::mem::replace(&mut mine, known) == known && known > 0
    });
    let read = other.leave();
    assert!(!read.is_empty() && read.len() < 60, "{}", read.len());
    // It has left: the rest is this host's.
    host.until_known(&place, 60);
    host.stop();
    assert_decided_once(&place, 0..60);
}

#[test]
fn the_brokers_may_say_who_reads_what() {
    let stream = Stream::new(3);
    stream.announce(0..30);
    let place = stream.place(", protocol = \"consumer\"");
    let mut host = Host::start(&place);
    host.until_known(&place, 30);
    host.stop();
    super::run(&place).well();
    assert_decided_once(&place, 0..30);
}

/// Without a name of its own, a host that was killed has to wait until the brokers give up the member that it was.
#[test]
fn a_member_with_a_name_is_back_at_once_and_nobody_else_is_bothered() {
    const SESSION: Duration = Duration::from_secs(40);
    let stream = Stream::new(4);
    let other = Other::join(&stream);
    other.until_it_owns_something();
    let place = stream.place(&format!(", session-timeout = \"{}s\", instance = \"one\"", SESSION.as_secs()));
    let host = Host::start(&place);
    until_it_reads(&host, &stream, |partitions| partitions == 2);
    let before = other.changes.load(Ordering::Relaxed);
    let begun = Instant::now();
    host.kill();
    let host = Host::start(&place);
    until_it_reads(&host, &stream, |partitions| partitions == 2);
    stream.announce(100..200);
    host.until_figure("purefold_events_total{kind=\"taken\"}", |taken| taken.is_some_and(|taken| taken > 0.0));
    assert!(begun.elapsed() < SESSION, "{:?}", begun.elapsed());
    assert_eq!(other.changes.load(Ordering::Relaxed), before, "the other one's partitions stay as they are");
    host.stop();
    other.leave();
}

#[test]
fn two_members_of_one_name_are_told_apart() {
    let stream = Stream::new(1);
    let [first, second] = [(); 2].map(|()| stream.place(", instance = \"one\""));
    let mut host = Host::start(&first);
    stream.announce(0..1);
    host.until_known(&first, 1);
    let mut other = Host::start(&second);
    other.until_known(&second, 1);
    let done = host.running.end();
    assert_eq!(done.code, Some(2));
    other.stop();
}

#[test]
fn partitions_that_a_topic_gets_later_are_read_from_their_beginning() {
    let stream = Stream::new(1);
    let place = stream.place(", from = \"end\"");
    super::run(&place).well();
    stream.add_partitions(4);
    stream.announce(0..40);
    super::run(&place).well();
    assert_decided_once(&place, 0..40);
}
