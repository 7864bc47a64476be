//! Hosts that share a group and a store: what one of them reads, another may have to decide.

use std::time::Instant;

use purefold_services::Kind;
use serde_json::Value;

use super::group::until_it_reads;
use super::{Host, PATIENCE, STRUCTURED, Stream, announcement};
use crate::backends::shared;
use crate::store::Database;

/// Neither the data alone nor an event of a type that nobody names says what it means: only the topic does, and the host
/// that owns the entity has not read it from there.
#[test]
fn what_only_its_topic_explains_is_understood_by_the_host_that_it_is_passed_on_to() {
    const NODES: u32 = 80;
    let stream = Stream::new(4);
    let mut place = stream.place("");
    place.mend("[inputs]\n", &format!("[inputs]\n\"{}\" = \"introspected\"\n", stream.topic));
    place.keep_journal_in(Database::at(&shared(Kind::Postgres)));
    // A file has one writer: each host publishes to its own.
    place.mend("\"events.jsonl\"", "\"${PUBLISHED}\"");
    let hosts = ["one.jsonl", "two.jsonl"].map(|file| {
        place.variable("PUBLISHED", file);
        Host::start(&place)
    });
    for host in &hosts {
        until_it_reads(host, &stream, |partitions| partitions == 2);
    }
    let begun = Instant::now();
    let owners = "SELECT count(DISTINCT shards.epoch) FROM shards JOIN hosts ON hosts.epoch = shards.epoch";
    while place.journal().number(owners) < 2 {
        assert!(begun.elapsed() < PATIENCE, "both own entities");
        std::thread::sleep(super::LOOK_EVERY);
    }
    for number in 0..NODES {
        let mut event: Value = serde_json::from_str(&announcement(number)).unwrap();
        // By a key that has nothing to do with the entity.
        let key = format!("k-{}", number % 9);
        if number % 2 == 0 {
            stream.send(&key, &[], Some(&event["data"].to_string()));
        } else {
            event["type"] = "something.else".into();
            stream.send(&key, STRUCTURED, Some(&event.to_string()));
        }
    }
    stream.flush();
    let decided = "SELECT count(*) FROM journal WHERE kind = 'decided' AND event_hash IS NOT NULL";
    while place.journal().number(decided) < u64::from(NODES) {
        assert!(begun.elapsed() < PATIENCE, "{} decided\n{}", place.journal().number(decided), place.ask("status", &[]).out);
        std::thread::sleep(super::LOOK_EVERY);
    }
    for host in hosts {
        host.stop();
    }
    assert_eq!(place.journal().number(decided), u64::from(NODES));
    assert_eq!(place.journal().number("SELECT count(DISTINCT event_id) FROM journal WHERE event_hash IS NOT NULL"), u64::from(NODES));
    assert_eq!(place.journal().number("SELECT count(*) FROM dead_letters"), 0);
    // An event of data alone is called by its place, topic/partition/offset; each partition had one reader.
    let passed_on = "SELECT count(*) FROM (SELECT split_part(event_id, '/', 2) FROM journal \
                     WHERE event_id LIKE '%/%/%' AND kind = 'decided' GROUP BY 1 HAVING count(DISTINCT row >> 40) > 1) AS of_both";
    assert!(place.journal().number(passed_on) > 0, "records of one partition were decided by two hosts");
    place.verifies();
}
