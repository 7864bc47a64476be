//! Set-up and chores, as `cargo xtask <command>`: one command builds, one tests, one shows the demo, on a machine that
//! has nothing but a Rust toolchain and a C compiler.

#![allow(clippy::print_stdout, reason = "a chore's progress is its result")]

mod bench;
mod chaos;
mod command_line;
mod crashes;
mod demo;
mod deny;
mod golden;
mod host;
mod hostile;
mod languages;
mod nodes;
mod process;
mod reducers;
mod services;
mod simulate;
mod source_gate;
mod steps;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::{Context, Result};
use bench::{Part, Scale};
use command_line::Command;
use host::Profile;
use workspace::Workspace;

fn main() -> ExitCode {
    let command = match command_line::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("xtask: {error}\n\n{}", command_line::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    if *command == Command::Help {
        println!("{}", command_line::USAGE);
        return Ok(());
    }
    let workspace = Workspace::find()?;
    match command {
        Command::Help => Ok(()),
        Command::Build => build(&workspace),
        Command::Reducers { fixtures } => {
            toolchain::ensure_wasm_target(&workspace)?;
            reducers::build(&workspace, Profile::Dev)?;
            if *fixtures { reducers::build_fixtures(&workspace, Profile::Dev) } else { Ok(()) }
        }
        Command::Languages => {
            ensure_compilers(&workspace)?;
            languages::build(&workspace, Profile::Dev)
        }
        Command::Test { steps } => test::run(&workspace, steps),
        Command::Demo { arguments } => {
            build(&workspace)?;
            demo::run(&workspace, arguments)
        }
        Command::DemoReal { arguments } => {
            build(&workspace)?;
            demo::run_real(&workspace, Profile::Release, arguments)
        }
        Command::Bench { parts, scale } => {
            match scale {
                Scale::Full => build(&workspace)?,
                Scale::Trial => {
                    ensure_compilers(&workspace)?;
                    reducers::build(&workspace, Profile::Dev)?;
                }
            }
            if parts.is_empty() || parts.contains(&Part::Timers) || parts.contains(&Part::Swap) {
                reducers::build_fixtures(&workspace, scale.profile())?;
            }
            bench::run(&workspace, parts, *scale)
        }
        Command::Simulate(seeds) => {
            ensure_compilers(&workspace)?;
            reducers::build_fixtures(&workspace, Profile::Release)?;
            simulate::run(&workspace, *seeds)
        }
        Command::Crashes(kills) => {
            ensure_compilers(&workspace)?;
            reducers::build(&workspace, Profile::Dev)?;
            crashes::run(&workspace, *kills)
        }
        Command::Swaps(swaps) => {
            ensure_compilers(&workspace)?;
            reducers::build_fixtures(&workspace, Profile::Release)?;
            crashes::swap(&workspace, *swaps)
        }
        Command::Chaos(trouble) => {
            ensure_compilers(&workspace)?;
            reducers::build(&workspace, Profile::Dev)?;
            chaos::run(&workspace, *trouble)
        }
        Command::Golden => {
            ensure_compilers(&workspace)?;
            reducers::build(&workspace, Profile::Dev)?;
            reducers::build_fixtures(&workspace, Profile::Dev)?;
            golden::run(&workspace)
        }
        Command::Hostile(inputs) => {
            toolchain::ensure_c_compiler()?;
            hostile::run(&workspace, *inputs)
        }
        Command::Services => services::keep(&workspace),
        Command::Nodes { arguments } => {
            ensure_compilers(&workspace)?;
            nodes::run(&workspace, arguments)
        }
        Command::DemoEvents => demo::write_events(&workspace),
    }
}

/// What hosts and reducers are compiled with.
fn ensure_compilers(workspace: &Workspace) -> Result<()> {
    toolchain::ensure_c_compiler()?;
    toolchain::ensure_wasm_target(workspace)
}

/// Everything that a user needs: the host and the reducers, and beside the host the demo's program, for which there is
/// little more to build.
fn build(workspace: &Workspace) -> Result<()> {
    ensure_compilers(workspace)?;
    println!("building the host (release)");
    let folder = host::programs(workspace, Profile::Release, &["purefold", "purefold-demo"]).context("the host was not built")?;
    println!("built {}", workspace.shown(&folder.join("purefold")));
    reducers::build(workspace, Profile::Release)?;
    source_gate::check_reducers(workspace)
}
