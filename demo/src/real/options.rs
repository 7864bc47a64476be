//! The command line of the demo on real services. xtask fills in where things are.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: purefold-demo real --host FILE --manifests DIR --reducers DIR --folder DIR
                          [--seconds N] [--seed N] [--all] [--latency RATE]

  Kafka, Consul and PostgreSQL are where PUREFOLD_TEST_KAFKA, PUREFOLD_TEST_CONSUL and PUREFOLD_TEST_POSTGRES say.

    --seconds N     how long the nodes live (default: 12)
    --seed N        another seed, other nodes (default: 1)
    --all           print whole tables
    --latency RATE  measure instead: so many nodes a second, from the event to both backends";

/// Variables that say where the services are, in this order: Kafka, Consul, PostgreSQL.
const SERVICES: [&str; 3] = ["PUREFOLD_TEST_KAFKA", "PUREFOLD_TEST_CONSUL", "PUREFOLD_TEST_POSTGRES"];

/// Where things are, and how much to do and show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The program `purefold`.
    pub(crate) host: PathBuf,
    /// The folder of the reducers' sources, where the manifests lie.
    pub(crate) manifests: PathBuf,
    /// The folder of the components.
    pub(crate) reducers: PathBuf,
    /// Where the demo may write.
    pub(crate) folder: PathBuf,
    /// How long the nodes live.
    pub(crate) length: Duration,
    /// What chance comes from.
    pub(crate) seed: u64,
    /// Print whole tables.
    pub(crate) all: bool,
    /// Measure, with so many nodes a second.
    pub(crate) rate: Option<u64>,
    /// Where Kafka, Consul and PostgreSQL are.
    pub(crate) services: [String; 3],
}

/// Reads the arguments after `real`.
///
/// # Errors
/// What is not understood or missing, in words for the user.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>, environment: impl Fn(&str) -> Option<String>) -> Result<Options, String> {
    let mut options = Options { length: Duration::from_secs(12), seed: 1, ..Options::default() };
    while let Some(name) = arguments.next() {
        if name == "--all" {
            options.all = true;
            continue;
        }
        let value = arguments.next().filter(|value| !value.is_empty()).ok_or_else(|| format!("`{name}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("`{name}` needs a number, not `{value}`"));
        match name.as_str() {
            "--host" => options.host = value.into(),
            "--manifests" => options.manifests = value.into(),
            "--reducers" => options.reducers = value.into(),
            "--folder" => options.folder = value.into(),
            "--seconds" => options.length = Duration::from_secs(number()?.max(1)),
            "--seed" => options.seed = number()?,
            "--latency" => options.rate = Some(number()?.max(1)),
            other => return Err(format!("unknown option `{other}`")),
        }
    }
    let paths =
        [("--host", &options.host), ("--manifests", &options.manifests), ("--reducers", &options.reducers), ("--folder", &options.folder)];
    if let Some((name, _)) = paths.into_iter().find(|(_, path)| path.as_os_str().is_empty()) {
        return Err(format!("`{name}` is missing"));
    }
    for (service, variable) in options.services.iter_mut().zip(SERVICES) {
        *service = environment(variable).ok_or_else(|| format!("`{variable}` does not say where the service is"))?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(str::to_owned), |name| Some(name.to_lowercase()))
    }

    #[test]
    fn options_have_defaults_and_services_come_from_the_environment() {
        let options = parsed("--host h --manifests m --reducers r --folder f --latency 100").unwrap_or_default();
        assert_eq!((options.length.as_secs(), options.seed, options.rate), (12, 1, Some(100)));
        assert_eq!(options.services[0], "purefold_test_kafka");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parsed("--host h"), Err("`--manifests` is missing".to_owned()));
        assert_eq!(parsed("--seconds soon"), Err("`--seconds` needs a number, not `soon`".to_owned()));
        let nowhere = parse("--host h --manifests m --reducers r --folder f".split(' ').map(str::to_owned), |_| None);
        assert_eq!(nowhere, Err("`PUREFOLD_TEST_KAFKA` does not say where the service is".to_owned()));
    }
}
