//! The demo's stream: some six hundred events of sixty-odd nodes over ten minutes, and the accidents that any real stream has.
//!
//! It is made, not recorded, so that every path of the workflow is in it, and made from a seed, so that it can be made anew.

mod fleet;
mod misfits;

use anyhow::Result;
use purefold_nodes::random::Random;

/// 2026-02-13T12:00:00Z in microseconds since the epoch.
const START: u64 = 1_770_984_000 * SECOND;
/// How long the stream lasts.
const LENGTH: u64 = 600 * SECOND;
const SECOND: u64 = 1_000_000;
/// Any other seed would do as well.
const SEED: u64 = 60;

/// Lines with the time at which each arrives.
#[derive(Default)]
struct Stream {
    lines: Vec<(u64, String)>,
}

impl Stream {
    fn push(&mut self, arrives: u64, line: String) {
        self.lines.push((arrives, line));
    }
}

/// The whole stream, one event a line.
///
/// # Errors
/// Where an event has no JSON form, which none of these lacks.
pub(crate) fn generate() -> Result<String> {
    let mut random = Random::new(SEED);
    let mut stream = Stream::default();
    fleet::add(&mut stream, &mut random)?;
    misfits::add(&mut stream, &mut random)?;
    // Stable: lines that arrive together stay in the order in which they were made.
    stream.lines.sort_by_key(|(arrives, _)| *arrives);
    Ok(stream.lines.into_iter().flat_map(|(_, line)| [line, "\n".to_owned()]).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so and stop")]

    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::generate;

    #[test]
    fn the_committed_stream_is_what_the_generator_makes() {
        let committed = include_str!("../../events.jsonl");
        let made = generate().unwrap();
        let differs = committed.lines().zip(made.lines()).position(|(old, new)| old != new);
        assert_eq!(differs.map(|index| index + 1), None, "this line differs; `cargo xtask demo-events` writes the file anew");
        assert_eq!(committed, made, "`cargo xtask demo-events` writes the file anew");
    }

    #[test]
    fn the_stream_has_every_kind_of_event_and_accident() {
        let stream = generate().unwrap();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let mut node_types: BTreeSet<String> = BTreeSet::new();
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        let (mut not_json, mut without_time, mut late, mut latest) = (0, 0, 0, String::new());
        for line in stream.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                not_json += 1;
                continue;
            };
            let Some(kind) = event["type"].as_str() else { continue };
            *kinds.entry(kind.to_owned()).or_default() += 1;
            *ids.entry(event["id"].to_string()).or_default() += 1;
            if let Some(node_type) = event["data"]["node_type"].as_str() {
                node_types.insert(node_type.to_owned());
            }
            match event["time"].as_str() {
                None => without_time += 1,
                Some(time) if time < latest.as_str() => late += 1,
                Some(time) if time.starts_with("2026-02-13") => time.clone_into(&mut latest),
                Some(_) => {}
            }
        }
        assert!((500..700).contains(&stream.lines().count()), "{} lines", stream.lines().count());
        assert_eq!(kinds.len(), 4, "three known types and one unknown: {kinds:?}");
        assert!(
            node_types.is_superset(&["effect", "compute", "reducer", "orchestrator", "runtime_host"].map(str::to_owned).into()),
            "{node_types:?}"
        );
        assert!(ids.values().filter(|times| **times > 1).count() >= 5, "duplicates");
        assert!(not_json >= 2 && without_time >= 1 && late >= 5, "not JSON {not_json}, without time {without_time}, late {late}");
    }
}
