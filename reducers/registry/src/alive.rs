//! Acknowledging and heartbeats, by the clock.

use core::time::Duration;

use purefold_guest::{Context, Instant, Timer, instant, uuid};

use crate::domain::{Ack, Heartbeat, Intent, Phase, State, Transition};
use crate::start;

const ACK: &str = "ack";
const BEAT: &str = "beat";

/// From a start to the first acknowledgement: the registration has been decided by then, unless much waits before it.
const FIRST_ACK_AFTER: Duration = Duration::from_secs(2);

/// From the first to the second, for a registration that was late. A node has thirty seconds in all.
const SECOND_ACK_AFTER: Duration = Duration::from_secs(18);

/// Between heartbeats: two of them may be lost before a node counts as dead.
const BEAT_EVERY: Duration = Duration::from_secs(30);

pub(crate) fn first_ack(now: Instant) -> Intent {
    timer(ACK, now, FIRST_ACK_AFTER)
}

pub(crate) fn next_beat(now: Instant) -> Intent {
    timer(BEAT, now, BEAT_EVERY)
}

/// A timer fell due. One of another name changes nothing.
pub(crate) fn due(context: &Context, state: State, timer: &Timer) -> Transition {
    match timer.name.as_str() {
        ACK => acknowledge(context, state),
        BEAT => beat(context, state),
        _ => Transition { state: Some(state), intents: Vec::new() },
    }
}

fn acknowledge(context: &Context, state: State) -> Transition {
    let mut intents = vec![Intent::Ack(Ack {
        command_id: uuid::from_seed(context.seed),
        node_id: state.node_id,
        correlation_id: state.start_id,
        timestamp: context.now,
    })];
    if state.phase == Phase::Announced {
        intents.push(timer(ACK, context.now, SECOND_ACK_AFTER));
    }
    Transition { state: Some(State { phase: Phase::Acknowledged, ..state }), intents }
}

fn beat(context: &Context, state: State) -> Transition {
    let up = Duration::from_micros(context.now.saturating_sub(state.started_at));
    let intents = vec![
        Intent::Heartbeat(Heartbeat {
            node_id: state.node_id,
            node_type: start::NODE_TYPE,
            uptime_seconds: up.as_secs_f64(),
            correlation_id: state.start_id,
            timestamp: context.now,
        }),
        next_beat(context.now),
    ];
    Transition { state: Some(state), intents }
}

fn timer(name: &str, now: Instant, after: Duration) -> Intent {
    Intent::Timer(Timer { name: name.to_owned(), due: instant::after(now, after) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Input, Rejection};
    use crate::fixture::{NODE, NOW, SECOND, SEEDED, START, decide_at, names, running};

    fn due(name: &str) -> Input {
        Input::Timer(Timer { name: name.to_owned(), due: NOW })
    }

    #[test]
    fn it_acknowledges_twice_and_no_more() {
        let first = decide_at(NOW, Some(running()), due("ack")).unwrap();
        let ack = Ack { command_id: SEEDED, node_id: NODE, correlation_id: START, timestamp: NOW };
        assert_eq!(first.intents, [Intent::Ack(ack), Intent::Timer(Timer { name: "ack".to_owned(), due: NOW + 18 * SECOND })]);
        let second = decide_at(NOW, first.state, due("ack")).unwrap();
        assert_eq!(names(&second.intents), ["ack"]);
        assert_eq!(second.state.unwrap().phase, Phase::Acknowledged);
    }

    #[test]
    fn a_heartbeat_tells_how_long_it_is_up_and_is_followed_by_the_next() {
        let beat = decide_at(NOW, Some(running()), due("beat")).unwrap();
        let [Intent::Heartbeat(heartbeat), Intent::Timer(next)] = &beat.intents[..] else { panic!("{:?}", beat.intents) };
        assert_eq!((heartbeat.node_id, heartbeat.uptime_seconds, heartbeat.timestamp), (NODE, 1.0, NOW));
        assert_eq!((next.name.as_str(), next.due), ("beat", NOW + 30 * SECOND));
        assert_eq!(beat.state, Some(running()));
    }

    #[test]
    fn a_clock_that_went_back_is_no_uptime() {
        let early = decide_at(NOW - 5 * SECOND, Some(running()), due("beat")).unwrap();
        let [Intent::Heartbeat(heartbeat), _] = &early.intents[..] else { panic!("{:?}", early.intents) };
        assert_eq!(heartbeat.uptime_seconds, 0.0);
    }

    #[test]
    fn other_timers_change_nothing_and_none_come_before_a_start() {
        let other = decide_at(NOW, Some(running()), due("tea")).unwrap();
        assert_eq!((other.state, other.intents.len()), (Some(running()), 0));
        assert_eq!(decide_at(NOW, None, due("ack")), Err(Rejection::NotStarted));
    }
}
