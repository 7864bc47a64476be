//! A backend is down: the breaker, what it costs the intents, and that nobody else notices.

use std::time::Duration;

use super::world::{NEWS, NOTE, PRICE, Step, World};
use crate::engine::dispatch::BreakerState;
use crate::engine::dispatch::queue::Bounds;
use crate::engine::input::FailureKind;

const SOON: Duration = Duration::from_millis(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_lets_probes_through_and_closes() {
    let back = seconds(65);
    let mut world = World::new(&[("jsonl =", "breaker = { failures = 8, cooldown = \"10s\" }\njsonl =")], Bounds::STANDARD, move |seen| {
        (SOON, if seen.at < back { Step::NotDone } else { Step::Done })
    });
    let status = world.status(NEWS);
    assert_eq!((status.breaker(), status.last_error()), (BreakerState::Closed, None));
    for entity in 1..=20 {
        world.decide(entity, 1, &[NEWS]);
    }
    world.pass(seconds(1)).await;
    assert_eq!(status.breaker(), BreakerState::Open);
    assert_eq!(status.last_error().unwrap().as_str(), "not done: down");
    let at_first = world.attempts(NEWS).len();
    assert_eq!(at_first, 20, "all were under way when it opened, and none starts after");
    world.pass(seconds(8)).await;
    assert_eq!(world.attempts(NEWS).len(), at_first);
    assert_eq!((status.waiting(), status.under_way(), status.retries()), (20, 0, 0));
    world.pass(seconds(51)).await;
    let probes = world.attempts(NEWS)[at_first..].to_vec();
    assert_eq!(probes.len(), 5, "one probe for each cooldown: {probes:?}");
    let mut entities: Vec<i64> = probes.iter().map(|(entity, ..)| *entity).collect();
    entities.sort_unstable();
    entities.dedup();
    assert_eq!(entities.len(), 5, "each by another lane");
    world.pass(seconds(11)).await;
    assert_eq!(status.breaker(), BreakerState::Closed);
    assert_eq!((world.outstanding(), status.waiting(), status.oldest()), (0, 0, None));
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn refusals_do_not_open_a_breaker() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (SOON, Step::Refused));
    for entity in 1..=100 {
        world.decide(entity, 1, &[NOTE]);
    }
    world.pass_until_done(seconds(1)).await;
    assert_eq!(world.status(NOTE).breaker(), BreakerState::Closed);
    assert!(world.concluded.iter().all(|(_, conclusion)| matches!(conclusion, Err((FailureKind::Refused, _)))));
}

#[tokio::test(start_paused = true)]
async fn the_time_behind_an_open_breaker_is_on_no_intents_account() {
    // A deadline of a minute; the backend is away for an hour.
    let back = seconds(3600);
    let changes = [("hosts =", "breaker = { failures = 2, cooldown = \"20m\" }\nhosts ="), ("after = [\"write-note\"]", "after = []")];
    let mut world = World::new(&changes, Bounds::STANDARD, move |seen| (SOON, if seen.at < back { Step::NotDone } else { Step::Done }));
    for entity in 1..=10 {
        world.decide(entity, 1, &[PRICE]);
    }
    world.record_note_of(1);
    world.pass(seconds(2)).await;
    assert_eq!(world.status(PRICE).breaker(), BreakerState::Open);
    world.pass_until_done(seconds(5000)).await;
    assert!(world.now() > back);
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()), "{:?}", world.concluded);
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_that_is_away_does_not_do_is_on_no_intents_account() {
    // Three attempts, and one intent: a breaker that counts to sixteen would not see enough of it.
    let changes = [("retry = { attempts = 3,", "retry = { attempts = 3, timeout = \"10s\","), ("after = [\"write-note\"]", "after = []")];
    let back = seconds(600);
    let mut world =
        World::new(&changes, Bounds::STANDARD, move |seen| (seconds(4), if seen.at < back { Step::NotDone } else { Step::Done }));
    world.decide(1, 1, &[PRICE]);
    world.record_note_of(1);
    world.pass(seconds(5)).await;
    assert_eq!(world.status(PRICE).breaker(), BreakerState::Open, "it is known to be away");
    world.pass(seconds(590)).await;
    assert_eq!(world.outstanding(), 1);
    world.pass_until_done(seconds(60)).await;
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()), "{:?}", world.concluded);
    assert!(world.attempts(PRICE).len() > 3, "{:?}", world.attempts(PRICE));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_on_the_intents_account_all_the_same() {
    let changes = [("hosts =", "breaker = { failures = 1, cooldown = \"30s\" }\nhosts ="), ("after = [\"write-note\"]", "after = []")];
    let mut world = World::new(&changes, Bounds::STANDARD, |_| (SOON, Step::Unknown));
    world.decide(1, 1, &[PRICE]);
    world.record_note_of(1);
    world.pass(seconds(59)).await;
    assert_eq!(world.outstanding(), 1);
    world.pass_until_done(seconds(10)).await;
    assert!(
        matches!(&world.concluded[..], [(_, Err((FailureKind::Unknown, text)))] if text.contains("after 3 attempts")),
        "{:?}",
        world.concluded
    );
    let at: Vec<u64> = world.attempts(PRICE).iter().map(|(_, _, at)| at.as_secs()).collect();
    assert_eq!(at, [0, 30, 60]);
}

#[tokio::test(start_paused = true)]
async fn where_repeats_do_no_harm_an_outage_of_unknown_ends_leaves_nothing_held() {
    let back = seconds(3600);
    let mut world = World::new(&[], Bounds::STANDARD, move |seen| (seconds(30), if seen.at < back { Step::Unknown } else { Step::Done }));
    world.decide(1, 1, &[NEWS]);
    world.record_note_of(1);
    world.pass(seconds(3590)).await;
    assert_eq!(world.outstanding(), 1);
    assert!(world.attempts(NEWS).len() > 8, "more than an intent has: {:?}", world.attempts(NEWS));
    world.pass_until_done(seconds(200)).await;
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()), "{:?}", world.concluded);
    assert!(world.notes.iter().all(|(_, note)| !note.held), "{:?}", world.notes);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_keeps_no_room_among_what_flows() {
    let mut world = World::new(&[("jsonl =", "parallel = 4\njsonl =")], Bounds::STANDARD, |_| (SOON, Step::Hang));
    for entity in 1..=500 {
        world.decide(entity, 1, &[NEWS]);
    }
    let status = world.status(NEWS);
    world.pass(seconds(1)).await;
    assert_eq!(status.flowing(), 500, "it may only be slow");
    world.pass(seconds(3)).await;
    assert_eq!((status.flowing(), status.under_way(), status.waiting()), (4, 4, 500), "what waits for it holds no events back");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_cut_off_and_nobody_knows() {
    let changes = [("retry = { attempts = 3,", "retry = { attempts = 2, timeout = \"5s\","), ("after = [\"write-note\"]", "after = []")];
    let mut world = World::new(&changes, Bounds::STANDARD, |seen| (SOON, if seen.before == 0 { Step::Hang } else { Step::Unknown }));
    world.decide(1, 1, &[PRICE]);
    world.record_note_of(1);
    world.pass_until_done(seconds(20)).await;
    let retried = &world.notes[0];
    assert_eq!((retried.1.attempts, retried.1.reason.as_str()), (1, "unknown: no answer within 5s"));
    assert!(
        matches!(&world.concluded[..], [(_, Err((FailureKind::Unknown, text)))] if text.contains("after 2 attempts")),
        "{:?}",
        world.concluded
    );
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asks_for_time_gets_it() {
    let mut world = World::new(&[], Bounds::STANDARD, |seen| (SOON, if seen.before == 0 { Step::Later(seconds(40)) } else { Step::Done }));
    world.decide(1, 1, &[NEWS]);
    world.pass_until_done(seconds(60)).await;
    let at: Vec<u64> = world.attempts(NEWS).iter().map(|(_, _, at)| at.as_secs()).collect();
    assert_eq!(at, [0, 40]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asks_for_more_time_than_there_is_ends_nothing_while_it_is_down() {
    let back = seconds(3000);
    let changes = [("hosts =", "breaker = { failures = 4, cooldown = \"10s\" }\nhosts ="), ("after = [\"write-note\"]", "after = []")];
    let mut world =
        World::new(&changes, Bounds::STANDARD, move |seen| (SOON, if seen.at < back { Step::Later(seconds(1200)) } else { Step::Done }));
    for entity in 1..=20 {
        world.decide(entity, 1, &[PRICE]);
    }
    world.record_note_of(1);
    world.pass(seconds(65)).await;
    let early: Vec<_> = world.attempts(PRICE).iter().filter(|(_, _, at)| *at > seconds(1)).map(|(_, _, at)| at.as_secs()).collect();
    assert_eq!(early, [60], "probes wait as they were asked to, as far as a breaker goes along");
    world.pass_until_done(seconds(6000)).await;
    assert!(world.now() > back);
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()), "{:?}", world.concluded);
}

/// Ten minutes without a backend. One effect has 100 intents a second, the other as many; one of them dies.
#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_backend_cost_the_others_nothing_and_memory_is_flat() {
    const ENTITIES: i64 = 500;
    const OUTAGE: std::ops::Range<u64> = 60..660;
    let mut world = World::new(&[], Bounds::STANDARD, |seen| {
        let dead = seen.case == NEWS && (OUTAGE.start..OUTAGE.end).contains(&seen.at.as_secs());
        (Duration::from_millis(20), if dead { Step::NotDone } else { Step::Done })
    });
    let (mut healthy, mut most_held, mut noted) = (Vec::new(), 0, 0);
    for second in 0..720 {
        for tick in 0..10_i64 {
            for of_tick in 0..10 {
                let number = second * 100 + tick * 10 + of_tick;
                world.decide(number % ENTITIES + 1, u64::try_from(number / ENTITIES).unwrap() + 1, &[NOTE, NEWS]);
            }
            world.pass(Duration::from_millis(100)).await;
        }
        if second % 60 == 59 {
            healthy.push(world.done(NOTE) - noted);
            noted = world.done(NOTE);
        }
        if second == 650 {
            assert!(world.status(NEWS).waiting() > 50_000, "{}", world.status(NEWS).waiting());
            assert_eq!(world.status(NEWS).breaker(), BreakerState::Open);
        }
        most_held = most_held.max(world.held_in_memory());
    }
    for minute in &healthy[1..] {
        assert!(*minute * 10 >= healthy[0] * 9, "{healthy:?}");
    }
    let Bounds { tasks, .. } = Bounds::STANDARD;
    assert!(most_held <= tasks + 1000, "{most_held} intents in memory");
    assert!(world.status(NEWS).in_memory() <= tasks);
    world.pass_until_done(seconds(600)).await;
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()));
    assert_eq!(world.done(NEWS), 720 * 100);
    let mut last = std::collections::HashMap::new();
    for (key, _) in world.concluded.iter().filter(|(key, _)| key.index == 1) {
        let before = last.insert(key.entity, key.sequence).unwrap_or(0);
        assert_eq!(key.sequence, before + 1, "{} is delivered in order", key.entity);
    }
}
