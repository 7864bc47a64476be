//! The host while it runs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What it says when it runs.
const RUNS: &str = "metrics, health and readiness on http://";

/// Longest wait for what is under way to come to its end.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The process; killed where the demo ends before it does.
pub(super) struct Host {
    child: Child,
    admin: String,
}

impl Host {
    /// Starts it and waits until it runs. What it tells goes to the terminal.
    pub(super) fn start(command: &mut Command) -> Result<Host> {
        let mut child = command.stderr(Stdio::piped()).spawn().context("cannot start the host")?;
        let mut told = BufReader::new(child.stderr.take().context("standard error is piped")?);
        let mut line = String::new();
        let admin = loop {
            line.clear();
            if told.read_line(&mut line)? == 0 {
                bail!("the host ended at its start ({})", child.wait()?);
            }
            eprint!("{line}");
            if let Some(address) = line.trim_end().strip_prefix(RUNS) {
                break format!("http://{address}");
            }
        };
        std::thread::spawn(move || {
            for line in told.lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        Ok(Host { child, admin })
    }

    /// Waits until no intent is without a conclusion.
    pub(super) fn settle(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_MAX {
            let figures = super::http::text(&self.admin, "/metrics")?;
            let waits = |line: &str| line.starts_with("purefold_outbox_depth{") && !line.ends_with(" 0");
            if !figures.lines().any(waits) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("intents are without a conclusion after {} s", SETTLE_MAX.as_secs())
    }

    /// Ends it in good order.
    pub(super) fn stop(mut self) -> Result<()> {
        let sent = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status().context("cannot send a signal")?;
        let status = self.child.wait().context("cannot wait for the host")?;
        if !(sent.success() && status.success()) {
            bail!("the host failed ({status})");
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
