//! Heartbeats keep a node alive: they come at their interval, say what they should, cost little, and move its deadline.

use std::time::{Duration, Instant};

use purefold_nodes::event::{HEARTBEAT, instant};
use purefold_nodes::{Behaviour, Fleet, Form, Outgoing, Pace, Plan};
use serde_json::json;

use super::world::{World, at_this_moment, median, now, seconds};

/// What a heartbeat may take from being made to being with the brokers.
const OVERHEAD_MAX: Duration = Duration::from_millis(50);

/// How often the nodes of these tests beat: more often than in life, so that several cycles take seconds.
const EVERY: Duration = Duration::from_millis(400);

/// The times of a fleet's heartbeats, node by node, after so many of each.
fn beats(world: &World, nodes: usize, each: usize) -> Vec<Vec<u64>> {
    let pace = Pace { starts_within: Duration::ZERO, ack_after: Duration::ZERO, beat_every: EVERY, ..Pace::default() };
    let mut fleet = Fleet::new(&Plan { behaviours: vec![Behaviour::Steady; nodes], seed: world.seed(), pace }, now());
    let ids: Vec<String> = fleet.nodes().map(|node| node.id.clone()).collect();
    world.live(&mut fleet, "the heartbeats", |_| ids.iter().all(|id| world.heard(HEARTBEAT, id).len() >= each));
    let time = |text: &serde_json::Value| purefold_wit::instant::parse(text.as_str().unwrap()).unwrap();
    ids.iter().map(|id| world.heard(HEARTBEAT, id).iter().map(|beat| time(&beat.data["timestamp"])).collect()).collect()
}

fn intervals(times: &[u64]) -> Vec<Duration> {
    times.windows(2).map(|pair| Duration::from_micros(pair[1] - pair[0])).collect()
}

#[test]
fn a_node_beats_at_its_interval() {
    assert_eq!(Pace::default().beat_every, Duration::from_secs(30), "as nodes do where nothing else is said");
    let world = World::shared();
    let beats = beats(&world, 1, 4);
    let typical = median(intervals(&beats[0]));
    assert!(typical >= EVERY && typical < EVERY * 3 / 2, "{typical:?}");
}

#[test]
fn the_interval_stays_over_many_cycles_and_nodes() {
    let world = World::shared();
    let beats = beats(&world, 5, 8);
    for times in beats {
        let intervals = intervals(&times);
        assert!(intervals.iter().all(|interval| *interval >= EVERY), "none comes early: {intervals:?}");
        let all: Duration = intervals.iter().sum();
        let mean = all / u32::try_from(intervals.len()).unwrap();
        assert!(mean < EVERY * 3 / 2, "{mean:?} of {intervals:?}");
    }
}

#[test]
fn a_heartbeat_says_how_long_the_node_is_up_and_what_it_is_busy_with() {
    let world = World::shared();
    let mut node = world.node("effect");
    let at = now() + seconds(7);
    world.send(&node.heartbeat(at).unwrap());
    let beat = world.hears(HEARTBEAT, &node.id).data;
    assert_eq!((&beat["node_type"], &beat["timestamp"]), (&json!("effect"), &json!(instant(at))));
    let uptime = beat["uptime_seconds"].as_f64().unwrap();
    assert!((6.0..=8.0).contains(&uptime), "{beat}");
    assert!(beat["active_operations_count"].is_u64() && beat["memory_usage_mb"].is_f64() && beat["cpu_usage_percent"].is_f64(), "{beat}");
}

#[test]
fn a_heartbeat_costs_little() {
    let world = World::shared();
    let mut node = world.node("effect");
    let took = (0..15).map(|_| {
        let begun = Instant::now();
        let beat = node.heartbeat(now()).unwrap();
        world.send_all([Outgoing::Event(beat, Form::Binary)]);
        begun.elapsed()
    });
    let took = median(took.collect());
    let most = at_this_moment(OVERHEAD_MAX);
    assert!(took < most, "{took:?}, and {most:?} at most");
}

#[test]
fn a_heartbeat_moves_the_deadline_in_the_row() {
    let world = World::shared();
    let mut node = world.node("effect");
    world.activate(&mut node);
    let row = |column: &str| {
        let sql = format!(
            "SELECT (extract(epoch FROM {column}) * 1000000)::bigint::text FROM registration_projections WHERE entity_id = '{}'",
            node.id
        );
        world.texts(&sql).remove(0).parse::<u64>().unwrap()
    };
    let before = row("liveness_deadline");
    let at = now() + seconds(1);
    let mut beating = node.clone();
    world.send(&beating.heartbeat(at).unwrap());
    world.until("the new deadline", || row("liveness_deadline") != before);
    assert_eq!((row("last_heartbeat_at"), row("liveness_deadline")), (at, at + seconds(90)));
    // One that was overtaken does not shorten its life.
    world.send(&beating.heartbeat(at - seconds(1)).unwrap());
    world.until("that it was decided", || world.decisions(&node.id).last().is_some_and(|last| last == "heartbeat: accepted"));
    assert_eq!(row("liveness_deadline"), at + seconds(90));
}

#[test]
fn a_node_that_falls_silent_expires_and_leaves_the_catalogue() {
    let world = World::shared();
    let mut node = world.node("compute");
    world.activate(&mut node);
    // Its clock is behind: it is alive until 90 seconds after what it says, which is for two more.
    let at = now() - seconds(88);
    world.send(&node.heartbeat(at).unwrap());
    let expired = world.hears("onex.evt.platform.node-liveness-expired.v1", &node.id).data;
    assert_eq!((&expired["last_heartbeat_at"], &expired["deadline_at"]), (&json!(instant(at)), &json!(instant(at + seconds(90)))));
    world.until("the row", || world.phase(&node).as_deref() == Some("liveness_expired"));
    world.until("that it is taken out", || world.service(&node).is_none());
    assert!(now() >= at + seconds(90), "not before its time");
}
