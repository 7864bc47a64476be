//! The demo of the reference workflow. `cargo xtask demo` builds everything and starts it; with `--real` on Kafka, Consul and PostgreSQL.
//!
//! Unlike xtask and the host it knows the domain: which nodes there are, what their rows mean.

#![allow(clippy::print_stdout, reason = "the report is this program's result")]

mod folder;
mod host;
mod options;
mod real;
mod report;
mod stream;

use std::process::ExitCode;

use anyhow::Result;
use options::{Command, Options};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "real").is_some() {
        return real(arguments);
    }
    let command = match options::parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("demo: {error}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Events => stream::generate().map(|stream| print!("{stream}")),
        Command::Run(options) => run(&options),
    };
    ended(done)
}

/// The demo on real services.
fn real(arguments: impl Iterator<Item = String>) -> ExitCode {
    match real::parse(arguments, |name| std::env::var(name).ok()) {
        Ok(options) => ended(real::run(&options)),
        Err(error) => {
            eprintln!("demo: {error}\n\n{}", real::USAGE);
            ExitCode::from(2)
        }
    }
}

fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let manifest = folder::prepare(options)?;
    let host = host::Host::new(options, manifest);
    host.run()?;
    report::print(&host, options)
}
