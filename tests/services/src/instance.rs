//! One private service.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::guard::{Guarded, LOOK_EVERY};
use crate::{Cache, Consul, Kind, Make, SecureKafka, SecurePostgres, consul, kafka, postgres};

/// Longest wait until a service is ready, on a machine that is busy compiling.
const READY_MAX: Duration = Duration::from_secs(120);

/// How often a service is started anew on other ports, because somebody took one between its choice and its use.
const STARTS_MAX: usize = 3;

/// Of a service's log, as much as is told where it did not start.
const LOG_BYTES_TOLD: usize = 4_000;

/// What a kind of service has of its own: how to start it, when it is ready, how it ends.
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// Where clients find it.
    pub(crate) address: String,
    /// What to start, now and after each end.
    pub(crate) command: Command,
    /// The signal by which it ends in good order.
    pub(crate) stop: &'static str,
    /// The signal by which it ends at once and leaves nothing behind, when its data is no longer wanted.
    pub(crate) end: &'static str,
    /// Whether it serves.
    pub(crate) is_ready: Box<dyn Fn(&Path) -> bool + Send + Sync>,
}

/// A private service: a process, a folder, a port. It ends when this is dropped or the process that holds this is gone.
pub struct Instance {
    // Dropped in this order: the process before its folder.
    process: Option<Guarded>,
    plan: Plan,
    folder: TempDir,
}

impl Instance {
    /// A Kafka broker. Its address is `127.0.0.1:PORT`; topics are made by whoever wants them.
    ///
    /// # Errors
    /// Where it cannot be had or does not start; the error says what to install.
    pub fn kafka(cache: &Cache) -> Result<Instance> {
        Instance::start(|folder| kafka::plan(cache, folder, None))
    }

    /// A Kafka broker that listens in two more ways; its address is the one without TLS. `make` makes its certificates,
    /// which go with it.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn secure_kafka(cache: &Cache, make: &Make) -> Result<(Instance, SecureKafka)> {
        Instance::start_secure(|folder, secure| kafka::plan(cache, folder, Some(secure)), |folder| SecureKafka::make(folder, make))
    }

    /// A Consul agent. Its address is `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn consul(cache: &Cache, options: &Consul) -> Result<Instance> {
        Instance::start(|folder| consul::plan(cache, folder, options))
    }

    /// A PostgreSQL cluster. Its address is a URL with a superuser's name and password.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn postgres() -> Result<Instance> {
        Instance::postgres_with(&[])
    }

    /// As [`Instance::postgres`], with settings of the server by name.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn postgres_with(settings: &[(&str, &str)]) -> Result<Instance> {
        Instance::start(|folder| postgres::plan(folder, settings, None))
    }

    /// A PostgreSQL cluster with TLS, where only the superuser may do without. `make` makes its certificates, which go
    /// with it.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn secure_postgres(make: &Make) -> Result<(Instance, SecurePostgres)> {
        Instance::start_secure(|folder, secure| postgres::plan(folder, &[], Some(secure)), |folder| Ok(SecurePostgres::make(folder, make)))
    }

    /// A service of that kind with nothing special about it.
    ///
    /// # Errors
    /// As [`Instance::kafka`].
    pub fn of(kind: Kind, cache: &Cache) -> Result<Instance> {
        match kind {
            Kind::Kafka => Instance::kafka(cache),
            Kind::Consul => Instance::consul(cache, &Consul::default()),
            Kind::Postgres => Instance::postgres(),
        }
    }

    /// Starts a service with what has to be there before it is planned.
    fn start_secure<S>(plan: impl Fn(&Path, &S) -> Result<Plan>, make: impl Fn(&Path) -> Result<S>) -> Result<(Instance, S)> {
        let made = RefCell::new(None);
        let instance = Instance::start(|folder| {
            let secure = make(folder)?;
            let planned = plan(folder, &secure)?;
            *made.borrow_mut() = Some(secure);
            Ok(planned)
        })?;
        Ok((instance, made.into_inner().context("what started was planned")?))
    }

    fn start(plan: impl Fn(&Path) -> Result<Plan>) -> Result<Instance> {
        let mut failed = None;
        for _ in 0..STARTS_MAX {
            let folder = tempfile::Builder::new().prefix("purefold-service-").tempdir().context("cannot make a temporary folder")?;
            let plan = plan(folder.path())?;
            let mut instance = Instance { process: None, plan, folder };
            match instance.start_again() {
                Ok(()) => return Ok(instance),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("no start was tried")))
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.plan.address
    }

    /// What kind of service it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.plan.kind
    }

    /// The number of its process, the first of them where it has several.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn process(&self) -> Result<u32> {
        self.running().map(Guarded::service)
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Guarded::is_running)
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pause(&self) -> Result<()> {
        self.running()?.stop_all()
    }

    /// Lets it go on after [`Instance::pause`].
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running()?.signal_all("CONT")
    }

    /// Ends it without warning (SIGKILL). What it had on disk stays.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.running()?.signal_all("KILL")?;
        self.ended()
    }

    /// Ends it in good order. What it had on disk stays.
    ///
    /// # Errors
    /// Where it does not run, or does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.running()?.signal(self.plan.stop)?;
        self.ended()
    }

    /// Ends it at once, by the signal that it knows for that where it knows one: PostgreSQL's immediate shutdown (SIGQUIT), else
    /// SIGKILL. What it had on disk stays.
    ///
    /// # Errors
    /// Where it does not run, or does not end.
    pub fn stop_at_once(&mut self) -> Result<()> {
        self.running()?.signal(self.plan.end)?;
        self.ended()
    }

    /// Starts it at the same address with what it has on disk, and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not come up; the error shows the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        let name = self.plan.kind.name();
        if self.is_running() {
            bail!("{name} runs already");
        }
        // A log of an earlier life must not be read as this one's.
        let log = self.folder.path().join("log");
        let _ = fs::remove_file(&log);
        let mut process =
            Guarded::start(&self.plan.command, self.folder.path(), self.plan.end).with_context(|| format!("cannot start {name}"))?;
        let begun = Instant::now();
        while !(self.plan.is_ready)(self.folder.path()) {
            let running = process.is_running();
            if !running || begun.elapsed() > READY_MAX {
                let how = if running { "is not ready in time" } else { "ended at its start" };
                let said = fs::read(&log).unwrap_or_default();
                let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LOG_BYTES_TOLD)..]).into_owned();
                bail!("{name} {how}; its log ends:\n{said}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.process = Some(process);
        Ok(())
    }

    fn running(&self) -> Result<&Guarded> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.plan.kind.name()))
    }

    fn ended(&mut self) -> Result<()> {
        match self.process.as_mut() {
            Some(process) => process.ended().map(|()| self.process = None),
            None => Ok(()),
        }
    }
}
