//! Events that are sent: how many are answered and how fast, and whether all of them are there after a kill under load.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Bench, COMPONENT, WORKFLOW};
use crate::process;

/// What the host says before its address.
const LISTENING: &str = "listening on http://";

impl Bench<'_> {
    pub(super) fn http(&self) -> Result<()> {
        let (connections, seconds) = (self.scale.of(200, 20), self.scale.of(20, 2));
        let killed_after = Duration::from_secs(self.scale.of(5, 1));
        let (folder, manifest) = self.place("http", WORKFLOW, COMPONENT)?;
        // The nodes are active before anything is measured.
        let nodes = folder.join("nodes.jsonl");
        self.load(&[&["nodes", &connections.to_string()]], &nodes)?;
        process::run(self.purefold("run", &manifest).arg("--events").arg(&nodes).arg("--until-idle"))?;

        println!("\nevents by HTTP over {connections} connections, for {seconds} s");
        let mut host = Listening::start(self.purefold("run", &manifest))?;
        let (measured, killed) = (folder.join("measured.ids"), folder.join("killed.ids"));
        let load = |seconds: u64, ids: &Path| {
            let mut load = Command::new(self.programs.join("load"));
            load.args(["http", &host.address, &connections.to_string(), &seconds.to_string()]).arg(ids);
            load
        };
        let figures: Value = serde_json::from_str(&process::output(&mut load(seconds, &measured))?).context("the load has no figures")?;
        println!(
            "{:.0} events/s, answered after {} ms (median), {} ms (99 of 100), {} ms at most; told to come back {} times",
            figures["events_per_second"].as_f64().unwrap_or_default(),
            millis(&figures["p50_ms"]),
            millis(&figures["p99_ms"]),
            millis(&figures["most_ms"]),
            figures["turned_away"],
        );

        let mut under_load = load(killed_after.as_secs() * 4, &killed).stdout(Stdio::null()).spawn().context("cannot start the load")?;
        std::thread::sleep(killed_after);
        host.kill()?;
        ensure!(under_load.wait().context("cannot wait for the load")?.success(), "the load failed");
        let mut answered = HashMap::new();
        for path in [&measured, &killed] {
            let ids = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(!ids.is_empty(), "nothing was answered: {} is empty", path.display());
            answered.extend(ids.lines().map(|id| (id.to_owned(), 0_u32)));
        }
        self.count(&manifest, &mut answered)?;
        let missing = answered.values().filter(|count| **count == 0).count();
        let twice = answered.values().filter(|count| **count > 1).count();
        ensure!(missing + twice == 0, "of {} answered events {missing} are not in the journal and {twice} are twice", answered.len());
        println!("killed under load: all of the {} answered events are in the journal, each once", answered.len());
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }

    /// Counts in which of the journal's decisions the events are.
    fn count(&self, manifest: &Path, events: &mut HashMap<String, u32>) -> Result<()> {
        let mut journal =
            self.purefold("journal", manifest).arg("--json").stdout(Stdio::piped()).spawn().context("cannot start `purefold journal`")?;
        let lines = BufReader::new(journal.stdout.take().context("the journal has no output")?).lines();
        for line in lines {
            let entry: Value = serde_json::from_str(&line.context("cannot read the journal")?).context("the journal is not JSON")?;
            let event = entry["event_id"].as_str().filter(|_| entry["kind"] == "decided");
            if let Some(count) = event.and_then(|id| events.get_mut(id)) {
                *count += 1;
            }
        }
        ensure!(journal.wait().context("cannot wait for the journal")?.success(), "`purefold journal` failed");
        Ok(())
    }
}

fn millis(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |millis| format!("{millis:.2}"))
}

/// A host that listens; it is killed where the measurement ends before it is.
pub(super) struct Listening {
    host: Child,
    pub(super) address: String,
}

impl Listening {
    /// Starts it on a free port of this machine and waits until it says which.
    pub(super) fn start(mut run: Command) -> Result<Self> {
        let mut host =
            run.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start the host")?;
        let mut told = BufReader::new(host.stderr.take().context("the host has no standard error")?);
        let mut listening = Listening { host, address: String::new() };
        while listening.address.is_empty() {
            let mut line = String::new();
            ensure!(told.read_line(&mut line).context("cannot hear the host")? > 0, "the host ended before it listened");
            match line.strip_prefix(LISTENING) {
                Some(address) => listening.address = address.trim().to_owned(),
                None => eprint!("{line}"),
            }
        }
        // Whatever else it says streams through.
        std::thread::spawn(move || told.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(listening)
    }

    /// Kills it, as `kill -9` does.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.host.kill().context("cannot kill the host")?;
        self.host.wait().context("cannot wait for the host")?;
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.kill();
    }
}
