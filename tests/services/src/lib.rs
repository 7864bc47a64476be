//! Private Apache Kafka, Consul and PostgreSQL for tests and for development: on free ports of the loopback, in fresh
//! folders, gone with whoever started them.
//!
//! Each service is had in the first of three ways that works: an address in the environment (see
//! [`Kind::variable`]), a binary on the PATH, or a download that is kept in a [`Cache`]. Where none works, the error says
//! what to install.
//!
//! ```no_run
//! use purefold_services::{Cache, Consul, Instance};
//!
//! let mut consul = Instance::consul(&Cache::new("target/services"), &Consul::default())?;
//! println!("{}", consul.address());
//! consul.pause()?;                  // as if the machine hung
//! consul.resume()?;
//! consul.kill()?;                   // as if it lost power
//! consul.start_again()?;            // at the same address, with what it had on disk
//! # anyhow::Ok(())
//! ```

mod cache;
mod certificates;
mod consul;
pub mod debian;
mod guard;
mod instance;
mod kafka;
mod ports;
mod postgres;
mod program;
mod run;

pub use cache::Cache;
pub use certificates::{Certificates, Make};
pub use consul::Consul;
pub use instance::Instance;
pub use kafka::{Login, SecureKafka};
pub use postgres::SecurePostgres;
pub use run::{Run, shared};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache Kafka, one broker that is its own controller.
    Kafka,
    /// Consul, one agent that is its own server.
    Consul,
    /// PostgreSQL, one cluster.
    Postgres,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Kafka, Kind::Consul, Kind::Postgres];

    /// Its name, as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kafka => "Kafka",
            Kind::Consul => "Consul",
            Kind::Postgres => "PostgreSQL",
        }
    }

    /// The environment variable that names one that runs already: `127.0.0.1:9092`, `http://127.0.0.1:8500`,
    /// `postgres://user:password@127.0.0.1:5432/postgres`.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Kind::Kafka => "PUREFOLD_TEST_KAFKA",
            Kind::Consul => "PUREFOLD_TEST_CONSUL",
            Kind::Postgres => "PUREFOLD_TEST_POSTGRES",
        }
    }
}
