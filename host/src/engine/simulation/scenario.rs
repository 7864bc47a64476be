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

/// The simulated wall clock begins here: 2026-01-01T00:00:00Z, in microseconds.
pub(super) const BEGIN: u64 = 1_767_225_600_000_000;

/// One run.
pub(super) struct Scenario {
    pub(super) seed: u64,
    /// The events' own times; else the arrival's.
    pub(super) event_clock: bool,
    pub(super) lines: Vec<Line>,
    /// In a thousand steps: how often the host dies, the clock jumps, an operator looks.
    pub(super) crashes: u32,
    pub(super) jumps: u32,
    /// In a thousand commits: how often the store refuses for a while.
    pub(super) refusals: u32,
    /// In a hundred attempts: how often an effect does not simply succeed.
    pub(super) failures: u32,
    /// Steps after which nothing fails any more.
    pub(super) troubled_steps: u32,
}

/// One line of the source.
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
        let calm = rng.random_ratio(1, 10);
        let up_to = |rng: &mut StdRng, most: u32| if calm { 0 } else { rng.random_range(0..=most) };
        Scenario {
            seed,
            event_clock,
            crashes: up_to(&mut rng, 12),
            jumps: if event_clock || rng.random_ratio(1, 2) { 0 } else { up_to(&mut rng, 10) },
            refusals: up_to(&mut rng, 200),
            failures: up_to(&mut rng, 60),
            troubled_steps: rng.random_range(300..1500),
            lines,
        }
    }
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
    (event.to_string().into_bytes().into(), Some(Event { id }))
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
