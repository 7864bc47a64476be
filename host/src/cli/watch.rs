//! `purefold run --watch`: an author's sources are built anew when they change, and what comes of it is brought into force by the same gates
//! as any release, while the host goes on. What would have been decided otherwise is shown and not held against it.

mod build;
mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use purefold::journal::{hex, sha256};
use purefold::store::{Location, Reader};
use purefold::workflow::{Manifest, component_path};

use super::exit::Exit;
use super::{component, deploy, report};
use build::{Build, Built};
use files::Seen;

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long files must stay as they are before they are built: an editor writes several, one after the other.
const SETTLED_AFTER: Duration = Duration::from_millis(300);

/// After how long they are built although they do not.
const UNSETTLED_MOST: Duration = Duration::from_secs(5);

/// How long the end of the host waits for what is under way.
const END_MOST: Duration = Duration::from_secs(5);

/// A workflow that is worked on.
struct Project {
    manifest: PathBuf,
    folder: PathBuf,
    location: Location,
    /// Where the component is looked for.
    component: PathBuf,
    build: Build,
    seen: Seen,
    /// What was built before the host started.
    first: Option<Vec<u8>>,
    /// Whether it could not be built before the host started.
    is_unbuilt: bool,
}

/// Workflows that are worked on, built once.
pub(super) struct Watch(Vec<Project>);

/// The thread that watches.
pub(super) struct Watching {
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Watch {
    /// Looks whether these workflows may be worked on, and builds them. What cannot be watched was told, and is the exit; so is the end
    /// where `is_stopped` says so.
    pub(super) fn begin(
        manifests: &[PathBuf],
        line: Option<&str>,
        is_stopped: &mut dyn FnMut() -> bool,
    ) -> anyhow::Result<Result<Self, Exit>> {
        let mut projects = Vec::with_capacity(manifests.len());
        for path in manifests {
            let Some(mut project) = Project::open(path, line)? else { return Ok(Err(Exit::Wrong)) };
            project.look();
            if project.seen.is_cut() {
                eprintln!("note: there are more sources in {} than are watched", project.folder.display());
            }
            match project.build(is_stopped)? {
                Outcome::Built(component) => project.take_first(component)?,
                Outcome::Failed => project.is_unbuilt = true,
                Outcome::Stopped => return Ok(Err(Exit::Well)),
            }
            projects.push(project);
        }
        Ok(Ok(Watch(projects)))
    }

    /// Watches beside the host, until it is told to end.
    pub(super) fn start(self) -> anyhow::Result<Watching> {
        let (end, ended) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let watch = move || {
            let mut projects = self.0;
            let mut is_stopped = || stopped.load(Ordering::Relaxed);
            // What does not build changes nothing, whatever an earlier build left.
            for project in projects.iter_mut().filter(|project| !project.is_unbuilt) {
                let first = project.first.take();
                project.tell_failed(|project| project.release(first));
            }
            while !is_stopped() {
                std::thread::sleep(LOOK_INTERVAL);
                for project in &mut projects {
                    project.tell_failed(|project| project.once(&mut is_stopped));
                }
            }
            // Nobody may wait for it any more.
            let _ = end.send(());
        };
        std::thread::Builder::new().name("watch".into()).spawn(watch).context("cannot start a thread that watches")?;
        Ok(Watching { stop, ended })
    }
}

impl Watching {
    /// Has it end, and a build that is under way with it.
    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A child that compiles ends with this process, and a replay has none.
        match self.ended.recv_timeout(END_MOST) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => tracing::debug!("a release that is being looked at is left"),
        }
    }
}

/// What a build came to.
enum Outcome {
    Built(Option<Vec<u8>>),
    Failed,
    Stopped,
}

impl Project {
    /// The project around a manifest; none where it was told why it cannot be worked on.
    fn open(path: &Path, line: Option<&str>) -> anyhow::Result<Option<Self>> {
        let Some(manifest) = manifest(path)? else { return Ok(None) };
        let location = manifest.store.location.clone();
        if location.can_be_shared() {
            eprintln!(
                "error: --watch brings whatever is built into force, and others may use the store {location} of {}; name a store in a file, with \
                 `sqlite = \"…\"`, to work on it",
                path.display()
            );
            return Ok(None);
        }
        if !manifest.reducer.trusted_keys.is_empty() {
            eprintln!(
                "error: --watch brings what nobody signed into force, and {} has `trusted-keys`; work on a manifest without",
                path.display()
            );
            return Ok(None);
        }
        let component = component_path(&manifest).unwrap_or_else(|| manifest.folder.join(&manifest.reducer.component));
        let build = Build::of(&manifest.folder, line);
        Ok(Some(Project {
            manifest: path.to_path_buf(),
            folder: manifest.folder,
            location,
            component,
            build,
            seen: Seen::default(),
            first: None,
            is_unbuilt: false,
        }))
    }

    /// Notes how the files are.
    fn look(&mut self) {
        self.seen = self.look_now();
    }

    fn look_now(&self) -> Seen {
        Seen::look(&self.folder, (self.build == Build::Elsewhere).then_some(&*self.component))
    }

    /// Looks whether anything has changed, and does what is to be done then.
    fn once(&mut self, is_stopped: &mut dyn FnMut() -> bool) -> anyhow::Result<()> {
        let Some(changed) = self.look_now().differs_from(&self.seen) else { return Ok(()) };
        if !self.settle(is_stopped) {
            return Ok(());
        }
        eprintln!("{} has changed", changed.strip_prefix(&self.folder).unwrap_or(&changed).display());
        match self.build(is_stopped)? {
            Outcome::Built(component) => self.release(component),
            Outcome::Failed | Outcome::Stopped => Ok(()),
        }
    }

    /// Waits until the files stay as they are. Gives whether it was not to end meanwhile.
    fn settle(&mut self, is_stopped: &mut dyn FnMut() -> bool) -> bool {
        let began = Instant::now();
        loop {
            self.look();
            std::thread::sleep(SETTLED_AFTER);
            if is_stopped() {
                return false;
            }
            if began.elapsed() > UNSETTLED_MOST || self.look_now() == self.seen {
                return true;
            }
        }
    }

    /// Builds it; what went wrong was told.
    fn build(&self, is_stopped: &mut dyn FnMut() -> bool) -> anyhow::Result<Outcome> {
        if self.build != Build::Elsewhere {
            eprintln!("building in {}", self.folder.display());
        }
        Ok(match self.build.run(is_stopped)? {
            Built::Component(component) => Outcome::Built(Some(component)),
            Built::InPlace => Outcome::Built(None),
            Built::Stopped => Outcome::Stopped,
            Built::Failed(reason) => {
                eprintln!("not built: {reason}; what is in force goes on");
                Outcome::Failed
            }
        })
    }

    /// Where there is no history yet, what was built is what the host begins with. Else it has to pass the gates first.
    fn take_first(&mut self, component: Option<Vec<u8>>) -> anyhow::Result<()> {
        let Some(component) = component else { return Ok(()) };
        let Some(manifest) = manifest(&self.manifest)? else { return Ok(()) };
        let is_there = matches!(&self.location, Location::Sqlite(file) if file.exists());
        let is_known = is_there && Reader::open(&self.location)?.workflow(&manifest.name)?.is_some();
        if is_known && self.component.is_file() {
            self.first = Some(component);
            return Ok(());
        }
        self.install(&component)
    }

    /// Brings it into force, where it is another one, and can.
    fn release(&self, component: Option<Vec<u8>>) -> anyhow::Result<()> {
        let Some(manifest) = manifest(&self.manifest)? else { return Ok(()) };
        if manifest.store.location != self.location {
            eprintln!("the manifest names another store now: start the host again for that");
            return Ok(());
        }
        let built = component.is_some();
        let component: Arc<[u8]> = match component {
            Some(component) => component.into(),
            None => deploy::read(&self.component)?,
        };
        let reader = Reader::open(&self.location)?;
        let Some((id, _)) = reader.workflow(&manifest.name)? else {
            eprintln!("the store {} knows no workflow {:?}: start the host again for that", self.location, manifest.name);
            return Ok(());
        };
        let in_force = reader.releases(id)?.pop();
        if in_force.is_some_and(|release| release.component == hex(&sha256(&component)) && release.manifest == manifest.digest) {
            eprintln!("it is what is in force");
            return Ok(());
        }
        let exit = deploy::built(&self.manifest, &self.component, manifest.text, &component, (reader, id))?;
        match exit {
            Exit::Well if built => self.install(&component),
            Exit::Well => Ok(()),
            Exit::Negative | Exit::Wrong | Exit::Failed => {
                eprintln!("what is in force goes on");
                Ok(())
            }
        }
    }

    /// Puts the component where the next start looks for it.
    fn install(&self, bytes: &[u8]) -> anyhow::Result<()> {
        component::write(&self.component, bytes).with_context(|| format!("cannot write {}", self.component.display()))
    }

    /// What fails now may not fail the next time.
    fn tell_failed(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        if let Err(error) = work(self) {
            eprintln!("error: {error:#}; what is in force goes on");
        }
    }
}

/// The manifest; none where it was told what is wrong with it.
fn manifest(path: &Path) -> anyhow::Result<Option<Manifest>> {
    let (manifest, findings) = Manifest::read(path, &|name| std::env::var(name).ok());
    let Some(manifest) = manifest.filter(|_| findings.is_empty()) else {
        report::refuse(&path.display().to_string(), &findings)?;
        return Ok(None);
    };
    Ok(Some(manifest))
}
