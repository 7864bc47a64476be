//! Hosts that are started, stopped, killed and stood still at random under load.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Host, owned, owners, shared, until};
use crate::chance::Chance;
use crate::faults::poke;
use crate::place::Place;

/// A host stands still for longer than others believe it alive.
const STANDSTILL: Duration = Duration::from_secs(14);

/// Sends an event to one of the hosts until one has it. Gives whether it came to be answered.
fn send(hosts: &[Option<Host>], chance: &mut Chance, event: &str) -> bool {
    for _ in 0..200 {
        let at = usize::try_from(chance.below(hosts.len() as u64)).unwrap();
        let answer = hosts[at].as_ref().and_then(Host::client).and_then(|mut client| {
            client.patience(Duration::from_secs(2));
            client.event("/", event).ok()
        });
        if answer.is_some_and(|answer| answer.status == 200) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Everything that was sent is decided once, and the journal is sound.
fn at_rest(place: &Place, sent: &BTreeSet<String>) {
    let journal = place.journal();
    until("rest", || {
        let open = "SELECT (SELECT count(*) FROM forwarded) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deliveries)";
        journal.number(open) == 0
    });
    let decided = journal.rows("SELECT event_id FROM journal WHERE kind = 'decided' AND event_hash IS NOT NULL ORDER BY event_id");
    let once: BTreeSet<String> = decided.iter().cloned().collect();
    assert_eq!(decided.len(), once.len(), "nothing is decided twice");
    assert_eq!(&once, sent, "nothing is missing");
    let sequences = "SELECT count(*) FROM (SELECT entity, sequence FROM journal WHERE kind = 'decided' GROUP BY entity, sequence \
                     HAVING count(*) > 1) AS twice";
    assert_eq!(journal.number(sequences), 0);
    place.verifies();
}

#[test]
fn three_hosts_share_the_work_and_pass_it_on() {
    let place = shared();
    let mut hosts: Vec<Option<Host>> = (0..3).map(|_| Some(Host::start(&place))).collect();
    until("that all shards are owned", || owned(&place) == 960);
    until("that three hosts own some", || owners(&place) == 3);
    let (mut chance, mut sent) = (Chance::new(3), BTreeSet::new());
    for number in 0..120 {
        let entity = format!("node-{}", number % 17);
        assert!(send(&hosts, &mut chance, &poke(&entity, number, "none")));
        sent.insert(format!("{entity}-{number}"));
    }
    // Sent once more, to whichever host: it is known where it is decided.
    assert!(send(&hosts, &mut chance, &poke("node-0", 0, "none")));
    at_rest(&place, &sent);
    let epochs = place.journal().number("SELECT count(DISTINCT row >> 40) FROM journal WHERE kind = 'decided'");
    assert!(epochs >= 3, "each has decided: {epochs}");

    // One leaves in good order, one is killed: the third has all.
    hosts[0].take().unwrap().end().well();
    hosts[1].take().unwrap().running.kill();
    until("that the last one owns all", || {
        owned(&place) == 960 && place.journal().number("SELECT count(*) FROM hosts WHERE epoch IS NOT NULL") == 1
    });
    for number in 120..150 {
        let entity = format!("node-{}", number % 17);
        assert!(send(&hosts, &mut chance, &poke(&entity, number, "none")));
        sent.insert(format!("{entity}-{number}"));
    }
    at_rest(&place, &sent);
    hosts[2].take().unwrap().end().well();
}

#[test]
fn a_host_that_stood_still_writes_nothing_when_it_wakes() {
    let place = shared();
    let mut hosts: Vec<Option<Host>> = (0..2).map(|_| Some(Host::start(&place))).collect();
    until("that both own shards", || owners(&place) == 2 && owned(&place) == 960);
    let (mut chance, mut sent) = (Chance::new(5), BTreeSet::new());
    for number in 0..60 {
        if number == 20 {
            hosts[1].as_mut().unwrap().signal("STOP");
            let slept = Instant::now();
            until("that the other one owns all", || {
                place.journal().number("SELECT max(count) FROM (SELECT count(*) FROM shards GROUP BY epoch) AS of") == 960
            });
            std::thread::sleep(STANDSTILL.saturating_sub(slept.elapsed()));
        }
        if number == 40 {
            hosts[1].as_mut().unwrap().signal("CONT");
        }
        let entity = format!("node-{}", number % 9);
        // Whoever stands still does not answer.
        let those = if (20..40).contains(&number) { &hosts[..1] } else { &hosts[..] };
        assert!(send(those, &mut chance, &poke(&entity, number, "none")));
        sent.insert(format!("{entity}-{number}"));
    }
    at_rest(&place, &sent);
    let woken = hosts[1].take().unwrap();
    let told = woken.told();
    assert!(told.contains("overtaken") || told.contains("the lease was over"), "{told}");
    woken.end();
    hosts[0].take().unwrap().end().well();
}
