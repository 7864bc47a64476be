//! Where it happens: private services, the workflows as they are shipped for production, and a folder for what hosts tell.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::Command;

use purefold_nodes::Topics;
use purefold_services::{Consul, Instance};
use tempfile::TempDir;

use super::chronicle::Chronicle;
use crate::backends::cache;
use crate::program::{Done, purefold, target_folder};
use crate::repository::root;
use crate::store::Database;

/// The workflows that every host runs.
pub(super) const WORKFLOWS: [&str; 2] = ["registration", "registry"];

/// Partitions of each topic, as the guide to production has it.
const PARTITIONS: i32 = 12;

/// What the manifests take the token from. This Consul asks for none, and takes any.
const TOKEN: &str = "5ec2e700-7e57-4000-8000-00000000c0de";

/// The services, which nobody else uses.
pub(super) struct Services {
    pub(super) kafka: Instance,
    pub(super) consul: Instance,
    pub(super) postgres: Instance,
}

impl Services {
    /// Starts them side by side.
    pub(super) fn start() -> Services {
        std::thread::scope(|scope| {
            let kafka = scope.spawn(|| Instance::kafka(&cache()));
            // One that forgot its services would have to be told of them anew, which nobody does.
            let consul = scope.spawn(|| Instance::consul(&cache(), &Consul { keeps_data: true, ..Consul::default() }));
            let postgres = Instance::postgres();
            let [kafka, consul] = [kafka, consul].map(|starting| starting.join().expect("a start does not break off"));
            Services { kafka: well(kafka), consul: well(consul), postgres: well(postgres) }
        })
    }
}

/// See the module.
pub(super) struct Stage {
    pub(super) chronicle: Chronicle,
    pub(super) brokers: String,
    pub(super) consul: String,
    pub(super) database: Database,
    folder: Option<TempDir>,
    variables: Vec<(&'static str, String)>,
}

impl Stage {
    /// Makes topics, database and tables.
    pub(super) fn set(services: &Services) -> Stage {
        let (brokers, consul) = (services.kafka.address().to_owned(), services.consul.address().to_owned());
        well(Topics::default().make(&brokers, PARTITIONS));
        let database = Database::at(services.postgres.address());
        let variables = vec![
            ("KAFKA_BROKERS", brokers.clone()),
            ("DATABASE_URL", database.url.clone()),
            ("CONSUL_URL", consul.clone()),
            ("CONSUL_TOKEN", TOKEN.to_owned()),
            ("PUREFOLD_REDUCERS", target_folder().join("reducers").display().to_string()),
        ];
        let folder = Some(tempfile::tempdir().expect("a temporary folder can be made"));
        let stage = Stage { chronicle: Chronicle::begin(), brokers, consul, database, folder, variables };
        let schema = stage.ask("registration", "schema", &[]).well().out;
        stage.database.execute(&schema);
        stage
    }

    /// A command about a workflow.
    pub(super) fn command(&self, workflow: &str, name: &str, rest: &[&str]) -> Command {
        let mut command = purefold([name]);
        command.arg(manifest(workflow)).args(rest).envs(self.variables.iter().cloned());
        command
    }

    /// Runs a command about a workflow to its end.
    pub(super) fn ask(&self, workflow: &str, name: &str, rest: &[&str]) -> Done {
        self.command(workflow, name, rest).output().expect("purefold can be started").into()
    }

    /// A host of that name, ready to start.
    pub(super) fn host(&self, name: &str) -> Command {
        let [first, others @ ..] = WORKFLOWS;
        let mut command = self.command(first, "run", &["--admin", "127.0.0.1:0", "--name", name]);
        command.args(others.map(manifest));
        command
    }

    /// Where a host's log is.
    pub(super) fn log(&self, host: &str) -> PathBuf {
        self.folder.as_ref().expect("it is there until the end").path().join(format!("{host}.log"))
    }
}

impl Drop for Stage {
    /// Where a test fails, what hosts told is kept.
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take()
            && std::thread::panicking()
        {
            eprintln!("the hosts' logs are in {}", folder.keep().display());
        }
    }
}

/// The manifest that is shipped.
pub(super) fn manifest(workflow: &str) -> PathBuf {
    root().join(format!("reducers/{workflow}/{workflow}.production.toml"))
}

/// What cannot fail for a reason that is tested here.
#[track_caller]
pub(super) fn well<T>(result: Result<T, impl Display>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
