//! Exit codes.

use std::io;
use std::process::ExitCode;

use purefold::engine::EngineError;
use purefold::replay::ReplayError;
use purefold::source::SourceError;
use purefold::store::StoreError;
use purefold::workflow;
use purefold_wit::Finding;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Well,
    /// 1: a negative answer.
    Negative,
    /// 2: wrong usage or input.
    Wrong,
    /// 3: the environment failed, which was told already.
    Failed,
}

impl Exit {
    /// Of a command that `findings` kept from its work.
    pub(super) fn of(findings: &[Finding]) -> Exit {
        if workflow::only_away(findings) { Exit::Failed } else { Exit::Wrong }
    }
}

const WRONG: u8 = 2;

/// 3: the environment failed.
const ENVIRONMENT_FAILED: u8 = 3;

pub(super) const HELP: &str =
    "Exit codes: 0 well, 1 a negative answer, 2 wrong usage or input (every problem is listed), 3 the environment failed";

/// The exit code; an error is told and counts as the environment's where the user's input is not what is wrong.
pub(super) fn code(done: anyhow::Result<Exit>) -> ExitCode {
    match done {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Negative) => ExitCode::from(1),
        Ok(Exit::Wrong) => ExitCode::from(WRONG),
        Ok(Exit::Failed) => ExitCode::from(ENVIRONMENT_FAILED),
        // Whoever reads the results has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if is_wrong_input(&error) { WRONG } else { ENVIRONMENT_FAILED })
        }
    }
}

/// Whether the user can put it right by naming something else, in contrast to a failing environment.
fn is_wrong_input(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(engine_was_asked_wrongly)
            || cause.downcast_ref().is_some_and(store_is_another)
            || cause.downcast_ref().is_some_and(replay_was_asked_wrongly)
            || cause.downcast_ref::<io::Error>().is_some_and(is_not_there)
    })
}

fn engine_was_asked_wrongly(error: &EngineError) -> bool {
    match error {
        EngineError::OtherClock { .. } | EngineError::Release { .. } => true,
        EngineError::Source(SourceError::Read { cause, .. }) => is_not_there(cause),
        EngineError::Source(source) => matches!(
            source,
            SourceError::BeyondEnd { .. }
                | SourceError::Replaced { .. }
                | SourceError::Unclear { .. }
                | SourceError::KafkaUnusable { .. }
                | SourceError::KafkaFenced { .. }
                | SourceError::KafkaBeyondEnd { .. }
                | SourceError::KafkaExpired { .. }
                | SourceError::KafkaReplaced { .. }
        ),
        EngineError::Store(error) => store_is_another(error),
        _ => false,
    }
}

fn store_is_another(error: &StoreError) -> bool {
    matches!(error, StoreError::Missing { .. } | StoreError::OtherJournal { .. } | StoreError::OtherVersion { .. })
}

fn replay_was_asked_wrongly(error: &ReplayError) -> bool {
    matches!(error, ReplayError::Edit { .. } | ReplayError::Progress { .. } | ReplayError::Release { .. })
}

/// Nothing is there by that name, or a folder.
fn is_not_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn what_is_not_there_is_the_users_and_what_fails_the_environments() {
        let read = |kind: io::ErrorKind| EngineError::Source(SourceError::Read { name: "events".into(), cause: kind.into() });
        let wrong = [
            read(io::ErrorKind::NotFound).into(),
            read(io::ErrorKind::IsADirectory).into(),
            EngineError::Store(StoreError::Missing { store: "a.db".into() }).into(),
            anyhow::Error::from(StoreError::Missing { store: "a.db".into() }),
            anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound)).context("cannot read a.wasm"),
        ];
        assert!(wrong.iter().all(is_wrong_input), "{wrong:?}");
        let failed = [
            read(io::ErrorKind::PermissionDenied).into(),
            EngineError::Store(StoreError::Taken { store: "a.db".into() }).into(),
            anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("cannot write b.wasm"),
        ];
        assert!(!failed.iter().any(is_wrong_input), "{failed:?}");
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("the disk is gone");
        let errors: [anyhow::Error; 3] = [
            EngineError::Source(SourceError::Read { name: "events".into(), cause: cause() }).into(),
            StoreError::Lock { path: "a.db.lock".into(), cause: cause() }.into(),
            EngineError::Thread { cause: cause() }.into(),
        ];
        for error in errors {
            assert_eq!(format!("{error:#}").matches("the disk is gone").count(), 1, "{error:#}");
        }
    }
}
