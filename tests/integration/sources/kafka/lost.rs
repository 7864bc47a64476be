//! Partitions that are not what was read before: they are refused, and said to be, until somebody sets their position.

use std::time::Duration;

use super::{Host, STORE, Stream, announcement, assert_decided_once, decided, positions, run};
use crate::place::Place;

/// Runs the topic to its end and asserts that a partition is refused.
#[track_caller]
fn refused(place: &Place, code: &str) -> String {
    let done = run(place).exits(2);
    assert!(done.err.contains(code) && done.err.contains("purefold source WORKFLOW reset"), "{}", done.err);
    done.err
}

#[track_caller]
fn reset(place: &Place, stream: &Stream, partition: &str, to: &str) -> String {
    place.ask("source", &["reset", "--topic", &stream.topic, "--partition", partition, "--to", to, "--reason", "a test"]).well().out
}

#[test]
fn a_topic_that_was_made_anew_is_not_read_as_the_one_before() {
    let stream = Stream::new(1);
    stream.announce(0..10);
    let place = stream.place("");
    run(&place).well();
    let before = positions(&place);
    // Shorter than before.
    stream.make_anew(1);
    stream.announce(10..14);
    let told = refused(&place, "source-truncated");
    assert!(told.contains(&format!("{}/0 was read up to offset 10, and ends at 4", stream.topic)), "{told}");
    // Longer than before: only what stands at the position tells.
    stream.announce(14..30);
    refused(&place, "source-replaced");
    assert_eq!(positions(&place), before, "nothing was read");
    let told = reset(&place, &stream, "0", "beginning");
    assert!(told.contains("read from offset 0 on (it was at 10)"), "{told}");
    run(&place).well();
    assert_decided_once(&place, 0..30);
    let act = place
        .rows(STORE, "SELECT kind, json_extract(input, '$.to'), json_extract(output, '$.reason') FROM journal WHERE kind = 'repositioned'");
    assert_eq!(act, ["repositioned | 0 | a test"]);
}

#[test]
fn plain_events_of_a_topic_made_anew_are_no_duplicates() {
    let stream = Stream::new(1);
    let data = |number: u32| serde_json::from_str::<serde_json::Value>(&announcement(number)).unwrap()["data"].to_string();
    let send = |nodes: std::ops::Range<u32>| {
        nodes.for_each(|number| stream.send("k", &[], Some(&data(number))));
        stream.flush();
    };
    send(0..3);
    let place = stream.place("");
    place.mend("[inputs]\n", &format!("[inputs]\n\"{}\" = \"introspected\"\n", stream.topic));
    run(&place).well();
    stream.make_anew(1);
    send(3..5);
    refused(&place, "source-truncated");
    reset(&place, &stream, "0", "beginning");
    let summary = run(&place).well().json().pop().unwrap();
    assert_eq!((&summary["events"], &summary["duplicates"]), (&2.into(), &0.into()));
    assert_eq!(decided(&place).len(), 5);
}

#[test]
fn records_that_were_removed_unread_are_missed() {
    let stream = Stream::new(1);
    stream.announce(0..4);
    let place = stream.place("");
    run(&place).well();
    stream.announce(4..10);
    // Up to the position nothing is lost.
    stream.remove_before(0, 4);
    stream.remove_before(0, 7);
    let told = refused(&place, "source-expired");
    assert!(told.contains("3 offsets were removed before they were read"), "{told}");
    reset(&place, &stream, "0", "7");
    run(&place).well();
    assert_eq!(decided(&place).len(), 7);
    let wrong = place.ask("source", &["reset", "--topic", &stream.topic, "--partition", "0", "--to", "99", "--reason", "a test"]);
    assert!(wrong.exits(2).err.contains("begins at 7 and ends at 10"));
}

#[test]
fn other_partitions_go_on_and_a_running_host_takes_the_new_position() {
    let stream = Stream::new(2);
    stream.announce(0..20);
    let place = stream.place("");
    run(&place).well();
    stream.announce(20..40);
    let gone = positions(&place)[1].split(" | ").nth(1).unwrap().parse::<i64>().unwrap() + 2;
    stream.remove_before(1, gone);
    let mut host = Host::start(&place);
    let refused = format!("purefold_source_refused{{topic=\"{}\",partition=\"1\"}}", stream.topic);
    host.until_figure(&refused, |figure| figure == Some(1.0));
    let (status, ready) = host.get("/readyz");
    assert!(status == 200 && ready.contains("source-expired"), "{ready}");
    let there = positions(&place)[0].split(" | ").nth(1).unwrap().parse::<usize>().unwrap();
    let left = 40 - 2 - usize::try_from(gone - 2).unwrap() - there;
    host.until_known(&place, 38 - left);
    let told =
        place.ask("source", &["reset", "--topic", &stream.topic, "--partition", "1", "--to", "beginning", "--reason", "a test"]).well();
    assert!(told.out.starts_with("set: "), "{}", told.out);
    host.until_known(&place, 38);
    assert_eq!(host.figure(&refused), Some(0.0));
    let told = host.stop();
    assert_eq!(told.matches("source-expired:").count(), 1, "{told}");
    place.verifies();
    let unknown = place.ask("source", &["reset", "--topic", &stream.topic, "--partition", "7", "--to", "end", "--reason", "a test"]);
    assert!(unknown.exits(3).err.contains("have no partition"));
}

/// Within this time a running host looks where its partitions end.
const LOOK_TIME: Duration = Duration::from_millis(600);

/// While a host runs: the same, without a restart, whether the new topic is shorter than what was read or has grown past it before
/// its partitions are compared.
#[test]
fn a_topic_that_is_made_anew_under_a_running_host_is_noticed() {
    for (new, code) in [(3, "source-truncated"), (13, "source-replaced"), (60, "source-replaced")] {
        let stream = Stream::new(1);
        stream.announce(0..10);
        let place = stream.place("");
        let mut host = Host::start(&place);
        host.until_known(&place, 10);
        stream.make_anew(1);
        std::thread::sleep(LOOK_TIME);
        stream.announce(10..10 + new);
        let refused = format!("purefold_source_refused{{topic=\"{}\",partition=\"0\"}}", stream.topic);
        host.until_figure(&refused, |figure| figure == Some(1.0));
        let (_, ready) = host.get("/readyz");
        // How far the new one had grown when it was looked at is chance.
        assert!(ready.contains(code) || new > 3 && ready.contains("source-truncated"), "{new}: {ready}");
        reset(&place, &stream, "0", "beginning");
        host.until_known(&place, 10 + usize::try_from(new).unwrap());
        host.stop();
        assert_decided_once(&place, 0..10 + new);
        place.verifies();
    }
}
