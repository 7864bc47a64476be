//! `cargo xtask bench`: the figures that the documentation tells, measured anew.

mod http;
mod kafka;
mod swap;
mod timers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use purefold_services::Instance;

use crate::demo;
use crate::host::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

/// The reference workflow, from the root.
const WORKFLOW: &str = "reducers/registration/registration.toml";

/// Its component, from the target folder.
const COMPONENT: &str = "reducers/registration.wasm";

/// Nodes that are active before the pipeline is measured.
const NODES: &str = "10000";

/// Heartbeats that are measured: several seconds of them.
const HEARTBEATS: &str = "300000";

/// The same where it is only to be seen that figures can be had.
const FEW_HEARTBEATS: &str = "3000";

/// The nodes of the long run: each is introspected and acknowledged.
const MANY_NODES: &str = "100000";

/// The heartbeats of the long run; with the nodes' own events one million.
const MANY_HEARTBEATS: &str = "800000";

/// Nodes that announce themselves each second while it is measured how long that takes.
const RATE: &str = "100";

/// How often the memory of the long run is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// One of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Pipeline,
    Decision,
    Million,
    Watching,
    Verify,
    Http,
    Timers,
    Postgres,
    Kafka,
    Latency,
    Swap,
}

impl Part {
    pub(crate) const ALL: [Part; 11] = [
        Part::Pipeline,
        Part::Decision,
        Part::Million,
        Part::Watching,
        Part::Verify,
        Part::Http,
        Part::Timers,
        Part::Postgres,
        Part::Kafka,
        Part::Latency,
        Part::Swap,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Pipeline => "pipeline",
            Part::Decision => "decision",
            Part::Million => "million",
            Part::Watching => "watching",
            Part::Verify => "verify",
            Part::Http => "http",
            Part::Timers => "timers",
            Part::Postgres => "postgres",
            Part::Kafka => "kafka",
            Part::Latency => "latency",
            Part::Swap => "swap",
        }
    }

    /// The part of that name.
    ///
    /// # Errors
    /// What there is instead, in words for the user.
    pub(crate) fn named(name: &str) -> Result<Part, String> {
        Part::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
            format!("nothing to measure is called `{name}`; there are {}", names.join(", "))
        })
    }
}

/// Whether figures are wanted, or only to see that they can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    /// A dev build and a hundredth of the load, of those parts that are a load.
    Trial,
}

impl Scale {
    pub(crate) fn profile(self) -> Profile {
        match self {
            Scale::Full => Profile::Release,
            Scale::Trial => Profile::Dev,
        }
    }

    fn of(self, full: u64, trial: u64) -> u64 {
        match self {
            Scale::Full => full,
            Scale::Trial => trial,
        }
    }
}

/// Takes the measurements `parts`, all of them where none is named. The host and the reducers are built already.
///
/// # Errors
/// Where a part of it cannot be built or fails.
pub(crate) fn run(workspace: &Workspace, parts: &[Part], scale: Scale) -> Result<()> {
    let programs = host::programs(workspace, scale.profile(), &["purefold", "load", "purefold-demo"])?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let bench = Bench { workspace, programs, folder, scale };
    for part in if parts.is_empty() { &Part::ALL } else { parts } {
        match part {
            Part::Pipeline | Part::Decision | Part::Million | Part::Verify if scale == Scale::Trial => {
                println!("{}: only in full", part.name());
            }
            Part::Pipeline => bench.pipeline()?,
            Part::Decision => bench.decision()?,
            Part::Million => bench.million()?,
            Part::Watching => bench.watching()?,
            Part::Verify => bench.verify()?,
            Part::Http => bench.http()?,
            Part::Timers => bench.timers()?,
            Part::Postgres => bench.postgres()?,
            Part::Kafka => bench.kafka()?,
            Part::Latency => bench.latency()?,
            Part::Swap => bench.swap()?,
        }
    }
    Ok(())
}

struct Bench<'a> {
    workspace: &'a Workspace,
    programs: PathBuf,
    folder: PathBuf,
    scale: Scale,
}

impl Bench<'_> {
    /// An empty folder with a manifest of the workspace, whose files lie where it lies, and its component.
    fn place(&self, name: &str, manifest: &str, component: &str) -> Result<(PathBuf, PathBuf)> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let (manifest, component) = (self.workspace.root.join(manifest), self.workspace.target.join(component));
        for file in [&manifest, &component] {
            let to = folder.join(file.file_name().unwrap_or_default());
            fs::copy(file, to).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        let manifest = folder.join(manifest.file_name().unwrap_or_default());
        Ok((folder, manifest))
    }

    /// `purefold` with a command on a manifest.
    fn purefold(&self, command: &str, manifest: &Path) -> Command {
        let mut purefold = Command::new(self.programs.join("purefold"));
        purefold.arg(command).arg(manifest);
        purefold
    }

    fn pipeline(&self) -> Result<()> {
        println!("\nthe durable pipeline: {HEARTBEATS} heartbeats of {NODES} active nodes, their intents performed");
        self.heartbeats(&[])
    }

    /// Figures that are asked for, and traces that are told, against nobody looking, in turn.
    fn watching(&self) -> Result<()> {
        println!("\nwhat watching costs: {HEARTBEATS} heartbeats of {NODES} active nodes, their intents performed, in turn");
        self.heartbeats(&["--watching"])
    }

    /// How much faster a journal is verified than it was made.
    fn verify(&self) -> Result<()> {
        println!("\nverifying, against the live rate: {HEARTBEATS} heartbeats of {NODES} active nodes, their intents performed");
        self.heartbeats(&["--verify"])
    }

    /// The journal in a private PostgreSQL, against hand-written statements that put the same rows there, in turn.
    fn postgres(&self) -> Result<()> {
        let heartbeats = match self.scale {
            Scale::Full => HEARTBEATS,
            Scale::Trial => FEW_HEARTBEATS,
        };
        println!("\nthe journal in PostgreSQL: {heartbeats} heartbeats of {NODES} active nodes");
        let server = Instance::postgres_with(&kafka::POSTGRES).context("PostgreSQL cannot be had")?;
        let beside = format!("database={}", server.process()?);
        self.measured(heartbeats, &["--postgres", "--beside", &beside], &[("DATABASE_URL", server.address())])
    }

    /// The heartbeats of active nodes, measured by the program itself.
    fn heartbeats(&self, options: &[&str]) -> Result<()> {
        self.measured(HEARTBEATS, &[&["--perform"], options].concat(), &[])
    }

    fn measured(&self, count: &str, options: &[&str], variables: &[(&str, &str)]) -> Result<()> {
        let (nodes, heartbeats) = (self.folder.join("nodes.jsonl"), self.folder.join("heartbeats.jsonl"));
        self.load(&[&["nodes", NODES]], &nodes)?;
        self.load(&[&["heartbeats", NODES, count]], &heartbeats)?;
        let mut bench = Command::new(self.programs.join("purefold"));
        bench.current_dir(&self.workspace.root).envs(variables.iter().copied()).args(["bench", WORKFLOW]).args(options);
        process::run(bench.arg("--setup").arg(&nodes).arg("--events").arg(&heartbeats).arg("--folder").arg(&self.folder))
    }

    /// From an event on Kafka to the row in PostgreSQL and the service in Consul, on private services.
    fn latency(&self) -> Result<()> {
        println!("\nfrom an event to both backends, at {RATE} nodes a second");
        let seconds = self.scale.of(30, 3).to_string();
        let arguments = ["--latency", RATE, "--seconds", &seconds].map(str::to_owned);
        demo::run_real(self.workspace, self.scale.profile(), &arguments)
    }

    fn decision(&self) -> Result<()> {
        println!("\none decision, taken apart");
        process::run(process::cargo(&self.workspace.root).args(["bench", "--workspace", "--bench", "decision"]))
    }

    /// A million events of a hundred thousand entities: the most memory it takes, and how fast a start on what it leaves is.
    fn million(&self) -> Result<()> {
        let (folder, manifest) = self.place("million", WORKFLOW, COMPONENT)?;
        let events = folder.join("input.jsonl");
        self.load(&[&["nodes", MANY_NODES], &["heartbeats", MANY_NODES, MANY_HEARTBEATS]], &events)?;

        println!("\na million events of {MANY_NODES} nodes, their intents performed");
        let run = |what: &str| -> Result<Duration> {
            let mut host = self.purefold("run", &manifest);
            host.arg("--events").arg(&events).arg("--until-idle");
            let (took, peak) = watched(&mut host)?;
            println!("{what}: {:.2} s, at most {peak} MiB resident", took.as_secs_f64());
            Ok(took)
        };
        run("all of it")?;
        let store = folder.join("registration.db");
        let bytes = fs::metadata(&store).with_context(|| format!("cannot see {}", store.display()))?.len();
        println!("the store: {} MiB", bytes >> 20);
        run("started once more, with nothing left to do")?;
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }

    /// Writes what `load` makes of each of `streams` to a file, one after the other.
    fn load(&self, streams: &[&[&str]], path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        for arguments in streams {
            let file = file.try_clone().with_context(|| format!("cannot write {}", path.display()))?;
            process::run(Command::new(self.programs.join("load")).args(*arguments).stdout(file))?;
        }
        Ok(())
    }
}

/// Runs `command` to its end: how long it took, and the most memory that it held, in MiB.
fn watched(command: &mut Command) -> Result<(Duration, u64)> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().context("cannot start the host")?;
    let mut peak = 0;
    let status = loop {
        // The system keeps the peak itself; it is gone with the process.
        if let Some(seen) = peak_resident(child.id()) {
            peak = seen;
        }
        if let Some(status) = child.try_wait().context("cannot wait for the host")? {
            break status;
        }
        std::thread::sleep(LOOK_INTERVAL.min(started.elapsed() / 16));
    };
    ensure!(status.success(), "the host failed ({status})");
    Ok((started.elapsed(), peak))
}

fn peak_resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use super::{Part, watched};

    #[test]
    fn parts_have_names() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Ok(part));
        }
        assert!(Part::named("milion").is_err_and(|error| error.contains("`milion`") && error.contains("million")));
    }

    #[test]
    fn the_memory_of_a_program_is_seen() {
        let (took, peak) = watched(std::process::Command::new("sleep").arg("0.2")).unwrap();
        assert!(took.as_millis() >= 200 && peak < 100);
        assert!(watched(std::process::Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
