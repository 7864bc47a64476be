//! `purefold run`: runs workflows until stopped, or until everything is done.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use purefold::engine::{self, Clock, Engine, EngineError, Options, Progress, Sessions, Summary};
use purefold::observe::{Admin, AdminAddress, Observed};
use purefold::sandbox::Sandbox;
use purefold::source::{Feed, HttpSettings, Started};
use purefold::time::{HostClock, SystemClock};
use purefold::trace::{Exporter, TraceSettings};
use purefold::workflow::Workflow;

use super::exit::Exit;
use super::watch::Watch;
use super::{deploy, open};

/// Longest name of a host.
const MOST_NAME_BYTES: usize = 128;

/// How long a store is waited for that another process has: a command that acts by itself, where no host runs, or a host
/// that is ending.
const STORE_WAIT: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The manifests of the workflows to run; they share one store
    #[arg(required = true, value_name = "WORKFLOW")]
    workflows: Vec<PathBuf>,
    /// Events, one CloudEvent as JSON a line; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// Go on reading the file of events as it grows
    #[arg(long)]
    follow: bool,
    /// Listen for events by HTTP; an address of others than this machine needs a token in the manifest
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, conflicts_with_all = ["events", "follow"])]
    listen: Option<SocketAddr>,
    /// Build the reducers anew when their sources change, show what they would have decided otherwise, and go on with them. Only on a
    /// store that nobody else uses
    #[arg(long, conflicts_with = "until_idle")]
    watch: bool,
    /// With `--watch`: how to build, as a line for the shell, in the manifest's folder; by cargo where that has a Cargo.toml, else what
    /// somebody else builds is taken
    #[arg(long, value_name = "LINE", requires = "watch")]
    build: Option<String>,
    /// End when the input is read, no intent is outstanding and no timer is due
    #[arg(long)]
    until_idle: bool,
    /// The wall's clock at arrival, or the events' own times
    #[arg(long, value_enum, default_value_t = ClockName::Arrival)]
    clock: ClockName,
    /// With `--clock event`: how far the virtual clock goes on after the last event, as `90s`, `5m` or `1h`
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    advance: Duration,
    /// Listen for `/metrics`, `/healthz` and `/readyz`; keep it to this machine or to a network of your own
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    admin: Option<SocketAddr>,
    /// The name by which the host tells of itself; the machine's where it is left out
    #[arg(long, value_name = "NAME", value_parser = name_of_host)]
    name: Option<String>,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ClockName {
    Arrival,
    Event,
}

/// A host's name: it may stand in keys.
fn name_of_host(text: &str) -> Result<String, String> {
    let fits = (1..=MOST_NAME_BYTES).contains(&text.len());
    if fits { Ok(text.to_owned()) } else { Err(format!("a name has 1 to {MOST_NAME_BYTES} bytes")) }
}

/// An address to listen on. Names are not looked up: which of a name's addresses is meant would be left to chance.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok()).unwrap_or("8080");
        format!("give an IP address and a port, as 127.0.0.1:{port}, [::1]:{port}, or 0.0.0.0:{port} for every address of this machine")
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    purefold_effects::settings::parse_duration(text)
        .map_err(|error| format!("{error}; give a whole number and a unit, as 500ms, 90s, 5m or 1h"))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    // First of all: what comes while the host starts is heard once it has.
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])
        .context("cannot listen for SIGTERM")?;
    let clock = match arguments.clock {
        ClockName::Arrival => Clock::Arrival,
        ClockName::Event => Clock::Event,
    };
    if clock == Clock::Arrival && !arguments.advance.is_zero() {
        eprintln!("error: --advance moves the virtual clock and needs --clock event");
        return Ok(Exit::Wrong);
    }
    let watch = if arguments.watch {
        match Watch::begin(&arguments.workflows, arguments.build.as_deref(), &mut || signals.pending().next().is_some())? {
            Ok(watch) => Some(watch),
            Err(exit) => return Ok(exit),
        }
    } else {
        None
    };
    let workflows = match open::workflows(&arguments.workflows) {
        Ok(workflows) => workflows,
        Err(exit) => return Ok(exit),
    };
    let feed = match feed(arguments, &workflows) {
        Ok(feed) => feed,
        Err(reason) => {
            eprintln!("error: {reason}");
            return Ok(Exit::Wrong);
        }
    };
    if feed.is_none() && !arguments.until_idle {
        eprintln!(
            "note: no source of events; give --events FILE, --events -, --listen, source.file, source.http or source.kafka. Timers and outstanding intents go on"
        );
    }
    let told = match traces(&workflows) {
        Ok(told) => told,
        Err(reason) => {
            eprintln!("error: {reason}");
            return Ok(Exit::Wrong);
        }
    };
    // Before anything begins.
    let admin = arguments.admin.map(AdminAddress::bind).transpose()?;
    // It ends after the engine: the last spans are told then.
    let (traces, _exporter) =
        told.map(|settings| Exporter::start(&settings, rand::random(), Arc::new(SystemClock::new()))).transpose()?.unzip();
    let compiler = deploy::compiler().context("cannot tell where this program lies")?;
    let options = Options {
        compiler: Some(compiler),
        store_wait: STORE_WAIT,
        clock,
        advance: arguments.advance,
        until_idle: arguments.until_idle,
        feed,
        traces,
        // What is built comes into force by the gates.
        keeps_releases: arguments.watch,
        ..Options::default()
    };
    let names = workflows.iter().map(|workflow| workflow.name.to_string()).collect();
    let store = workflows[0].manifest.store.location.clone();
    let sandbox = Sandbox::new()?;
    let (mut host, stopper) = if store.can_be_shared() || matches!(options.feed, Some(Feed::Kafka(_))) {
        let name = unique(arguments.name.as_deref());
        let (sessions, stopper) = Sessions::start(workflows, &sandbox, options, name, listening)?;
        (Host::Sessions(Box::new(sessions)), stopper)
    } else {
        let (engine, stopper) = engine::start(workflows, &sandbox, &options)?;
        (Host::Engine(Box::new(engine)), stopper)
    };
    std::thread::spawn(move || {
        for _ in signals.forever() {
            stopper.stop();
        }
    });
    if let Host::Engine(engine) = &host
        && let Some(address) = engine.listens_on()
    {
        listening(address);
    }
    let admin = admin.map(|address| Admin::start(address, host.observed(), store, names)).transpose()?;
    if let Some(admin) = &admin {
        eprintln!("metrics, health and readiness on http://{}", admin.address());
    }
    host.started(started(arguments.name.as_deref(), admin.as_ref().map(Admin::address)));
    let watching = watch.map(Watch::start).transpose()?;
    // A build writes to the same terminal.
    let bar = if watching.is_some() { ProgressBar::hidden() } else { progress_bar() };
    let summary = host.run(|progress| show(&bar, &progress));
    if let Some(watching) = watching {
        watching.end();
    }
    let summary = summary?;
    bar.finish_and_clear();
    if arguments.json {
        super::report::line(&serde_json::to_string(&summary)?)?;
    } else {
        super::report::line(&text(&summary))?;
    }
    Ok(Exit::Well)
}

fn listening(address: SocketAddr) {
    eprintln!("listening on http://{address}");
}

/// What the host is called among those that share a store: no two processes have the same name.
fn unique(name: Option<&str>) -> String {
    let host = name.map_or_else(|| whoami::hostname().unwrap_or_else(|_| "unknown".to_owned()), str::to_owned);
    format!("{host} ({}, {:08x})", std::process::id(), rand::random::<u32>())
}

/// What runs.
enum Host {
    /// One engine.
    Engine(Box<Engine>),
    /// One engine after the other.
    Sessions(Box<Sessions>),
}

impl Host {
    fn observed(&self) -> Arc<Observed> {
        match self {
            Host::Engine(engine) => engine.observed(),
            Host::Sessions(sessions) => sessions.observed(),
        }
    }

    fn run(self, progress: impl FnMut(Progress)) -> Result<Summary, EngineError> {
        match self {
            Host::Engine(engine) => engine.run(progress),
            Host::Sessions(sessions) => sessions.run(progress),
        }
    }

    fn started(&mut self, started: Started) {
        match self {
            Host::Engine(engine) => engine.host_started(&started),
            Host::Sessions(sessions) => sessions.host_started(started),
        }
    }
}

/// This start of the host, for workflows that take it as an event.
fn started(name: Option<&str>, admin: Option<SocketAddr>) -> Started {
    let host = name.map_or_else(
        || whoami::hostname().ok().filter(|host| name_of_host(host).is_ok()).unwrap_or_else(|| "unknown".to_owned()),
        str::to_owned,
    );
    let admin = admin.map(|address| match address.ip().is_unspecified() {
        // Whoever is elsewhere reaches every address of the machine by its name.
        true => format!("http://{host}:{}", address.port()),
        false => format!("http://{address}"),
    });
    Started { id: (rand::random(), rand::random()), host: host.into(), at: SystemClock::new().wall(), admin: admin.map(Into::into) }
}

/// Where events come from: what the command line says, else what the manifests do. What is wrong about it is told.
fn feed(arguments: &Arguments, workflows: &[Workflow]) -> Result<Option<Feed>, String> {
    let feed = match (&arguments.events, arguments.listen) {
        (_, Some(listen)) => {
            let settings = workflows.iter().find_map(|workflow| workflow.manifest.source.http.clone());
            let settings = HttpSettings { listen, ..settings.unwrap_or_else(|| HttpSettings::new(listen)) };
            if let Some(finding) = settings.open_to_everybody() {
                return Err(finding.to_string());
            }
            Some(Feed::Http(settings))
        }
        (Some(path), None) if path.as_os_str() == "-" => Some(Feed::Stdin),
        (Some(path), None) => Some(Feed::File(path.clone())),
        (None, None) => manifests_feed(workflows)?,
    };
    let feed = match feed {
        Some(Feed::File(path)) if arguments.follow => Some(Feed::Followed(path)),
        Some(Feed::Followed(path)) => Some(Feed::Followed(path)),
        _ if arguments.follow => return Err("--follow goes on reading a file; give one by --events FILE or source.file".into()),
        feed => feed,
    };
    if let Some(Feed::File(path) | Feed::Followed(path)) = &feed
        && let Some((workflow, effect)) = writer_of(path, workflows)
    {
        return Err(format!(
            "{} is what effect {effect} of {workflow} writes: the host would read its own events; name another file in one of the two places",
            path.display()
        ));
    }
    if arguments.clock == ClockName::Event && matches!(feed, Some(Feed::Kafka(_))) {
        return Err("--clock event makes a run a function of its input, and partitions of Kafka have no order among each other; \
                    leave it out, or give --events FILE"
            .into());
    }
    if arguments.until_idle && feed.as_ref().is_some_and(Feed::is_endless) {
        return Err("--until-idle waits for the end of the source, and a source that is followed or listens has none; leave it out".into());
    }
    Ok(feed)
}

/// The effect, if any, whose file this is.
fn writer_of(path: &Path, workflows: &[Workflow]) -> Option<(String, String)> {
    let real = path.canonicalize().ok()?;
    let writes = |workflow: &Workflow, settings: &toml::Table| {
        let mut files = settings.values().filter_map(toml::Value::as_str);
        files.any(|file| workflow.manifest.folder.join(file).canonicalize().is_ok_and(|file| file == real))
    };
    workflows.iter().find_map(|workflow| {
        let effect = workflow.manifest.effects.iter().find(|effect| writes(workflow, &effect.settings))?;
        Some((workflow.name.to_string(), effect.name.clone()))
    })
}

fn manifests_feed(workflows: &[Workflow]) -> Result<Option<Feed>, String> {
    let mut feeds = workflows.iter().filter_map(|workflow| Some((&workflow.name, workflow.manifest.source.feed()?)));
    let Some((name, feed)) = feeds.next() else { return Ok(None) };
    match feeds.find(|(_, other)| *other != feed) {
        Some((other, _)) => Err(format!(
            "workflows of one host share one source, and the manifests of {name} and {other} name different ones; \
             name the same in both, or give --events or --listen"
        )),
        None => Ok(Some(feed)),
    }
}

/// Where traces are told, where a manifest says so.
fn traces(workflows: &[Workflow]) -> Result<Option<TraceSettings>, String> {
    let mut told = workflows.iter().filter_map(|workflow| Some((&workflow.name, workflow.manifest.traces.as_ref()?)));
    let Some((name, settings)) = told.next() else { return Ok(None) };
    match told.find(|(_, other)| *other != settings) {
        Some((other, _)) => Err(format!(
            "a host tells its traces in one place, and the manifests of {name} and {other} say different things in [traces]; \
             say the same in both, or leave one out"
        )),
        None => Ok(Some(settings.clone())),
    }
}

fn progress_bar() -> ProgressBar {
    // Drawn only where standard error is a terminal.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let Summary { events, accepted, rejected, faulted, duplicates, dead_letters, concluded, .. } = progress.summary;
    bar.set_message(format!(
        "{events} events, {accepted} accepted, {rejected} rejected, {faulted} faulted, {duplicates} duplicates, {dead_letters} dead letters, \
         {concluded} intents concluded, {} outstanding",
        progress.outstanding
    ));
    bar.tick();
}

fn text(summary: &Summary) -> String {
    let Summary { events, duplicates, dead_letters, accepted, rejected, faulted, concluded, held, parked, paused, commits } = summary;
    let paused = if *paused > 0 { format!(", {paused} paused (see `purefold status`)") } else { String::new() };
    format!(
        "{events} events: {accepted} accepted, {rejected} rejected, {faulted} faulted decisions; {duplicates} duplicates, {dead_letters} dead letters\n\
         {concluded} intents concluded, {held} held, {parked} entities parked{paused}; {commits} commits"
    )
}
