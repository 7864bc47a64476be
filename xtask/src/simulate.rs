//! `cargo xtask simulate`: the simulation, over as many seeds as one likes.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Which seeds to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Default for Seeds {
    fn default() -> Self {
        Seeds { first: 1, count: 10_000 }
    }
}

impl Seeds {
    /// Reads the options.
    ///
    /// # Errors
    /// What is not understood, in words for the user.
    pub(crate) fn read(arguments: &[String]) -> Result<Seeds, String> {
        let mut seeds = Seeds::default();
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            let target = match option.as_str() {
                "--seeds" => &mut seeds.count,
                "--first" => &mut seeds.first,
                other => return Err(format!("`simulate` takes --seeds N and --first SEED, not `{other}`")),
            };
            let text = arguments.next().ok_or_else(|| format!("{option} needs a number"))?;
            *target = text.parse().map_err(|_| format!("{option} needs a number, not `{text}`"))?;
        }
        Ok(seeds)
    }
}

/// Runs `seeds` in a release build, on all processors. The simulated components are built already.
///
/// # Errors
/// Where a seed goes wrong: what is printed says which and how to run it again.
pub(crate) fn run(workspace: &Workspace, seeds: Seeds) -> Result<()> {
    println!("simulating {} seeds from {} on", seeds.count, seeds.first);
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--release", "--quiet", "--workspace", "--lib", "--"]);
    cargo.args(["--exact", "engine::simulation::tests::whatever_fails_nothing_is_lost_repeated_or_left_hanging", "--nocapture"]);
    cargo.env("PUREFOLD_SIMULATION_FIRST", seeds.first.to_string()).env("PUREFOLD_SIMULATION_SEEDS", seeds.count.to_string());
    process::run(&mut cargo).context("the simulation found something")
}

#[cfg(test)]
mod tests {
    use super::Seeds;

    fn read(line: &str) -> Result<Seeds, String> {
        Seeds::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn seeds_are_read() {
        assert_eq!(read(""), Ok(Seeds::default()));
        assert_eq!(read("--seeds 5 --first 9"), Ok(Seeds { first: 9, count: 5 }));
        assert!(read("--seeds").is_err_and(|error| error.contains("--seeds needs a number")));
        assert!(read("--seeds many").is_err_and(|error| error.contains("`many`")));
        assert!(read("5").is_err_and(|error| error.contains("`5`")));
    }
}
