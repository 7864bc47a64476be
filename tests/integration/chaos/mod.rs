//! Hosts that are killed, ended and stood still, a broker, a database and a catalogue that are taken away, all of it at random from a
//! seed and under load. What is left agrees with a model that follows each node's history on what was sent: nothing is missing,
//! nothing contradicts anything, and nothing is there twice but published events, under their ids.

mod chronicle;
mod disasters;
mod history;
mod hosts;
mod load;
mod model;
mod remains;
mod rest;
mod routes;
mod stage;
mod tampering;
mod topics;
mod verdict;

use std::time::{Duration, Instant};

use chronicle::Chronicle;
use disasters::Lengths;
use hosts::Host;
use stage::{Services, Stage};
use verdict::Verdict;

use crate::chance::{Chance, number_of};

/// Another seed is other disasters. `cargo xtask chaos` sets these.
const SEED_VARIABLE: &str = "PUREFOLD_CHAOS_SEED";
const SEED: u64 = 1;

/// How long it goes on.
const SECONDS_VARIABLE: &str = "PUREFOLD_CHAOS_SECONDS";
const SECONDS: u64 = 45;

/// In so long a run every kind of trouble is made.
const SECONDS_FOR_ALL: u64 = 600;

/// How many hosts share the work.
const HOSTS_VARIABLE: &str = "PUREFOLD_CHAOS_HOSTS";
const HOSTS: u64 = 3;

/// Events a second.
const RATE_VARIABLE: &str = "PUREFOLD_CHAOS_RATE";
const RATE: u64 = 60;

#[test]
fn whatever_happens_to_hosts_and_services_all_that_is_left_agrees() {
    let [seed, seconds, count, rate] = [(SEED_VARIABLE, SEED), (SECONDS_VARIABLE, SECONDS), (HOSTS_VARIABLE, HOSTS), (RATE_VARIABLE, RATE)]
        .map(|(variable, otherwise)| number_of(variable, otherwise));
    let mut services = Services::start();
    let stage = Stage::set(&services);
    let mut hosts: Vec<Host<'_>> = (1..=count).map(|number| Host::start(&stage, number)).collect();

    let over = Instant::now() + Duration::from_secs(seconds);
    // Each has a chance of its own, so that what happens to one does not hang on how fast the others are.
    let mut chances = Chance::new(seed);
    let mut chance = || Chance::new(chances.below(u64::MAX));
    let (mut of_load, mut of_services) = (chance(), chance());
    let lengths = Lengths { pause: (seconds / 20).clamp(4, 25), gone: (seconds / 4).clamp(8, 60) };
    let sent = std::thread::scope(|scope| {
        for host in &mut hosts {
            let mut chance = chance();
            scope.spawn(move || host.suffer(&mut chance, lengths.pause * 2, over));
        }
        let (services, chronicle) = (&mut services, &stage.chronicle);
        scope.spawn(move || services.suffer(&mut of_services, lengths, over, chronicle));
        load::live(&stage.brokers, rate, &mut of_load, over)
    });
    stage.chronicle.tell(format!("over: {} nodes sent {} events", sent.nodes, sent.ids.len()));

    let redriven = rest::come_to_rest(&stage, &mut hosts);
    drop(hosts);
    all_was_tried(&stage.chronicle, seconds);
    let verdict = Verdict::reach(&stage, &sent, redriven);
    stage.chronicle.tell(verdict.line());
    verdict.holds(seed, &stage);
    tampering::is_found(&stage, &sent);
}

/// Trouble that was not made proves nothing: in a long run every kind must have been, in a short one some of hosts and of services.
fn all_was_tried(chronicle: &Chronicle, seconds: u64) {
    let troubles = chronicle.troubles();
    let told: Vec<String> = troubles.iter().map(|(kind, count)| format!("{kind} {count} times")).collect();
    chronicle.tell(told.join(", "));
    let of_hosts = [hosts::KILLED, hosts::ENDED, hosts::STOOD_STILL];
    let of_services = disasters::ALL.map(disasters::Disaster::name);
    let missing = |kinds: &[&'static str]| kinds.iter().filter(|kind| !troubles.contains_key(*kind)).copied().collect::<Vec<_>>();
    for kinds in [&of_hosts[..], &of_services] {
        let missing = missing(kinds);
        let too_few = if seconds >= SECONDS_FOR_ALL { !missing.is_empty() } else { missing.len() == kinds.len() };
        if too_few {
            chronicle.fault(format!("in {seconds} s there was no {}", missing.join(", no ")));
        }
    }
}
