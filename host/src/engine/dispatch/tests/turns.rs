//! Who goes next: lanes in order, by turns, within the bounds, after what they come after.

use std::time::Duration;

use super::world::{NEWS, NOTE, PRICE, Step, World};
use crate::engine::dispatch::queue::Bounds;

/// Bounds that a test meets with a few intents.
const TIGHT: Bounds = Bounds { tasks: 8, dependent: 4, in_lane: 3, loading: 2 };

const SOON: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_busy_entity_keeps_nobody_waiting() {
    let mut world = World::new(&[("jsonl =", "parallel = 2\njsonl =")], Bounds::STANDARD, |_| (Duration::from_millis(10), Step::Done));
    for sequence in 1..=5000 {
        world.decide(1, sequence, &[NEWS]);
    }
    for entity in 2..=51 {
        world.decide(entity, 1, &[NEWS]);
    }
    world.pass(Duration::from_millis(600)).await;
    let others = world.concluded.iter().filter(|(key, _)| key.entity != 1).count();
    assert_eq!(others, 50, "each is at most one turn of all away");
    assert!(world.held_in_memory() <= Bounds::STANDARD.in_lane + 50, "{}", world.held_in_memory());
    world.pass_until_done(Duration::from_secs(120)).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_are_under_way_than_the_effect_allows() {
    let mut world = World::new(&[("jsonl =", "parallel = 3\njsonl =")], Bounds::STANDARD, |seen| {
        (Duration::from_millis(10), if seen.before == 0 { Step::NotDone } else { Step::Done })
    });
    for entity in 1..=30 {
        world.decide(entity, 1, &[NEWS]);
    }
    while world.outstanding() > 0 {
        world.pass(Duration::from_millis(5)).await;
        assert!(world.status(NEWS).under_way() <= 3);
    }
    assert_eq!((world.status(NEWS).attempts(), world.status(NEWS).retries()), (60, 30));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_failed_intent_is_not_performed() {
    let mut world = World::new(&[], Bounds::STANDARD, |seen| {
        (SOON, if seen.case == NOTE && seen.entity % 2 == 0 { Step::Refused } else { Step::Done })
    });
    for entity in 1..=10 {
        world.decide(entity, 1, &[NOTE, PRICE]);
        world.decide(entity, 2, &[PRICE, NEWS]);
    }
    // Without a note of the same decision a price waits for nothing.
    world.record_note_of(2);
    world.pass_until_done(Duration::from_secs(5)).await;
    assert_eq!(world.settled, 5);
    assert_eq!(world.attempts(PRICE).iter().filter(|(_, sequence, _)| *sequence == 1).count(), 5);
}

/// Everything at once within bounds that are far too small: effects that fail at random, reads that take their time, an
/// outage, intents that come after others. The scripted effects check order, once-ness and `after` as they are called.
#[tokio::test(start_paused = true)]
async fn whatever_fits_into_memory_everything_is_done_once_and_in_order() {
    for seed in 0..40_u64 {
        let chance = move |seen: &super::world::Seen, among: u64| {
            let mut mixed =
                seed ^ (seen.entity.unsigned_abs() << 40) ^ (seen.sequence << 20) ^ ((seen.before as u64) << 8) ^ u64::from(seen.case);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % among
        };
        let down = (seed % 4) as u32;
        let changes =
            [("attempts = 3,", "attempts = 9,"), ("topic =", "retry = { attempts = 50 }\ntopic ="), ("jsonl =", "parallel = 2\njsonl =")];
        let mut world = World::new(&changes, TIGHT, move |seen| {
            let latency = Duration::from_millis(1 + chance(seen, 30));
            let away = seen.case == down && (1..30).contains(&seen.at.as_secs());
            let step = match chance(seen, 16) {
                _ if away => Step::NotDone,
                0 => Step::NotDone,
                1 => Step::Unknown,
                2 if seen.before == 0 => Step::Refused,
                _ => Step::Done,
            };
            (latency, if seen.case == NEWS && matches!(step, Step::Refused) { Step::Done } else { step })
        });
        world.slowness = (seed % 3) as u32 * 2;
        let sets: [&[u32]; 4] = [&[NOTE, PRICE, NEWS], &[NEWS, NOTE, PRICE], &[NEWS], &[NOTE, PRICE]];
        for number in 0..400_u64 {
            let entity = (number * 7 + seed) % 23 + 1;
            world.decide(i64::try_from(entity).unwrap(), number + 1, sets[(number % 4) as usize]);
            if number % 5 == 0 {
                world.pass(Duration::from_millis(10 + 10 * (seed % 5))).await;
            }
            let held = world.held_in_memory();
            let of_one = TIGHT.tasks * 2 + TIGHT.dependent * 2 + TIGHT.loading * 5;
            assert!(held <= 3 * of_one, "seed {seed}: {held} in memory");
        }
        world.pass_until_done(Duration::from_secs(3000)).await;
        for case in [NOTE, PRICE, NEWS] {
            let status = world.status(case);
            assert_eq!((status.waiting(), status.in_memory(), status.under_way()), (0, 0, 0), "seed {seed}, case {case}");
        }
    }
}
