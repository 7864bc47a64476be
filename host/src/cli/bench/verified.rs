//! How fast a journal is verified, against how fast it was made.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use purefold::engine::Plan;
use purefold::replay;
use purefold::sandbox::Sandbox;
use purefold::store::Reader;

use super::super::verify;
use super::load;

/// What verifying took.
#[derive(serde::Serialize)]
pub(super) struct Verified {
    entries: u64,
    seconds: f64,
    entries_per_second: f64,
    /// Of the entries that were measured while they were made.
    live_entries_per_second: f64,
    ratio_to_live: f64,
}

impl Verified {
    pub(super) fn told(&self) -> String {
        let Verified { entries, seconds, entries_per_second, live_entries_per_second, ratio_to_live } = self;
        format!(
            "verified: {entries_per_second:.0} entries/s ({entries} entries in {seconds:.2} s); they were made at \
             {live_entries_per_second:.0} entries/s: {ratio_to_live:.2} times as fast"
        )
    }
}

/// Verifies all of `store`, of which the entries after `from` were made in `took`.
pub(super) fn measure(manifest: &Path, store: &Path, from: i64, took: Duration, sandbox: &Sandbox) -> anyhow::Result<Verified> {
    eprintln!("verifying");
    let workflow = load(manifest)?;
    let reader = Reader::open(&store.into())?;
    let Some((id, _)) = reader.workflow(&workflow.name)? else { anyhow::bail!("the store knows no workflow {:?}", workflow.name) };
    let made = u64::try_from(reader.last_entry()? - from)?;
    let plan = Plan::new(workflow, sandbox, id, reader.journal()?)?;
    let began = Instant::now();
    let found = replay::verify(&plan, sandbox, &store.into(), verify::threads(), |_| ())?;
    let seconds = began.elapsed();
    ensure!(found.mismatches == 0, "the journal does not verify: {} mismatches", found.mismatches);
    #[expect(clippy::cast_precision_loss, reason = "counts of entries are far below 2^52")]
    let rate = |entries: u64, took: Duration| entries as f64 / took.as_secs_f64();
    let (verified, live) = (rate(found.entries, seconds), rate(made, took));
    Ok(Verified {
        entries: found.entries,
        seconds: seconds.as_secs_f64(),
        entries_per_second: verified,
        live_entries_per_second: live,
        ratio_to_live: verified / live,
    })
}
