//! `cargo xtask test`: every check of the repository, the same here and in CI.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::host::Profile;
use crate::services::Starting;
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{deny, languages, process, reducers, source_gate, toolchain};

/// One of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Toolchain,
    Format,
    Clippy,
    Layering,
    Deny,
    Reducers,
    SourceGate,
    Languages,
    Tests,
}

impl Step {
    /// All of them, in the order in which they are done.
    pub(crate) const ALL: [Step; 9] = [
        Step::Toolchain,
        Step::Format,
        Step::Clippy,
        Step::Layering,
        Step::Deny,
        Step::Reducers,
        Step::SourceGate,
        Step::Languages,
        Step::Tests,
    ];

    /// As the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Step::Toolchain => "toolchain",
            Step::Format => "format",
            Step::Clippy => "clippy",
            Step::Layering => "layering",
            Step::Deny => "deny",
            Step::Reducers => "reducers",
            Step::SourceGate => "source-gate",
            Step::Languages => "languages",
            Step::Tests => "tests",
        }
    }

    /// The step called `name`.
    ///
    /// # Errors
    /// Where there is none; the error lists those there are.
    pub(crate) fn named(name: &str) -> Result<Step, String> {
        let known = || Step::ALL.map(Step::name).join(" ");
        Step::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| format!("unknown step `{name}`; the steps are: {}", known()))
    }

    fn what(self) -> &'static str {
        match self {
            Step::Toolchain => "the wasm target, clippy, rustfmt and a C compiler are there",
            Step::Format => "the code is as rustfmt writes it",
            Step::Clippy => "no warning of the compiler or clippy",
            Step::Layering => "wit <- effects <- host, and no domain below a reducer",
            Step::Deny => "licences, doubled crates, sources, vulnerabilities",
            Step::Reducers => "the reducers and the deliberately bad ones are built",
            Step::SourceGate => "reducers pass the source gate, and each bad one is caught by its lint",
            Step::Languages => "reducers in C and JavaScript are built and admitted, and their own tests pass",
            Step::Tests => "unit, property, integration and documentation tests, with Kafka, Consul and PostgreSQL",
        }
    }
}

/// How long all of it may take, on a machine with two cores that has built nothing yet.
const TIME_MAX: Duration = Duration::from_secs(45 * 60);

/// Does the steps, all of them where none is named.
///
/// # Errors
/// That of the first step that fails.
pub(crate) fn run(workspace: &Workspace, steps: &[Step]) -> Result<()> {
    let chosen = if steps.is_empty() { &Step::ALL } else { steps };
    let mut progress = Steps::new(chosen.len());
    let mut totals = None;
    for step in chosen {
        let outcome = progress.step(step.name(), step.what(), || perform(workspace, *step))?;
        totals = outcome.or(totals);
    }
    println!("\n{}", progress.summary());
    if let Some(told) = progress.overlong(TIME_MAX) {
        println!("\n{told}");
    }
    if let Some(totals) = totals {
        println!("\n{}", totals.line());
    }
    Ok(())
}

fn perform(workspace: &Workspace, step: Step) -> Result<Option<Totals>> {
    let cargo = |arguments: &[&str]| process::run(process::cargo(&workspace.root).args(arguments));
    match step {
        Step::Toolchain => {
            toolchain::ensure_c_compiler()?;
            toolchain::ensure_wasm_target(workspace)?;
            toolchain::ensure_components(workspace)?;
        }
        Step::Format => cargo(&["fmt", "--all", "--check"]).context("`cargo fmt --all` mends it")?,
        Step::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?,
        Step::Layering => {
            build_tests(workspace)?;
            cargo(&["test", "--quiet", "--workspace", "--test", "integration", "layering::"])?;
        }
        Step::Deny => deny::check(workspace)?,
        Step::Reducers => {
            reducers::build(workspace, Profile::Dev)?;
            reducers::build_fixtures(workspace, Profile::Dev)?;
        }
        Step::SourceGate => {
            source_gate::check_reducers(workspace)?;
            source_gate::check_fixtures(workspace)?;
        }
        Step::Languages => {
            languages::build(workspace, Profile::Dev)?;
            languages::test(workspace)?;
        }
        Step::Tests => {
            let services = Starting::begin(workspace);
            build_tests(workspace)?;
            // Held until the tests have ended, however they do.
            let services = services.ready()?;
            return run_tests(workspace, services.variables()).map(Some);
        }
    }
    Ok(None)
}

/// Builds the tests and, what `cargo test` alone would not, the host's program that they start.
fn build_tests(workspace: &Workspace) -> Result<()> {
    process::run(process::cargo(&workspace.root).args(["build", "--workspace", "--bins", "--tests"]))
}

fn run_tests(workspace: &Workspace, services: &[(&str, String)]) -> Result<Totals> {
    // Without --no-fail-fast the first failing crate would hide what the others have to say.
    let mut command = process::cargo(&workspace.root);
    command.args(["test", "--workspace", "--no-fail-fast"]).stdout(Stdio::piped());
    command.envs(services.iter().map(|(name, address)| (name, address)));
    let mut child = command.spawn().context("cannot start `cargo test`")?;
    let printed = child.stdout.take().context("`cargo test` has no output")?;
    let mut totals = Totals::default();
    for line in BufReader::new(printed).lines() {
        let line = line.context("cannot read what `cargo test` prints")?;
        println!("{line}");
        if let Some(result) = Totals::read(&line) {
            totals += result;
        }
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    if !status.success() {
        bail!("`cargo test --workspace` failed ({status}): {}", totals.line());
    }
    ensure!(totals.passed > 0, "`cargo test --workspace` ran no test");
    Ok(totals)
}

/// How many tests came to what, over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// The totals of one program, from the line that it ends with: `test result: ok. 7 passed; 0 failed; 1 ignored; …`.
    fn read(line: &str) -> Option<Totals> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        let count = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
        Some(Totals { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
    }

    fn line(self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.ignored)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn totals_are_read_from_the_last_line_of_each_program() {
        let line = "test result: ok. 7 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.43s";
        assert_eq!(Totals::read(line), Some(Totals { passed: 7, failed: 2, ignored: 1 }));
        assert_eq!(
            Totals::read("test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured"),
            Some(Totals { passed: 0, failed: 1, ignored: 0 })
        );
        assert_eq!(Totals::read("test engine::goes_on ... ok"), None);
    }

    #[test]
    fn totals_add_up_and_are_told_in_one_line() {
        let mut totals = Totals { passed: 1, failed: 0, ignored: 2 };
        totals += Totals { passed: 10, failed: 3, ignored: 0 };
        assert_eq!(totals.line(), "11 passed, 3 failed, 2 skipped");
    }
}
