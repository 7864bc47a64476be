//! How long it takes from an event to both backends: nodes announce themselves at a steady rate, and each registration's result is
//! awaited, which the workflow publishes once row and service are confirmed. That is a little longer than both took.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use purefold_nodes::random::Random;
use purefold_nodes::{Bus, Form, Node, Outgoing};

use super::show::heading;
use super::stage::{Stage, now};

const RESULT: &str = "onex.evt.platform.node-registration-result.v1";

/// Events before the clock counts: connections are made, code is compiled, caches are filled.
const WARM_UP: Duration = Duration::from_secs(3);

/// Longest wait for the last results.
const LAST_MAX: Duration = Duration::from_secs(30);

/// What the median and 99 of 100 must stay under.
const MEDIAN_MAX: Duration = Duration::from_millis(50);
const P99_MAX: Duration = Duration::from_millis(300);

/// Nodes that announced themselves and whose results have not been heard.
struct Waiting {
    sent: HashMap<String, Instant>,
    took: Vec<Duration>,
}

impl Waiting {
    fn hear(&mut self, bus: &Bus, wait: Duration) {
        if let Some(received) = bus.hear(wait)
            && let Some(sent) = received.data["node_id"].as_str().and_then(|id| self.sent.remove(id))
        {
            self.took.push(sent.elapsed());
        }
    }
}

/// Measures with `rate` nodes a second for `length`, and prints what it found.
pub(super) fn measure(stage: &Stage, rate: u64, length: Duration) -> Result<()> {
    let mut host = stage.start()?;
    let bus = stage.bus(&[RESULT])?;
    let (mut random, every) = (Random::new(now()), Duration::from_secs(1) / u32::try_from(rate)?);
    let mut waiting = Waiting { sent: HashMap::new(), took: Vec::new() };
    let mut warm = 0;
    let begun = Instant::now();
    for number in 0.. {
        let due = every * number;
        while begun.elapsed() < due {
            waiting.hear(&bus, due.saturating_sub(begun.elapsed()).min(Duration::from_millis(1)));
        }
        if due > WARM_UP + length {
            break;
        }
        if due <= WARM_UP {
            warm = number as usize;
        }
        let mut node = Node::new(number.into(), now(), &mut random);
        let announced = node.announce(now(), None)?;
        waiting.sent.insert(node.id, Instant::now());
        bus.send(&Outgoing::Event(announced, Form::Structured))?;
    }
    let last = Instant::now();
    while !waiting.sent.is_empty() && last.elapsed() < LAST_MAX {
        waiting.hear(&bus, Duration::from_millis(10));
    }
    ensure!(waiting.sent.is_empty(), "{} registrations have no result", waiting.sent.len());
    host.settle()?;
    host.stop()?;
    let mut took = waiting.took.split_off(warm.min(waiting.took.len()));
    ensure!(!took.is_empty(), "nothing was measured");
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    heading("From the event on Kafka to row and service confirmed, and the result heard on Kafka");
    println!(
        "{} registrations at {rate}/s: median {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        took.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    for (what, took, most) in [("median", at(50), MEDIAN_MAX), ("p99", at(99), P99_MAX)] {
        ensure!(took < most.as_secs_f64() * 1e3, "the {what} is {took:.1} ms, and must be under {most:?}");
    }
    println!("as it must be: median under {MEDIAN_MAX:?}, p99 under {P99_MAX:?}");
    Ok(())
}
