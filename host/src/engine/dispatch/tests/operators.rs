//! What operators order.

use std::time::Duration;

use super::world::{NEWS, NOTE, PRICE, Step, World, key, name};
use crate::engine::dispatch::queue::Bounds;
use crate::engine::dispatch::{Answer, Order};
use crate::engine::input::FailureKind;

const SOON: Duration = Duration::from_millis(1);
const WELL_AFTER: Duration = Duration::from_secs(2);

/// A world in which the first intent of entity 1 is held, with two more behind it. Its third round of attempts succeeds.
async fn held() -> World {
    let mut world = World::new(&[], Bounds::STANDARD, |seen| {
        let refused = seen.entity == 1 && seen.sequence == 1 && seen.before < 1;
        (SOON, if refused { Step::Refused } else { Step::Done })
    });
    for sequence in 1..=3 {
        world.decide(1, sequence, &[NEWS]);
    }
    world.decide(2, 1, &[NEWS]);
    world.pass(WELL_AFTER).await;
    assert_eq!(world.outstanding(), 3, "nothing passes a held intent, other entities go on");
    let (at, note) = world.notes.last().unwrap();
    assert_eq!((*at, note.held, note.reason.as_str()), (key(1, 1, 0), true, "refused: no"));
    assert_eq!((world.held_in_memory(), world.status(NEWS).waiting()), (0, 3), "what is held waits in the store");
    world
}

#[tokio::test(start_paused = true)]
async fn a_held_intent_is_redriven_and_its_lane_goes_on() {
    let mut world = held().await;
    world.order(Order::Redrive(name(1), key(1, 1, 0)));
    world.pass_until_done(WELL_AFTER).await;
    assert_eq!(world.answered, [(key(1, 1, 0), Answer::Redriven)]);
    assert!(!world.notes.last().unwrap().1.held);
    assert!(world.concluded.iter().all(|(_, conclusion)| conclusion.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_held_intent_is_given_up_and_its_lane_goes_on() {
    let mut world = held().await;
    world.order(Order::GiveUp(name(1), key(1, 1, 0)));
    world.pass_until_done(WELL_AFTER).await;
    assert_eq!(world.answered, [(key(1, 1, 0), Answer::GivenUp)]);
    assert_eq!(world.concluded[1], (key(1, 1, 0), Err((FailureKind::Unknown, "given up".into()))));
    assert_eq!(world.attempts(NEWS).len(), 4, "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_waits_for_its_next_attempt_can_be_ordered_about() {
    let wait = Duration::from_secs(200);
    let mut world = World::new(&[], Bounds::STANDARD, move |seen| (SOON, if seen.before == 0 { Step::Later(wait) } else { Step::Done }));
    world.decide(1, 1, &[NEWS]);
    world.decide(2, 1, &[NEWS]);
    world.pass(WELL_AFTER).await;
    world.order(Order::Redrive(name(1), key(1, 1, 0)));
    world.order(Order::GiveUp(name(2), key(2, 1, 0)));
    world.pass_until_done(WELL_AFTER).await;
    assert_eq!(world.answered, [(key(1, 1, 0), Answer::Redriven), (key(2, 1, 0), Answer::GivenUp)]);
    world.pass(wait * 2).await;
    assert_eq!(world.attempts(NEWS).len(), 3, "the delay that was cut short means nothing any more");
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_is_redriven_has_all_its_attempts_again() {
    let wait = Duration::from_secs(20);
    let changes = [("deadline = \"1m\"", "deadline = \"10m\""), ("after = [\"write-note\"]", "after = []")];
    let mut world =
        World::new(&changes, Bounds::STANDARD, move |seen| (SOON, if seen.before < 4 { Step::Later(wait) } else { Step::Done }));
    world.decide(1, 1, &[PRICE]);
    world.record_note_of(1);
    world.pass(wait + WELL_AFTER).await;
    assert_eq!(world.attempts(PRICE).len(), 2, "one more, and it would be over");
    world.order(Order::Redrive(name(1), key(1, 1, 0)));
    world.pass_until_done(wait * 3).await;
    assert_eq!(world.attempts(PRICE).len(), 5);
    assert!(matches!(&world.concluded[..], [(_, Ok(_))]), "{:?}", world.concluded);
}

#[tokio::test(start_paused = true)]
async fn an_intent_is_given_up_wherever_it_stands_unless_its_attempt_does_it() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (Duration::from_secs(5), Step::Done));
    world.decide(1, 1, &[NEWS]);
    world.decide(1, 2, &[NEWS]);
    world.pass(WELL_AFTER).await;
    world.order(Order::Redrive(name(1), key(1, 1, 0)));
    world.order(Order::GiveUp(name(1), key(1, 1, 0)));
    world.order(Order::GiveUp(name(1), key(1, 2, 0)));
    world.order(Order::Redrive(name(7), key(7, 1, 0)));
    world.pass_until_done(Duration::from_secs(20)).await;
    let answers: Vec<Answer> = world.answered.iter().map(|(_, answer)| *answer).collect();
    assert_eq!(answers, [Answer::Busy, Answer::GivenUp, Answer::NotWaiting, Answer::Done]);
    assert_eq!(world.attempts(NEWS).len(), 1, "what was given up is not tried");
    let ends: Vec<_> = world.concluded.iter().map(|(at, conclusion)| (*at, conclusion.is_ok())).collect();
    assert_eq!(ends, [(key(1, 2, 0), false), (key(1, 1, 0), true)]);
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_is_given_up_during_its_attempt_leaves_when_that_has_failed() {
    let mut world =
        World::new(&[], Bounds::TINY, |seen| (Duration::from_secs(5), if seen.sequence == 1 { Step::Later(SOON) } else { Step::Done }));
    for sequence in 1..=5 {
        world.decide(1, sequence, &[NEWS]);
    }
    world.pass(WELL_AFTER).await;
    world.order(Order::GiveUp(name(1), key(1, 1, 0)));
    // In the store only: whoever asks concludes it, and it is not read any more.
    world.order(Order::GiveUp(name(1), key(1, 5, 0)));
    world.pass_until_done(Duration::from_secs(60)).await;
    assert_eq!(world.answered, [(key(1, 5, 0), Answer::GivenUp), (key(1, 1, 0), Answer::GivenUp)]);
    assert_eq!(world.attempts(NEWS).len(), 4, "one that failed, and those that nobody gave up");
}

#[tokio::test(start_paused = true)]
async fn a_paused_effect_starts_nothing_and_others_go_on() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (SOON, Step::Done));
    let news = || Some("news".into());
    world.order(Order::Pause { workflow: 0, effect: news() });
    for entity in 1..=5 {
        world.decide(entity, 1, &[NOTE, NEWS]);
    }
    world.pass(WELL_AFTER).await;
    assert_eq!((world.done(NOTE), world.done(NEWS)), (5, 0));
    assert!(world.status(NEWS).is_paused() && !world.status(NOTE).is_paused());
    // Paused twice over, by itself and with its workflow: both have to be taken back.
    world.order(Order::Pause { workflow: 0, effect: None });
    world.order(Order::Resume { workflow: 0, effect: news() });
    world.decide(1, 2, &[NOTE]);
    world.pass(WELL_AFTER).await;
    assert_eq!((world.done(NOTE), world.done(NEWS)), (5, 0));
    world.order(Order::Resume { workflow: 0, effect: None });
    world.pass_until_done(WELL_AFTER).await;
}
