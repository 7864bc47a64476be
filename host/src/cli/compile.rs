//! `purefold compile`, which nobody types: the child process in which a component is compiled, with limits of its own.

use std::io::{Read, stdin};
use std::sync::Arc;

use anyhow::Context;
use purefold::gate::COMPONENT_BYTES_MOST;
use purefold::sandbox::{Limits, Sandbox};
use purefold_wit::Contract;
use rustix::process::{Resource, Rlimit, nice, setrlimit};

use super::exit::Exit;

/// How far it stands back behind the host that decides.
const STANDS_BACK: i32 = 10;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Bytes that it may write to
    #[arg(long)]
    memory: u64,
    /// Seconds of processors
    #[arg(long)]
    seconds: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let limit = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    // The sandboxes' reserved address space is none that is written to.
    setrlimit(Resource::Data, limit(arguments.memory)).context("cannot limit the memory")?;
    setrlimit(Resource::Cpu, limit(arguments.seconds)).context("cannot limit the time")?;
    // Nobody waits for it once its host is gone.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).context("cannot end with the host")?;
    nice(STANDS_BACK).context("cannot stand back")?;
    let mut component = Vec::new();
    stdin().take(COMPONENT_BYTES_MOST as u64 + 1).read_to_end(&mut component).context("cannot read the component")?;
    let contract = Contract::read(&component)
        .map_err(|findings| anyhow::anyhow!("{}", findings.first().map(ToString::to_string).unwrap_or_default()))?;
    // No limit on decisions is part of what is compiled.
    Sandbox::new()?.load(&component, Arc::new(contract), Limits::default())?;
    Ok(Exit::Well)
}
