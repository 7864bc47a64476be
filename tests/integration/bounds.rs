//! Memory stays within its bound however many events there are. A million events take a release build, and a run by hand:
//! `load nodes 100000` and `load heartbeats 100000 800000` make the stream.

use crate::place::{Place, Running};
use crate::wire::{NODE_TYPES, Node};

const ENTITIES: u32 = 5_000;
const EVENTS_EACH: u32 = 4;
const RESIDENT_MOST_KIB: u64 = 200 * 1024;

const CORRELATION: &str = "abababab-0000-4000-8000-000000000001";

#[test]
#[cfg(target_os = "linux")]
fn twenty_thousand_events_of_five_thousand_nodes_stay_within_200_mib() {
    let nodes: Vec<Node> = (0..ENTITIES).map(|number| Node::new(number, NODE_TYPES[number as usize % 4])).collect();
    let place = Place::registration();
    let spread = |number: usize| number as f64 / 1000.0;
    let each = nodes.iter().enumerate();
    let lines = (each.clone().map(|(n, node)| node.introspection(spread(n), CORRELATION)))
        .chain(each.clone().map(|(n, node)| node.ack(10.0 + spread(n), CORRELATION)))
        .chain(each.clone().map(|(n, node)| node.heartbeat(20.0 + spread(n))))
        .chain(each.map(|(n, node)| node.heartbeat(30.0 + spread(n))));
    place.stream(lines);

    let mut running = Running::start(place.running(&["--clock", "event", "--until-idle", "--json"]));
    let (status, mut most) = (format!("/proc/{}/status", running.child().id()), 0);
    while running.child().try_wait().expect("it can be waited for").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(peak.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let summary = running.end().well().json().pop().expect("a summary");
    assert_eq!(summary["events"], ENTITIES * EVENTS_EACH, "{summary}");
    eprintln!("{most} KiB at most; {summary}");
    assert!(most > 0, "the memory was never looked at");
    assert!(most < RESIDENT_MOST_KIB, "{most} KiB were resident; at most {RESIDENT_MOST_KIB} are allowed");
    assert_eq!(
        place.value("registration.db", "SELECT count(*) FROM states WHERE json_extract(state, '$.phase') = 'active'"),
        ENTITIES.to_string()
    );
}
