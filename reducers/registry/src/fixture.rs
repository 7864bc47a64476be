//! What the tests begin with.

use purefold_guest::{Context, Instant, Uuid};

use crate::decide;
use crate::domain::{Input, Intent, Phase, Rejection, Started, State, Transition};

pub(crate) const SECOND: u64 = 1_000_000;
/// 2026-02-13T12:00:00Z
pub(crate) const NOW: Instant = 1_770_984_000 * SECOND;
pub(crate) const START: Uuid = (0x5555_5555_0000_4000, 0x8000_0000_0000_0001);
/// The seed of the tests' context in the layout of version 4.
pub(crate) const SEEDED: Uuid = (0x0123_4567_89ab_4def, 0x8fed_cba9_8765_4321);
/// The registry that the first start makes.
pub(crate) const NODE: Uuid = SEEDED;

/// One that was started a second ago.
pub(crate) fn running() -> State {
    State { node_id: NODE, phase: Phase::Announced, host: "one".to_owned(), start_id: START, started_at: NOW - SECOND }
}

pub(crate) fn started(start_id: Uuid) -> Input {
    Input::Started(Started {
        workflow: "registry".to_owned(),
        host: "one".to_owned(),
        started_at: NOW - SECOND,
        start_id,
        admin: Some("http://one:9100".to_owned()),
    })
}

pub(crate) fn decide_at(now: Instant, state: Option<State>, input: Input) -> Result<Transition, Rejection> {
    let context = Context {
        now,
        entity: "registry".to_owned(),
        sequence: 7,
        event_id: "start-1".to_owned(),
        correlation_id: "start-1".to_owned(),
        seed: (0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321),
    };
    decide(&context, state, input)
}

/// The intents' cases, and the names of timers.
pub(crate) fn names(intents: &[Intent]) -> Vec<String> {
    let name = |intent: &Intent| match intent {
        Intent::RequestIntrospection(_) => "request-introspection".to_owned(),
        Intent::Introspection(_) => "introspection".to_owned(),
        Intent::Ack(_) => "ack".to_owned(),
        Intent::Heartbeat(_) => "heartbeat".to_owned(),
        Intent::Timer(timer) => format!("timer {}", timer.name),
    };
    intents.iter().map(name).collect()
}
