//! The command line: one module for each command. Results go to standard output, everything else to standard error.

mod ask;
mod bench;
mod bisect;
mod budget;
mod certify;
mod check;
mod compile;
mod component;
mod dead_letters;
mod deploy;
mod entity;
mod erase;
mod exit;
mod explain;
mod explore;
mod export;
mod folder;
mod fuzz;
mod import;
mod intents;
mod journal;
mod json;
mod key;
mod logging;
mod machine;
mod migrate;
mod minimise;
mod new;
mod open;
mod parked;
mod pause;
mod radius;
mod reduce;
mod releases;
mod replay;
mod report;
mod run;
mod schema;
mod shadow;
mod sign;
mod source;
mod state;
mod status;
mod table;
mod test;
mod truncate;
mod trusted;
mod verify;
mod warrant;
mod watch;
mod what_if;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs business logic as pure reducers in a WebAssembly sandbox.
#[derive(Parser)]
#[command(name = "purefold", version, about, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell everything that is wrong with workflows and components
    Check(check::Arguments),
    /// Run workflows until stopped, or until everything is done
    Run(run::Arguments),
    /// Bring another component, or another manifest, into force, while hosts run or not
    Deploy(deploy::Arguments),
    /// Bring an earlier release into force again
    Rollback(deploy::RollbackArguments),
    /// Take states over by the release in force now
    Migrate(migrate::Arguments),
    /// Show which releases there were, and which are in force where
    Releases(releases::Arguments),
    /// Compile the component on standard input, within limits
    #[command(hide = true)]
    Compile(compile::Arguments),
    /// Check the journal and execute every decision again
    Verify(verify::Arguments),
    /// Take recorded history through another component and tell what it would have decided otherwise
    Replay(replay::Arguments),
    /// Tell which input and which release last changed each field of an entity's state
    Explain(explain::Arguments),
    /// Tell by which release and which event a property of states first came to hold
    Bisect(bisect::Arguments),
    /// Decide an entity's history anew with inputs changed, left out or put in
    WhatIf(what_if::Arguments),
    /// Find the shortest part of an entity's history that still shows something, as a scenario
    Minimise(minimise::Arguments),
    /// Write an audit bundle: a workflow's history with all that is needed to execute it again, in one file
    Export(export::Arguments),
    /// Make a fresh store of an audit bundle, for all commands that read one
    Import(import::Arguments),
    /// Measure decisions and the durable pipeline with a workflow's own reducer
    Bench(bench::Arguments),
    /// Decide one line at a time: JSON lines in, one JSON line out for each
    Reduce(reduce::Arguments),
    /// Show the state of one entity, now or earlier, or of all
    State(state::Arguments),
    /// Show what was decided, on what, and what came of it
    Journal(journal::Arguments),
    /// Show how a workflow stands, on one screen
    Status(status::Arguments),
    /// Show the intents that are not concluded, or all; have them tried again, or give them up
    Intents(intents::Arguments),
    /// Show events that could not be taken; have them decided after all, or drop them
    DeadLetters(dead_letters::Arguments),
    /// Show entities that a fault has stopped; let them go on, or drop the faulting input
    Parked(parked::Arguments),
    /// Have a workflow, one of its effects or one of its entities stand still
    Pause(pause::Arguments),
    /// Have what was paused go on
    Resume(pause::Arguments),
    /// Show how far partitions were read, or set it
    Source(source::Arguments),
    /// Erase what the journal holds of one entity
    Erase(erase::Arguments),
    /// Forget now what the manifest's retention calls old
    Truncate(truncate::Arguments),
    /// Draw the state machine that a workflow declares
    Machine(machine::Arguments),
    /// Print the SQL that makes the tables which a workflow's effects write to
    Schema(schema::Arguments),
    /// Make a pair of keys to sign with
    Key(key::Arguments),
    /// Sign a component, or any other file
    Sign(sign::Arguments),
    /// Find out what can be said for a component, and write it into a certificate that is signed
    Certify(certify::Arguments),
    /// Make a component of a core module that `wit-bindgen` made
    Component(component::Arguments),
    /// Make a reducer's project that builds, tests and passes the gates
    New(new::Arguments),
    /// Play a workflow's scenarios, and tell what is not as they expect it
    Test(test::Arguments),
    /// Try whatever can happen to a workflow in every order, and tell the shortest way to something wrong
    Explore(explore::Arguments),
    /// Feed a reducer with typed values that nobody thought of, and tell what goes wrong
    Fuzz(fuzz::Arguments),
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    // A wrong command line ends here, with exit code 2.
    let cli = Cli::parse();
    logging::set_up();
    let done = match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Deploy(arguments) => deploy::run(&arguments),
        Command::Rollback(arguments) => deploy::roll_back(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Releases(arguments) => releases::run(&arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Bisect(arguments) => bisect::run(&arguments),
        Command::WhatIf(arguments) => what_if::run(&arguments),
        Command::Minimise(arguments) => minimise::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Reduce(arguments) => reduce::run(&arguments),
        Command::State(arguments) => state::run(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::Intents(arguments) => intents::run(&arguments),
        Command::DeadLetters(arguments) => dead_letters::run(&arguments),
        Command::Parked(arguments) => parked::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Pause(arguments) => pause::run(&arguments, "pause"),
        Command::Resume(arguments) => pause::run(&arguments, "resume"),
        Command::Source(arguments) => source::run(&arguments),
        Command::Erase(arguments) => erase::run(&arguments),
        Command::Truncate(arguments) => truncate::run(&arguments),
        Command::Machine(arguments) => machine::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Certify(arguments) => certify::run(&arguments),
        Command::Component(arguments) => component::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explore(arguments) => explore::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
    };
    exit::code(done)
}

#[cfg(test)]
#[path = "../workflow/tests/reducer.rs"]
mod test_reducer;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
