//! The services of one run of tests: started once, or not at all where the environment names others.

use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::{Cache, Instance, Kind};

/// One of each kind, for as long as this is held.
pub struct Run {
    instances: Vec<Instance>,
    variables: Vec<(&'static str, String)>,
}

impl Run {
    /// Starts side by side what the environment does not name.
    ///
    /// # Errors
    /// Everything that cannot be had or does not start, each with what to install.
    pub fn start(cache: &Cache) -> Result<Run> {
        let started: Vec<Result<(Kind, Option<Instance>)>> = thread::scope(|scope| {
            let threads = Kind::ALL.map(|kind| {
                scope.spawn(move || match named(kind) {
                    Some(_) => Ok((kind, None)),
                    None => Instance::of(kind, cache).map(|instance| (kind, Some(instance))),
                })
            });
            threads.map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("the start of a service broke off")))).into()
        });
        let mut run = Run { instances: Vec::new(), variables: Vec::new() };
        let mut failed = Vec::new();
        for outcome in started {
            match outcome {
                Ok((kind, None)) => run.variables.extend(named(kind).map(|address| (kind.variable(), address))),
                Ok((kind, Some(instance))) => {
                    run.variables.push((kind.variable(), instance.address().to_owned()));
                    run.instances.push(instance);
                }
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        if failed.is_empty() { Ok(run) } else { Err(anyhow!("{}", failed.join("\n\n"))).context("services for tests cannot be had") }
    }

    /// What tells others where the services are.
    #[must_use]
    pub fn variables(&self) -> &[(&'static str, String)] {
        &self.variables
    }

    /// The services of this run that do not run any more.
    pub fn ended(&mut self) -> Vec<Kind> {
        self.instances.iter_mut().filter_map(|instance| (!instance.is_running()).then(|| instance.kind())).collect()
    }
}

/// The services that this process started for itself. Never dropped: their guards see the process end.
static OWN: Mutex<Vec<(Kind, Instance)>> = Mutex::new(Vec::new());

/// The address of a service that the tests of this process share: the one that the environment names, else one that the
/// first who asks starts.
///
/// # Errors
/// Where there is none and it does not start.
pub fn shared(kind: Kind, cache: &Cache) -> Result<String> {
    if let Some(address) = named(kind) {
        return Ok(address);
    }
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, instance)) = own.iter().find(|(there, _)| *there == kind) {
        return Ok(instance.address().to_owned());
    }
    let instance = Instance::of(kind, cache)?;
    let address = instance.address().to_owned();
    own.push((kind, instance));
    Ok(address)
}

fn named(kind: Kind) -> Option<String> {
    std::env::var(kind.variable()).ok().filter(|address| !address.is_empty())
}
