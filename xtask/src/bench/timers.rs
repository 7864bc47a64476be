//! Timers by the million: what they take of memory, of a start and of every event, and how fast they fire.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, watched};

const WORKFLOW: &str = "benches/timers.toml";
const COMPONENT: &str = "fixtures/simulated-v2.wasm";

/// Accounts whose events are measured.
const ACCOUNTS: u64 = 10_000;

/// How far ahead the timers are that wait, in milliseconds: a year.
const FAR: &str = "31536000000";

/// How far ahead those are that will fire, in milliseconds: all of them are set before the first is due.
const NEAR_FULL: u64 = 60_000;
const NEAR_TRIAL: u64 = 3_000;

impl Bench<'_> {
    pub(super) fn timers(&self) -> Result<()> {
        let scale = self.scale;
        let (timers, fired) = (scale.of(1_000_000, 10_000), scale.of(100_000, 1_000));
        let (accounts, events) = (scale.of(ACCOUNTS, 1_000), scale.of(200_000, 4_000));
        let near = Duration::from_millis(scale.of(NEAR_FULL, NEAR_TRIAL));
        println!("\n{timers} timers pending, {fired} of others that fire, and {events} events of {accounts} accounts that set theirs anew");
        let streams = self.folder.join("timers-streams");
        fs::create_dir_all(&streams).with_context(|| format!("cannot create {}", streams.display()))?;
        let (moves, far, soon) = (streams.join("moves.jsonl"), streams.join("far.jsonl"), streams.join("soon.jsonl"));
        self.load(&[&["moves", &accounts.to_string(), &events.to_string()]], &moves)?;
        // The accounts that are measured have their own timers; these are others.
        self.load(&[&["alarms", &ACCOUNTS.to_string(), &timers.to_string(), FAR]], &far)?;
        let first = (ACCOUNTS + timers).to_string();
        self.load(&[&["alarms", &first, &fired.to_string(), &near.as_millis().to_string()]], &soon)?;

        let (empty, manifest) = self.place("timers-none", WORKFLOW, COMPONENT)?;
        self.timed(&manifest, None)?;
        let (start, _) = self.timed(&manifest, None)?;
        let (all, peak) = self.timed(&manifest, Some(&moves))?;
        let without = each(all, start, events);
        println!("without them: started in {start:.2?}, {without:.1?} an event, at most {peak} MiB resident");

        let (full, manifest) = self.place("timers", WORKFLOW, COMPONENT)?;
        let (took, peak) = self.timed(&manifest, Some(&far))?;
        let bytes = fs::metadata(full.join("alarms.db")).context("there is no store")?.len();
        println!("set: {timers} in {took:.2?}, at most {peak} MiB resident, a store of {} MiB", bytes >> 20);
        let (start, peak) = self.timed(&manifest, None)?;
        println!("with them: started in {start:.2?}, at most {peak} MiB resident");
        let (all, peak) = self.timed(&manifest, Some(&moves))?;
        let with = each(all, start, events);
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("with them: {with:.1?} an event, {ratio:.2} times what it takes without, at most {peak} MiB resident");

        self.timed(&manifest, Some(&soon))?;
        std::thread::sleep(near + Duration::from_secs(1));
        let (all, peak) = self.timed(&manifest, None)?;
        let took = all.saturating_sub(start);
        println!("fired: {fired} in {took:.2?}, {:.1?} each, at most {peak} MiB resident", each(all, start, fired));
        for folder in [streams, empty, full] {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
    }

    /// Runs until idle on the wall's clock: how long it took, and the most memory that it held, in MiB.
    fn timed(&self, manifest: &Path, events: Option<&Path>) -> Result<(Duration, u64)> {
        let mut run = self.purefold("run", manifest);
        run.arg("--until-idle").stdout(Stdio::null());
        if let Some(events) = events {
            run.arg("--events").arg(events);
        }
        watched(&mut run)
    }
}

/// What each of `count` takes, the start left out.
fn each(all: Duration, start: Duration, count: u64) -> Duration {
    all.saturating_sub(start) / u32::try_from(count).unwrap_or(u32::MAX)
}
