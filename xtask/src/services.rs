//! Kafka, Consul and PostgreSQL for tests and for development.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use purefold_services::{Cache, Run};

use crate::workspace::Workspace;

/// How often it is looked whether the services still run.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Services that are being started.
pub(crate) struct Starting(JoinHandle<Result<Run>>);

impl Starting {
    /// Starts them on a thread of their own, so that something else can be done meanwhile.
    pub(crate) fn begin(workspace: &Workspace) -> Starting {
        let cache = Cache::new(workspace.target.join("services"));
        Starting(thread::spawn(move || Run::start(&cache)))
    }

    /// Waits until they serve. They end when what this gives is dropped, or this process is gone.
    ///
    /// # Errors
    /// What cannot be had, and what to install.
    pub(crate) fn ready(self) -> Result<Run> {
        self.0.join().unwrap_or_else(|_| Err(anyhow!("the start of the services broke off")))
    }
}

/// Keeps the services up until it is interrupted.
///
/// # Errors
/// Where one cannot be had, or ends.
pub(crate) fn keep(workspace: &Workspace) -> Result<()> {
    let mut run = Starting::begin(workspace).ready()?;
    for (name, address) in run.variables() {
        println!("export {name}={address}");
    }
    eprintln!("they run, in fresh folders, until you interrupt this (Ctrl-C)");
    loop {
        thread::sleep(LOOK_EVERY);
        if let Some(kind) = run.ended().first() {
            bail!("{} has ended", kind.name());
        }
    }
}
