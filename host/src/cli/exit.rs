//! Exit codes.

use std::io;
use std::process::ExitCode;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Well,
    /// 1: a negative answer.
    Negative,
    /// 2: wrong usage or input.
    Wrong,
}

/// 3: the environment failed.
const ENVIRONMENT_FAILED: u8 = 3;

pub(super) const HELP: &str =
    "Exit codes: 0 well, 1 a negative answer, 2 wrong usage or input (every problem is listed), 3 the environment failed";

/// The exit code; an error is told and counts as the environment's.
pub(super) fn code(done: anyhow::Result<Exit>) -> ExitCode {
    match done {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Negative) => ExitCode::from(1),
        Ok(Exit::Wrong) => ExitCode::from(2),
        // Whoever reads the results has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(ENVIRONMENT_FAILED)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
