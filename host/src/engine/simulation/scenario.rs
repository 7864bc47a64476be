//! What happens in one simulated run: drawn from a seed, all of it.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

/// Accounts that events name.
const ACCOUNTS: u64 = 5;

/// Lines of the source.
const MOST_LINES: usize = 60;

/// Accepted events that are remembered where nothing is to be forgotten.
pub(super) const MUCH: usize = 200_000;

/// The simulated wall clock begins here: 2026-01-01T00:00:00Z, in microseconds.
pub(super) const BEGIN: u64 = 1_767_225_600_000_000;

/// One run.
pub(super) struct Scenario {
    pub(super) seed: u64,
    /// Hosts that share the store. Of several, each reads a part of the lines, whichever entities they name.
    pub(super) hosts: usize,
    /// Where the store is, as the manifest says it.
    pub(super) store: String,
    /// The events' own times; else the arrival's.
    pub(super) event_clock: bool,
    /// Events are sent by somebody who waits for an answer; else they are the lines of a source.
    pub(super) requests: bool,
    pub(super) lines: Vec<Line>,
    pub(super) retention: Retention,
    /// How many accepted events are remembered.
    pub(super) dedupe: usize,
    /// In a thousand steps: how often the host dies, the clock jumps, an operator does something.
    pub(super) crashes: u32,
    pub(super) jumps: u32,
    pub(super) acts: u32,
    /// In a thousand turns: how often the store cannot be read for a while, or slowly.
    pub(super) read_failures: u32,
    /// In a thousand commits: how often the store refuses for a while.
    pub(super) refusals: u32,
    /// In a hundred attempts: how often an effect does not simply succeed.
    pub(super) failures: u32,
    /// In a thousand steps: how often somebody asks for another release.
    pub(super) swaps: u32,
    /// Steps after which nothing fails any more.
    pub(super) troubled_steps: u32,
}

/// What the workflow forgets, each in microseconds where it is a time.
#[derive(Clone, Copy, Default)]
pub(super) struct Retention {
    pub(super) journal: Option<Entries>,
    pub(super) ended: Option<u64>,
    pub(super) events: Option<u64>,
    pub(super) dead_letters: Option<u64>,
}

/// What stays of an entity's entries.
#[derive(Clone, Copy)]
pub(super) enum Entries {
    For(u64),
    Decisions(u64),
}

impl Retention {
    fn draw(rng: &mut StdRng) -> Self {
        let time = |rng: &mut StdRng| rng.random_ratio(1, 2).then(|| rng.random_range(1..30) * 1_000_000);
        let journal = match rng.random_range(0..3) {
            0 => None,
            1 => Some(Entries::For(rng.random_range(1..30) * 1_000_000)),
            _ => Some(Entries::Decisions(rng.random_range(1..6))),
        };
        Retention { journal, ended: time(rng), events: time(rng), dead_letters: time(rng) }
    }

    /// As the manifest says it.
    pub(super) fn text(&self) -> String {
        let lifetime = |name: &str, time: Option<u64>| time.map(|time| format!("{name} = '{}ms'\n", time / 1000)).unwrap_or_default();
        let journal = match self.journal {
            None => String::new(),
            Some(Entries::For(time)) => lifetime("journal", Some(time)),
            Some(Entries::Decisions(count)) => format!("journal = {count}\n"),
        };
        let rest = [("ended", self.ended), ("events", self.events), ("dead-letters", self.dead_letters)];
        format!("[retention]\n{journal}{}", rest.map(|(name, time)| lifetime(name, time)).concat())
    }
}

/// One line of the source, or one event that somebody sends.
pub(super) struct Line {
    pub(super) bytes: Arc<[u8]>,
    /// Since the run began: the source has the line from then on.
    pub(super) available: Duration,
    /// The event; none where the line is garbage.
    pub(super) event: Option<Event>,
}

/// What a line's event says.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) id: String,
    /// Its own time.
    pub(super) time: u64,
}

impl Scenario {
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let event_clock = rng.random_ratio(1, 4);
        let mut lines: Vec<Line> = Vec::new();
        let mut at = Duration::ZERO;
        let count = rng.random_range(5..=MOST_LINES);
        for number in 0..count {
            if rng.random_ratio(1, 3) {
                at += Duration::from_millis(rng.random_range(0..4000));
            }
            let line = match rng.random_range(0..100) {
                0..6 => garbage(&mut rng, number),
                6..16 if number > 0 => {
                    let again = &lines[rng.random_range(0..number)];
                    (again.bytes.clone(), again.event.clone())
                }
                _ => event(&mut rng, number, at, event_clock),
            };
            lines.push(Line { bytes: line.0, available: at, event: line.1 });
        }
        let requests = !event_clock && rng.random_ratio(1, 3);
        let retention = if rng.random_ratio(1, 2) { Retention::draw(&mut rng) } else { Retention::default() };
        let calm = rng.random_ratio(1, 10);
        let up_to = |rng: &mut StdRng, most: u32| if calm { 0 } else { rng.random_range(0..=most) };
        Scenario {
            seed,
            hosts: 1,
            store: "sqlite = 'store.db'".into(),
            event_clock,
            requests,
            retention,
            dedupe: dedupe(seed),
            crashes: up_to(&mut rng, 12),
            jumps: if event_clock || rng.random_ratio(1, 2) { 0 } else { up_to(&mut rng, 10) },
            acts: up_to(&mut rng, 40),
            read_failures: up_to(&mut rng, 30),
            refusals: up_to(&mut rng, 200),
            failures: up_to(&mut rng, 60),
            troubled_steps: rng.random_range(300..1500),
            swaps: swaps(seed, event_clock),
            lines,
        }
    }
}

impl Scenario {
    /// One with two or three hosts on one store.
    pub(super) fn draw_shared(seed: u64) -> Self {
        let mut drawn = Scenario::draw(seed);
        // Virtual time needs a store for itself.
        while drawn.event_clock {
            drawn = Scenario::draw(drawn.seed.wrapping_add(1 << 32));
        }
        Scenario { seed, hosts: 2 + usize::from(seed.is_multiple_of(2)), ..drawn }
    }
}

/// Small windows too: what has left one may be decided once more, and nothing else may. Drawn by itself, so that it changes
/// nothing else in a run.
fn dedupe(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xded0);
    match rng.random_range(0..4) {
        0 => rng.random_range(0..6),
        1 => rng.random_range(6..40),
        _ => MUCH,
    }
}

/// Drawn apart, so that what else happens is what it was before there were any. On the events' own clock nothing may depend on
/// when a release comes.
fn swaps(seed: u64, event_clock: bool) -> u32 {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5a9);
    if event_clock || rng.random_ratio(1, 2) { 0 } else { rng.random_range(1..25) }
}

type Drawn = (Arc<[u8]>, Option<Event>);

fn event(rng: &mut StdRng, number: usize, at: Duration, event_clock: bool) -> Drawn {
    let account = format!("account-{}", rng.random_range(0..ACCOUNTS));
    let behaviour = match rng.random_range(0..100) {
        // On the events' own clock nothing may depend on when an operator comes.
        0..6 if !event_clock => "poison",
        6..14 => "reject",
        14..18 => "end",
        _ => "plain",
    };
    let id = format!("event-{number}");
    // Events are late, early and out of order by seconds.
    let time = BEGIN + u64::try_from(at.as_micros()).unwrap_or(0) + rng.random_range(0..10_000_000);
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/simulated", "type": "move", "datacontenttype": "application/json",
        "time": purefold_wit::instant::format(time),
        "data": {
            "account": account,
            "number": number,
            "calls": if rng.random_ratio(1, 2) { rng.random_range(0..3) } else { 0 },
            "follows": if rng.random_ratio(1, 4) { rng.random_range(0..3) } else { 0 },
            "alarm": rng.random_ratio(1, 3).then(|| rng.random_range(0..20_000)),
            "cancel": rng.random_ratio(1, 8),
            "pass_to": rng.random_ratio(1, 6).then(|| format!("account-{}", rng.random_range(0..ACCOUNTS))),
            "behaviour": behaviour,
        },
    });
    (event.to_string().into_bytes().into(), Some(Event { id, time }))
}

fn garbage(rng: &mut StdRng, number: usize) -> Drawn {
    let text = match rng.random_range(0..4) {
        0 => "{\"specversion\":\"1.0\"".to_owned(),
        1 => format!("{{\"specversion\":\"1.0\",\"id\":\"g{number}\",\"source\":\"/simulated\",\"type\":\"unheard-of\",\"data\":{{}}}}"),
        2 => format!(
            "{{\"specversion\":\"1.0\",\"id\":\"g{number}\",\"source\":\"/simulated\",\"type\":\"move\",\"data\":{{\"account\":7}}}}"
        ),
        _ => "\u{1}\u{2}".to_owned(),
    };
    (text.into_bytes().into(), None)
}
