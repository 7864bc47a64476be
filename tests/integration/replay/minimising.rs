//! `purefold minimise`: the fewest inputs that show something, as a scenario that `purefold test` plays.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{SILENT, demo};
use crate::faults::poke;
use crate::place::Place;
use crate::program::Done;

/// Minimises, and plays what is left. The place may be one that other tests minimise in at the same time.
fn minimal(place: &Place, arguments: &[&str]) -> (Done, String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let file = place.path(&format!("minimal-{}.yaml", COUNT.fetch_add(1, Ordering::Relaxed)));
    let file = file.to_str().expect("a path of text");
    let done = place.ask("minimise", &[arguments, &["--output", file, "--json"]].concat()).well();
    place.ask("test", &[file]).well();
    (done, std::fs::read_to_string(file).unwrap())
}

fn kept(done: &Done) -> (u64, u64) {
    let line = &done.json()[0];
    assert_eq!(line["minimal"], true);
    (line["kept"].as_u64().unwrap(), line["inputs"].as_u64().unwrap())
}

#[test]
fn what_does_not_matter_is_left_out() {
    let (done, scenario) = minimal(demo(), &[SILENT, "--intent", "deregister-service"]);
    assert_eq!(kept(&done), (3, 6), "{scenario}");
    assert!(!scenario.contains("answer:") && !scenario.contains("heartbeat"), "{scenario}");
    let (done, scenario) = minimal(demo(), &[SILENT, "--where", "phase == \"active\""]);
    assert_eq!(kept(&done), (2, 4), "{scenario}");
}

#[test]
fn an_outcome_that_matters_stays() {
    let (done, scenario) = minimal(demo(), &[SILENT, "--where", "dual == \"complete\""]);
    assert_eq!(kept(&done), (3, 3), "{scenario}");
    assert_eq!(scenario.matches("answer:").count(), 2, "{scenario}");
}

#[test]
fn a_fault_is_shown_by_one_event() {
    let place = Place::misbehaving();
    let events = (1..20).map(|n| poke("a", n, if n == 17 { "panic" } else { "none" }));
    place.stream(events);
    place.run_as_far_as_the_stream();
    let (done, scenario) = minimal(&place, &["a", "--fault", "trap"]);
    assert_eq!(kept(&done), (1, 17), "{scenario}");
}

#[test]
fn what_is_never_shown_is_told() {
    assert!(demo().ask("minimise", &[SILENT, "--intent", "registration-rejected"]).exits(1).err.contains("never shows it"));
    demo().ask("minimise", &[SILENT, "--intent", "nothing"]).exits(2);
    demo().ask("minimise", &[SILENT]).exits(2);
}
