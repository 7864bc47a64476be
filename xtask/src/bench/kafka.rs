//! Events from Kafka to PostgreSQL, with the broker, the database and the host on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use purefold_services::{Cache, Instance};

use super::{Bench, COMPONENT, Scale};
use crate::process;

/// The reference workflow for production, from the root.
const WORKFLOW: &str = "reducers/registration/registration.production.toml";

/// Its catalogue, and what it is here: the agent of Consul would be a fourth that is measured.
const CONSUL: &str = "consul = \"${CONSUL_URL}\"\ntoken = \"${CONSUL_TOKEN}\"\n";
const EMBEDDED: &str = "sqlite = \"services.db\"\n";

const TOPIC: &str = "purefold.bench";

const PARTITIONS: &str = "12";

/// Events a second that must be decided and stored, whatever the intents ask for.
const LEAST_RATE: &str = "15000";

/// What a database is given that does nothing else: see `docs/guide/production.md`. Nothing of it makes a commit less durable.
pub(super) const POSTGRES: [(&str, &str); 4] =
    [("shared_buffers", "512MB"), ("wal_buffers", "32MB"), ("max_wal_size", "4GB"), ("checkpoint_timeout", "15min")];

impl Bench<'_> {
    pub(super) fn kafka(&self) -> Result<()> {
        let (nodes, events) = (self.scale.of(10_000, 100), self.scale.of(300_000, 3_000));
        println!(
            "\nfrom Kafka to PostgreSQL: {events} events of {nodes} nodes (registrations, acknowledgements, heartbeats) in {PARTITIONS} partitions,\n\
             broker, database and host on this machine, every commit synced to disk"
        );
        let kafka = Instance::kafka(&Cache::new(self.workspace.target.join("services"))).context("Kafka cannot be had")?;
        let postgres = Instance::postgres_with(&POSTGRES).context("PostgreSQL cannot be had")?;
        let mut load = Command::new(self.programs.join("load"));
        load.args(["kafka", kafka.address(), TOPIC, PARTITIONS, &nodes.to_string(), &events.to_string()]);
        process::run(&mut load)?;
        let manifest = self.with_embedded_catalogue()?;
        println!(
            "first with all intents left in the outbox, then with rows upserted in PostgreSQL, events published to Kafka, and the catalogue in SQLite"
        );
        for performed in [false, true] {
            let mut bench = self.purefold("bench", &manifest);
            bench.args(["--kafka", TOPIC, "--folder"]).arg(&self.folder).args(performed.then_some("--perform"));
            if self.scale == Scale::Full && !performed {
                bench.args(["--at-least", LEAST_RATE]);
            }
            bench.env("KAFKA_BROKERS", kafka.address()).env("DATABASE_URL", postgres.address());
            for (name, service) in [("broker", &kafka), ("database", &postgres)] {
                bench.arg("--beside").arg(format!("{name}={}", service.process()?));
            }
            process::run(&mut bench)?;
        }
        Ok(())
    }

    /// The manifest for production without Consul.
    fn with_embedded_catalogue(&self) -> Result<PathBuf> {
        let (_, manifest) = self.place("kafka", WORKFLOW, COMPONENT)?;
        let text = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        ensure!(text.contains(CONSUL), "{WORKFLOW} does not say where Consul is as it is expected here");
        fs::write(&manifest, text.replace(CONSUL, EMBEDDED)).with_context(|| format!("cannot write {}", manifest.display()))?;
        Ok(manifest)
    }
}
