//! The command line: one module for each command. Results go to standard output, everything else to standard error.

mod check;
mod component;
mod exit;
mod machine;
mod open;
mod reduce;
mod report;
mod run;
mod table;

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
    /// Decide one line at a time: JSON lines in, one JSON line out for each
    Reduce(reduce::Arguments),
    /// Draw the state machine that a workflow declares
    Machine(machine::Arguments),
    /// Make a component of a core module that `wit-bindgen` made
    Component(component::Arguments),
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    // A wrong command line ends here, with exit code 2.
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Reduce(arguments) => reduce::run(&arguments),
        Command::Machine(arguments) => machine::run(&arguments),
        Command::Component(arguments) => component::run(&arguments),
    };
    exit::code(done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
