//! The command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use purefold_nodes::Pace;

pub(crate) const USAGE: &str = "\
usage: purefold-nodes [--brokers HOST:PORT] [--count N] [--behaviour NAME[=N]]… [--seconds S] [--seed N]
                      [--beat-every S] [--ack-after S] [--dead-for S] [--starts-within S]
                      [--prefix NAME] [--make-topics [--partitions N]]

  --brokers        where Kafka is; else KAFKA_BROKERS, else PUREFOLD_TEST_KAFKA says it
  --count          how many nodes; 10
  --behaviour      how they live: mixed, steady, duplicates, reorders, garbles, acks-late, never-acks, acks-twice,
                   announces-again, dies, recovers; with =N so many of them, the others are steady
  --seconds        how long; 60
  --seed           what chance comes from; 1
  --beat-every     seconds between heartbeats; 30
  --ack-after      seconds from being accepted to the acknowledgement; 0.5
  --dead-for       seconds that a node is dead which comes back; 100
  --starts-within  seconds after which all have started; 5
  --prefix         how the topics' names begin; onex
  --make-topics    make the topics that are not there, with so many partitions; 6";

/// Where the brokers are, in the order in which it is looked.
const BROKERS_VARIABLES: [&str; 2] = ["KAFKA_BROKERS", "PUREFOLD_TEST_KAFKA"];

pub(crate) struct Options {
    pub(crate) brokers: String,
    pub(crate) count: usize,
    pub(crate) behaviours: Vec<String>,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) pace: Pace,
    pub(crate) prefix: String,
    pub(crate) make_topics: bool,
    pub(crate) partitions: i32,
}

/// What the command line asks for; none where it asks for help.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let brokers = BROKERS_VARIABLES.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let mut options = Options {
        brokers,
        count: 10,
        behaviours: Vec::new(),
        length: Duration::from_secs(60),
        seed: 1,
        pace: Pace::default(),
        prefix: "onex".to_owned(),
        make_topics: false,
        partitions: 6,
    };
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--brokers" => options.brokers = value()?,
            "--count" => options.count = number(&name, &value()?)?,
            "--behaviour" => options.behaviours.push(value()?),
            "--seconds" => options.length = seconds(&name, &value()?)?,
            "--seed" => options.seed = number(&name, &value()?)?,
            "--beat-every" => options.pace.beat_every = seconds(&name, &value()?)?,
            "--ack-after" => options.pace.ack_after = seconds(&name, &value()?)?,
            "--dead-for" => options.pace.dead_for = seconds(&name, &value()?)?,
            "--starts-within" => options.pace.starts_within = seconds(&name, &value()?)?,
            "--prefix" => options.prefix = value()?,
            "--make-topics" => options.make_topics = true,
            "--partitions" => options.partitions = number(&name, &value()?)?,
            other => bail!("unknown option `{other}`"),
        }
    }
    if options.brokers.is_empty() {
        bail!("no brokers; give --brokers HOST:PORT, or set {}", BROKERS_VARIABLES[0]);
    }
    Ok(Some(options))
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N>
where
    N::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().with_context(|| format!("{name} needs a number, not `{text}`"))
}

fn seconds(name: &str, text: &str) -> Result<Duration> {
    let seconds: f64 = number(name, text)?;
    Duration::try_from_secs_f64(seconds).with_context(|| format!("{name} needs seconds from 0, not `{text}`"))
}
