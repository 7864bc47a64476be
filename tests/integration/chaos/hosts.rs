//! A host and who looks after it, as an init system does: started again whenever it is gone.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::chance::Chance;
use crate::client::Client;
use crate::place::Running;
use crate::program::signal;

/// Longest wait until a host is up, which it is not while its store is away.
const START_MAX: Duration = Duration::from_secs(180);

/// Longest wait for the end of one that was told to end.
const END_MAX: Duration = Duration::from_secs(60);

/// Before one that did not come up is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a host says before its address.
const LISTENS: &str = "metrics, health and readiness on http://";

/// Of a log, as much as is told where a host ended by itself.
const LINES_TOLD: usize = 5;

/// What happens to hosts: they are killed, told to end, and stand still.
pub(super) const KILLED: &str = "host killed";
pub(super) const ENDED: &str = "host ended";
pub(super) const STOOD_STILL: &str = "host stood still";

/// A host.
pub(super) struct Host<'a> {
    pub(super) name: String,
    stage: &'a Stage,
    process: Option<Process>,
}

struct Process {
    running: Running,
    admin: SocketAddr,
}

impl<'a> Host<'a> {
    /// One that runs.
    pub(super) fn start(stage: &'a Stage, number: u64) -> Host<'a> {
        let mut host = Host { name: format!("host-{number}"), stage, process: None };
        host.come_up();
        host
    }

    /// Bad things happen to it, one after the other, until it is over. Then it is up.
    pub(super) fn suffer(&mut self, chance: &mut Chance, longest_pause: u64, over: Instant) {
        let chronicle = &self.stage.chronicle;
        let tell = |what: String| chronicle.tell(what);
        let trouble = |kind: &'static str, what: String| chronicle.trouble(kind, what);
        loop {
            let pause = Duration::from_millis(chance.between(2_000, longest_pause * 1_000));
            let (kind, long) = (chance.below(5), Duration::from_millis(chance.between(1_000, 20_000)));
            self.watch(pause, over);
            if Instant::now() >= over {
                return;
            }
            let name = self.name.clone();
            match kind {
                0 | 1 => {
                    trouble(KILLED, format!("{name} killed"));
                    self.take().running.kill();
                    std::thread::sleep((long / 5).min(over.saturating_duration_since(Instant::now())));
                }
                2 => {
                    trouble(ENDED, format!("{name} told to end"));
                    let code = self.end();
                    tell(format!("{name} ended: {code:?}"));
                }
                _ => {
                    trouble(STOOD_STILL, format!("{name} stands still for {:.1} s", long.as_secs_f64()));
                    signal(self.process().running.child(), "STOP");
                    std::thread::sleep(long.min(over.saturating_duration_since(Instant::now())));
                    signal(self.process().running.child(), "CONT");
                    tell(format!("{name} goes on"));
                    continue;
                }
            }
            self.come_up();
        }
    }

    /// Ends it in good order, and gives its exit code: none where it had to be killed.
    pub(super) fn end(&mut self) -> Option<i32> {
        let mut running = self.take().running;
        signal(running.child(), "TERM");
        let begun = Instant::now();
        loop {
            if let Some(status) = running.child().try_wait().expect("it can be waited for") {
                return status.code();
            }
            if begun.elapsed() > END_MAX {
                self.stage.chronicle.fault(format!("{} did not end within {END_MAX:?}", self.name));
                running.kill();
                return None;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts it, again and again where it ends at its start, and waits until it is up.
    pub(super) fn come_up(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < START_MAX {
            let log = self.stage.log(&self.name);
            let from = fs::metadata(&log).map_or(0, |log| log.len());
            let mut command = self.stage.host(&self.name);
            let told = OpenOptions::new().create(true).append(true).open(&log).expect("a log can be written");
            command.stdout(Stdio::null()).stderr(told);
            let mut running = Running::start(command);
            while running.child().try_wait().expect("it can be waited for").is_none() && begun.elapsed() < START_MAX {
                if let Some(admin) = self.told(from).lines().find_map(|line| line.strip_prefix(LISTENS)?.trim().parse().ok()) {
                    self.stage.chronicle.tell(format!("{} is up", self.name));
                    self.process = Some(Process { running, admin });
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
            let told = self.told(from);
            let last = told.lines().last().unwrap_or_default();
            self.stage.chronicle.tell(format!("{} did not come up: {last}", self.name));
            std::thread::sleep(RESTART_DELAY);
        }
        panic!("{} did not come up within {START_MAX:?}:\n{}\n{}", self.name, self.stage.chronicle.text(), self.told(0));
    }

    /// Starts it again where it has ended, which it should not.
    pub(super) fn look(&mut self) {
        if let Some(status) = self.process().running.child().try_wait().expect("it can be waited for") {
            let told = self.told(0);
            let lines: Vec<&str> = told.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES_TOLD)..].join("\n");
            self.stage.chronicle.fault(format!("{} ended by itself ({status}):\n{last}", self.name));
            self.take();
            self.come_up();
        }
    }

    fn watch(&mut self, pause: Duration, over: Instant) {
        let until = (Instant::now() + pause).min(over);
        while Instant::now() < until {
            self.look();
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether it says that it is ready; what it says where it is not.
    pub(super) fn ready(&mut self) -> Result<(), String> {
        let admin = self.process().admin;
        let answer = Client::connect(admin).and_then(|mut client| {
            client.send("GET", "/readyz", &[], "")?;
            client.receive()
        });
        match answer {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(response) => Err(format!("{} is not ready: {}", self.name, response.body)),
            Err(error) => Err(format!("{} does not answer: {error}", self.name)),
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    fn take(&mut self) -> Process {
        self.process.take().expect("it runs")
    }

    /// What it told from there on.
    fn told(&self, from: u64) -> String {
        let bytes = fs::read(self.stage.log(&self.name)).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(usize::try_from(from).expect("a log fits into memory")..).unwrap_or_default()).into_owned()
    }
}
