//! Releases that come into force under load: how long a busy entity waits for its decisions then, and how long without.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::http::Listening;
use super::{Bench, COMPONENT, WORKFLOW};
use crate::process;

/// The same reducer with one more tag.
const OTHER_COMPONENT: &str = "fixtures/registration-tagged.wasm";

/// After a swap, before it counts as calm again.
const REST: Duration = Duration::from_millis(200);

/// Longer than it takes: the load ends with the host.
const LOAD_SECONDS: &str = "3600";

/// A stretch of time, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: u128,
    to: u128,
}

/// The windows of one swap: two with it, and as long ones after it.
struct Cycle {
    deployment: Window,
    swap: Window,
    calm: Window,
    calm_swap: Window,
}

impl Bench<'_> {
    pub(super) fn swap(&self) -> Result<()> {
        let (connections, swaps) = (self.scale.of(50, 10), self.scale.of(100, 3));
        let (folder, manifest) = self.place("swap", WORKFLOW, COMPONENT)?;
        let components = [OTHER_COMPONENT, COMPONENT].map(|component| self.workspace.target.join(component));
        let nodes = folder.join("nodes.jsonl");
        self.load(&[&["nodes", &connections.to_string()]], &nodes)?;
        process::run(self.purefold("run", &manifest).arg("--events").arg(&nodes).arg("--until-idle"))?;

        println!("\n{swaps} releases that come into force under the load of {connections} senders, one of which is the busy entity's");
        let mut host = Listening::start(self.purefold("run", &manifest))?;
        let file = folder.join("moments");
        let mut load = Command::new(self.programs.join("load"));
        load.args(["moments", &host.address, &connections.to_string(), LOAD_SECONDS]).arg(&file).stdout(Stdio::null());
        let mut load = load.spawn().context("cannot start the load")?;
        std::thread::sleep(REST * 5);
        let cycles = (0..swaps).map(|number| self.cycle(&manifest, &components[usize::from(number % 2 == 1)])).collect::<Result<Vec<_>>>();
        host.kill()?;
        ensure!(load.wait().context("cannot wait for the load")?.success(), "the load failed");
        let cycles = cycles?;
        let moments = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let moments = moments.lines().map(str::parse).collect::<Result<Vec<u128>, _>>().context("a moment is no number")?;
        let gaps = |of: fn(&Cycle) -> Window| Gaps::of(&moments, cycles.iter().map(of));
        compare("a swap", &gaps(|cycle| cycle.swap)?, &gaps(|cycle| cycle.calm_swap)?);
        compare("a deployment, its gates on the same machine", &gaps(|cycle| cycle.deployment)?, &gaps(|cycle| cycle.calm)?);
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }

    /// Brings the component into force, then leaves the host alone for as long.
    fn cycle(&self, manifest: &Path, component: &Path) -> Result<Cycle> {
        let mut deploy = self.purefold("deploy", manifest);
        let from = now();
        let told = process::output(deploy.arg(component).args(["--sample", "0", "--json"]))?;
        let to = now();
        let lines = told.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>().context("a deployment tells JSON")?;
        let swap = lines.iter().find(|line| line["gate"] == "swap").and_then(|line| line["took_ms"].as_u64());
        let swap = swap.context("a deployment tells what its swap took")?;
        let rest = REST.as_micros();
        let begins = (to - u128::from(swap + 1) * 1000).max(from);
        let after = |window: Window| Window { from: to + rest, to: to + rest + (window.to - window.from) };
        let (deployment, swap) = (Window { from, to }, Window { from: begins, to });
        let cycle = Cycle { deployment, swap, calm: after(deployment), calm_swap: after(swap) };
        std::thread::sleep(REST * 2 + Duration::from_micros(u64::try_from(to - from)?));
        Ok(cycle)
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// The longest gap of each window, in milliseconds, the shortest first.
struct Gaps(Vec<f64>);

impl Gaps {
    fn of(moments: &[u128], windows: impl Iterator<Item = Window>) -> Result<Self> {
        let mut gaps = windows.map(|window| longest(moments, window)).collect::<Result<Vec<_>>>()?;
        gaps.sort_by(f64::total_cmp);
        Ok(Gaps(gaps))
    }

    /// What so many of a hundred do not exceed.
    fn part(&self, of_hundred: usize) -> f64 {
        let place = (self.0.len() * of_hundred).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// The longest gap between two of the moments, which are in order, that reaches into the window.
fn longest(moments: &[u128], window: Window) -> Result<f64> {
    let pairs = moments.windows(2).filter(|pair| pair[1] > window.from && pair[0] < window.to);
    let longest = pairs.map(|pair| pair[1] - pair[0]).max().context("the busy entity was decided nothing in a whole window")?;
    Ok(Duration::from_micros(u64::try_from(longest)?).as_secs_f64() * 1000.0)
}

fn compare(what: &str, with: &Gaps, without: &Gaps) {
    let told = |gaps: &Gaps| format!("{:.2} ms (median), {:.2} ms (99 of 100)", gaps.part(50), gaps.part(99));
    println!("longest gap between two decisions of the busy entity, with {what}: {}", told(with));
    println!(
        "  in windows as long without one: {}; the swap's are {:+.2} ms and {:+.2} ms longer",
        told(without),
        with.part(50) - without.part(50),
        with.part(99) - without.part(99)
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use super::{Gaps, Window, longest};

    #[test]
    fn a_gap_counts_that_reaches_into_the_window() {
        let moments = [0, 1_000, 4_000, 5_000, 15_000];
        assert!((longest(&moments, Window { from: 500, to: 3_000 }).unwrap() - 3.0).abs() < 1e-9);
        assert!((longest(&moments, Window { from: 4_500, to: 5_001 }).unwrap() - 10.0).abs() < 1e-9);
        assert!(longest(&moments, Window { from: 16_000, to: 17_000 }).is_err());
        let gaps = Gaps((1..=100).map(f64::from).collect());
        assert_eq!((gaps.part(50), gaps.part(99)), (50.0, 99.0));
    }
}
