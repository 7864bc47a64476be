//! A stop: what is under way gets its time and no more.

use std::time::Duration;

use super::world::{NEWS, Step, World};
use crate::engine::dispatch::queue::Bounds;
use crate::engine::dispatch::{Order, STOP_TIMEOUT};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_under_way_and_starts_nothing() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (5 * SECOND, Step::Done));
    world.decide(1, 1, &[NEWS]);
    world.decide(1, 2, &[NEWS]);
    world.pass(SECOND).await;
    world.order(Order::Drain(STOP_TIMEOUT));
    world.pass(3 * SECOND).await;
    assert!(!world.drained);
    world.pass(2 * SECOND).await;
    assert!(world.drained);
    assert_eq!((world.concluded.len(), world.outstanding()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_cut_off() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (SECOND, Step::Hang));
    world.decide(1, 1, &[NEWS]);
    world.pass(SECOND).await;
    world.order(Order::Drain(STOP_TIMEOUT));
    world.pass(STOP_TIMEOUT - SECOND).await;
    assert!(!world.drained);
    world.pass(2 * SECOND).await;
    assert!(world.drained);
    assert_eq!((world.concluded.len(), world.outstanding()), (0, 1), "it stays for the next start");
}

#[tokio::test(start_paused = true)]
async fn with_nothing_under_way_it_is_over_at_once() {
    let mut world = World::new(&[], Bounds::STANDARD, |_| (SECOND, Step::Done));
    world.pass(SECOND).await;
    world.order(Order::Drain(STOP_TIMEOUT));
    world.pass(SECOND).await;
    assert!(world.drained);
}
