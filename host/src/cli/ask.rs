//! Asking for what only a host may do: the running one where there is one, else one that is started for no more than that.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purefold::engine::{self, Clock, Engine, EngineError, Options, Progress, Stopper, Summary};
use purefold::sandbox::Sandbox;
use purefold::store::{Location, Question, Reader, StoreError, Writer};
use purefold::workflow::Workflow;

use super::open::{self, Stored};

/// How long a running host may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Subjects that are asked about together: their answers are read before the store forgets them.
const ASKED_TOGETHER: usize = 512;

/// How long a host that is started for the commands may take for what they lead to.
const WORK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long such a host goes on when nothing happens: what is left waits for outcomes that it does not bring about.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The same for a release, which is made ready first.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(180);

/// The same for what concerns every entity.
const LONG_TIMEOUT: Duration = Duration::from_hours(24);

/// How often answers are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// After how long without an answer the store is tried again: the host that had it may be gone.
const AGAIN_INTERVAL: Duration = Duration::from_secs(1);

/// What came of commands.
pub(super) struct Answered {
    /// One for each subject, in order.
    pub(super) answers: Vec<String>,
    /// Whether no host was running: everything that could be done at once is done.
    pub(super) directly: bool,
    pub(super) reader: Reader,
    /// The workflow's id in the store.
    pub(super) id: i64,
}

impl Answered {
    /// The answer to a question with one subject.
    pub(super) fn only(&self) -> &str {
        self.answers.first().map_or("", String::as_str)
    }
}

enum Started {
    Engine(Box<Engine>, Stopper),
    /// Another host has the store.
    Taken(EngineError),
}

/// Has the workflow loaded once more, to perform nothing; none where it was told what is wrong with it.
pub(super) type Reload<'a> = dyn Fn() -> anyhow::Result<Option<Workflow>> + 'a;

/// Has what `question` asks done; none where that was told to be impossible.
pub(super) fn ask(manifest: &Path, stored: Stored, question: &Question<'_>) -> anyhow::Result<Option<Answered>> {
    ask_with(&|| open::workflow_to_read(manifest), stored, question, QUICK)
}

/// As [`ask`], for what takes its time.
pub(super) fn ask_with(
    reload: &Reload<'_>,
    stored: Stored,
    question: &Question<'_>,
    patience: Patience,
) -> anyhow::Result<Option<Answered>> {
    let Stored { workflow, reader, id } = stored;
    let (name, location) = (workflow.name.clone(), workflow.manifest.store.location.clone());
    let asker = Asker { reload, name, location, reader: &reader, patience };
    let mut workflow = Some(workflow);
    let mut answered = (Vec::with_capacity(question.subjects.len()), true);
    for subjects in question.subjects.chunks(ASKED_TOGETHER) {
        let Some((answers, directly)) = asker.ask(workflow.take(), &Question { subjects, ..question.clone() })? else { return Ok(None) };
        answered.0.extend(answers);
        answered.1 &= directly;
    }
    let (answers, directly) = answered;
    Ok(Some(Answered { answers, directly, reader, id }))
}

/// How long an answer may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Of a host that runs.
    answer: Duration,
    /// Of one that is started for it, in all and while nothing happens.
    work: (Duration, Duration),
    /// Whether that one goes on under the releases in force, whatever the manifest says.
    keeps_releases: bool,
}

/// For what is done at once.
const QUICK: Patience = Patience { answer: ANSWER_TIMEOUT, work: (WORK_TIMEOUT, IDLE_TIMEOUT), keeps_releases: false };

/// For a release: it is loaded and compiled before.
pub(super) const RELEASE: Patience = Patience { answer: RELEASE_TIMEOUT, work: (RELEASE_TIMEOUT, RELEASE_TIMEOUT), keeps_releases: true };

/// For what goes on as long as there is something to do: what is not done by then, the next host does.
pub(super) const LONG: Patience = Patience { answer: LONG_TIMEOUT, work: (LONG_TIMEOUT, RELEASE_TIMEOUT), keeps_releases: true };

struct Asker<'a> {
    reload: &'a Reload<'a>,
    patience: Patience,
    name: Arc<str>,
    location: Location,
    reader: &'a Reader,
}

impl Asker<'_> {
    /// The answers, and whether no host was running.
    fn ask(&self, mut workflow: Option<Workflow>, question: &Question<'_>) -> anyhow::Result<Option<(Vec<String>, bool)>> {
        let begun = Instant::now();
        let mut asked: Option<Vec<i64>> = None;
        loop {
            let loaded = match workflow.take() {
                Some(loaded) => loaded,
                None => match (self.reload)()? {
                    Some(loaded) => loaded,
                    None => return Ok(None),
                },
            };
            let started = start(loaded, self.reader, self.patience.keeps_releases)?;
            let commands = match &asked {
                Some(commands) => commands.clone(),
                None => asked.insert(Writer::ask_beside(&self.location, &self.name, question)?).clone(),
            };
            match started {
                Started::Engine(engine, stopper) => {
                    apply(*engine, &stopper, self.patience.work)?;
                    let answers = answers(self.reader, &commands)?;
                    let answers = answers
                        .ok_or_else(|| anyhow::anyhow!("the commands were asked and not answered within {:?}", self.patience.work.0))?;
                    return Ok(Some((answers, true)));
                }
                Started::Taken(error) => {
                    if let Some(answers) = wait(self.reader, &commands)? {
                        return Ok(Some((answers, false)));
                    }
                    if begun.elapsed() > self.patience.answer {
                        anyhow::bail!(
                            "no answer within {:?}, and {error}; what was asked waits in the store for a host that runs {:?}",
                            self.patience.answer,
                            self.name
                        );
                    }
                }
            }
        }
    }
}

/// Starts a host that reads no source and performs no intent.
fn start(workflow: Workflow, reader: &Reader, keeps_releases: bool) -> anyhow::Result<Started> {
    let clock = reader.clock()?.and_then(|name| Clock::from_name(&name)).unwrap_or_default();
    let options = Options { clock, until_idle: true, perform: false, feed: None, keeps_releases, ..Options::default() };
    match engine::start(vec![workflow], &Sandbox::new()?, &options) {
        Ok((engine, stopper)) => Ok(Started::Engine(Box::new(engine), stopper)),
        Err(error @ EngineError::Store(StoreError::Taken { .. })) => Ok(Started::Taken(error)),
        Err(error) => Err(error.into()),
    }
}

/// Has the commands done, and what can be decided because of them.
fn apply(engine: Engine, stopper: &Stopper, (work, idle): (Duration, Duration)) -> Result<(), EngineError> {
    let begun = Instant::now();
    let mut latest = (Summary::default(), begun);
    engine.run(|Progress { summary, .. }| {
        if summary != latest.0 {
            latest = (summary, Instant::now());
        }
        if latest.1.elapsed() > idle || begun.elapsed() > work {
            stopper.stop();
        }
    })?;
    Ok(())
}

/// Waits a while for a running host.
fn wait(reader: &Reader, commands: &[i64]) -> anyhow::Result<Option<Vec<String>>> {
    let begun = Instant::now();
    loop {
        if let Some(answers) = answers(reader, commands)? {
            return Ok(Some(answers));
        }
        if begun.elapsed() > AGAIN_INTERVAL {
            return Ok(None);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// The answers, where all are there.
fn answers(reader: &Reader, commands: &[i64]) -> Result<Option<Vec<String>>, StoreError> {
    commands.iter().map(|id| Ok(reader.command(*id)?.and_then(|command| command.answer))).collect()
}

/// Whether a host would not do what was asked.
pub(super) fn is_refused(answer: &str) -> bool {
    answer.starts_with("refused")
}
