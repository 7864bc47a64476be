//! What has to be there before the host: topics, a database with its tables, and the environment that the manifests want.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use purefold_nodes::{Bus, Fleet, READ_BY_NODES, Topics};

use super::database::Database;
use super::host::Host;
use super::options::Options;

/// Partitions of each topic.
const PARTITIONS: i32 = 6;

/// The token for a Consul that asks for none.
const NO_TOKEN: &str = "none";

/// Longest wait for something to hear, so that nothing that falls due is late by much.
const HEAR_MAX: Duration = Duration::from_millis(5);

/// The services, made ready.
pub(super) struct Stage {
    program: PathBuf,
    manifests: [PathBuf; 2],
    variables: [(&'static str, String); 6],
    pub(super) database: Database,
    pub(super) consul: String,
    pub(super) brokers: String,
    pub(super) topics: Topics,
}

impl Stage {
    /// Makes what is not there.
    pub(super) fn set(options: &Options) -> Result<Stage> {
        let [brokers, consul, postgres] = options.services.clone();
        println!("Kafka at {brokers}, Consul at {consul}, PostgreSQL");
        let topics = Topics::default();
        topics.make(&brokers, PARTITIONS)?;
        let database = Database::make(&postgres)?;
        let manifest = |name: &str| options.manifests.join(name).join(format!("{name}.production.toml"));
        let variables = [
            ("KAFKA_BROKERS", brokers.clone()),
            ("DATABASE_URL", database.url.clone()),
            ("CONSUL_URL", consul.clone()),
            ("CONSUL_TOKEN", NO_TOKEN.to_owned()),
            ("PUREFOLD_REDUCERS", options.reducers.display().to_string()),
            ("PUREFOLD_CACHE", options.folder.join("cache").display().to_string()),
        ];
        std::fs::create_dir_all(&options.folder).with_context(|| format!("cannot create the folder {}", options.folder.display()))?;
        let manifests = [manifest("registration"), manifest("registry")];
        let stage = Stage { program: options.host.clone(), manifests, variables, database, consul, brokers, topics };
        stage.make_tables()?;
        Ok(stage)
    }

    fn make_tables(&self) -> Result<()> {
        let output = self.command("schema").arg(&self.manifests[0]).output().context("cannot start the host")?;
        if !output.status.success() {
            bail!("`purefold schema` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        self.database.execute(&String::from_utf8_lossy(&output.stdout))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the host with both workflows.
    pub(super) fn start(&self) -> Result<Host> {
        let mut command = self.command("run");
        command.args(&self.manifests).args(["--name", "registry-1", "--admin", "127.0.0.1:0"]);
        let [registration, registry] = &self.manifests;
        println!("\n$ purefold run {} {} --name registry-1 --admin 127.0.0.1:0", registration.display(), registry.display());
        Host::start(&mut command)
    }

    /// Has a fleet live for so long.
    pub(super) fn live(&self, fleet: &mut Fleet, length: Duration) -> Result<()> {
        let bus = self.bus(&READ_BY_NODES)?;
        let begun = Instant::now();
        while begun.elapsed() < length {
            for outgoing in fleet.advance(now())? {
                bus.send(&outgoing)?;
            }
            while let Some(received) = bus.hear(HEAR_MAX) {
                fleet.hear(&received, now());
            }
        }
        bus.flush()
    }

    /// A connection to the brokers that hears these topics from now on.
    pub(super) fn bus(&self, heard: &[&str]) -> Result<Bus> {
        Bus::connect(&self.brokers, self.topics.clone(), heard)
    }

    /// Has both workflows verified; false where something was found.
    pub(super) fn verify(&self) -> Result<bool> {
        let mut well = true;
        for manifest in &self.manifests {
            println!("$ purefold verify {}", manifest.display());
            well &= self.command("verify").arg(manifest).status().context("cannot start the host")?.success();
        }
        Ok(well)
    }
}

/// Microseconds since the epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
