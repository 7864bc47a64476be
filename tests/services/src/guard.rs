//! A process that does not outlive its owner, however the owner ends.
//!
//! Between owner and service stands a shell that holds the reading end of a pipe. The owner never writes: when it is
//! gone, killed or not, the system closes its end, and the shell ends the service and removes its folder. Shell and
//! service are in a process group of their own, so that an interrupt from the keyboard reaches the owner alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::program;

/// Longest wait for a process that was told to end.
const ENDING_MAX: Duration = Duration::from_secs(20);

/// How often a wait looks again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// `$1` the folder, `$2` the signal that ends the service, then the service.
const SCRIPT: &str = r#"
folder=$1 signal=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- >>"$folder/log" 2>&1 &
service=$!
echo "$service"
exec >/dev/null 2>&1
(
    read -r _ <&3
    : >"$folder/orphaned"
    kill -s CONT "$service"
    kill -s "$signal" "$service"
    tries=0
    while [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -s KILL "$service"
) &
watch=$!
wait "$service"; code=$?
kill "$watch"
if [ -e "$folder/orphaned" ]; then rm -rf "$folder"; fi
exit "$code"
"#;

/// A service's process, and the shell that guards it.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    service: u32,
}

impl Guarded {
    /// Starts `command`, which ends by `end` when its owner is gone; then `folder` is removed. What the service prints is
    /// appended to the file `log` there.
    pub(crate) fn start(command: &Command, folder: &Path, end: &str) -> Result<Guarded> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "sh"]).arg(folder).arg(end).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(current) = command.get_current_dir() {
            shell.current_dir(current);
        }
        let mut guard = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().context("cannot start `sh`")?;
        let mut line = String::new();
        if let Some(out) = guard.stdout.take() {
            BufReader::new(out).read_line(&mut line).context("cannot hear from the shell that guards a service")?;
        }
        let service = line.trim().parse().with_context(|| format!("the shell that guards a service said {line:?}"))?;
        Ok(Guarded { guard, service })
    }

    /// The number of the service's process.
    pub(crate) fn service(&self) -> u32 {
        self.service
    }

    /// Whether the service runs, be it stopped by a signal.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// Sends a signal, by its name, to the service's process alone.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        send(name, &[self.service])
    }

    /// Sends a signal to the service's process and all that it started.
    pub(crate) fn signal_all(&self, name: &str) -> Result<()> {
        send(name, &self.all())
    }

    /// Stops them (SIGSTOP), and waits until every thread stands still: the signal alone lets others answer for a moment.
    pub(crate) fn stop_all(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            // What was started meanwhile has not heard of it.
            self.signal_all("STOP")?;
            if self.all().into_iter().all(stands_still) {
                return Ok(());
            }
            if begun.elapsed() > ENDING_MAX {
                bail!("process {} does not stand still {} s after it was told to", self.service, ENDING_MAX.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The service's process and all that it started.
    fn all(&self) -> Vec<u32> {
        let mut all = vec![self.service];
        let mut next = 0;
        while let Some(parent) = all.get(next).copied() {
            all.extend(children(parent));
            next += 1;
        }
        all
    }

    /// Waits until the service has ended.
    pub(crate) fn ended(&mut self) -> Result<()> {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > ENDING_MAX {
                bail!("process {} has not ended {} s after it was told to", self.service, ENDING_MAX.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The pipe's end: from here on the guard acts.
        drop(self.guard.stdin.take());
        let _ = self.ended();
        let _ = self.guard.wait();
    }
}

fn send(signal: &str, processes: &[u32]) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.args(["-s", signal, "--"]).args(processes.iter().map(u32::to_string));
    // Of several, some may have ended meanwhile.
    let sent = program::said(&mut kill).with_context(|| format!("cannot send SIG{signal}"));
    if processes.len() > 1 { Ok(()) } else { sent.map(drop) }
}

/// The processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    processes.filter(|process| parent_of(*process) == Some(parent)).collect()
}

/// The fourth field of `/proc/<process>/stat`; the second, the name in brackets, may hold anything.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether no thread of the process runs: the third field of each thread's `stat` says that it is stopped or has ended.
fn stands_still(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.filter_map(Result::ok).all(|thread| {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { return true };
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 't', 'Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn what_was_stopped_stands_still_and_goes_on_again() {
        let folder = tempfile::tempdir().unwrap();
        let guarded = waiting(folder.path());
        guarded.stop_all().unwrap();
        assert!(guarded.all().into_iter().all(stands_still));
        guarded.signal_all("CONT").unwrap();
        let begun = Instant::now();
        while stands_still(guarded.service) {
            assert!(begun.elapsed() < ENDING_MAX);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A service that prints its number and waits.
    fn waiting(folder: &Path) -> Guarded {
        let mut command = Command::new("sh");
        command.args(["-c", "echo up; sleep 600 & wait"]);
        Guarded::start(&command, folder, "KILL").unwrap()
    }

    fn exists(process: u32) -> bool {
        Path::new(&format!("/proc/{process}")).exists()
    }

    #[test]
    fn a_service_ends_with_its_owner_and_its_folder_goes() {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut guarded = waiting(&folder);
        assert!(guarded.is_running());
        let service = guarded.service;
        drop(guarded);
        assert!(!exists(service), "the service has ended");
        assert!(!folder.exists(), "its folder is removed");
    }

    #[test]
    fn a_service_that_ends_by_itself_keeps_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut guarded = waiting(folder.path());
        guarded.signal_all("KILL").unwrap();
        guarded.ended().unwrap();
        drop(guarded);
        assert!(folder.path().join("log").exists());
    }

    #[test]
    fn a_killed_owner_takes_the_service_with_it() {
        let folder = tempfile::tempdir().unwrap().keep();
        // The owner is a shell that holds the pipe's writing end and is killed without a chance to say anything.
        let script = format!("sleep 600 | sh -c '{}' sh \"$1\" KILL sleep 600", SCRIPT.replace('\'', "'\\''"));
        let mut owner = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let service: u32 = line.trim().parse().unwrap();
        assert!(exists(service));
        let holder = children(owner.id()).into_iter().find(|process| name_of(*process) == "sleep").expect("the pipe's holder");
        send("KILL", &[holder]).unwrap();
        let begun = Instant::now();
        while (exists(service) || folder.exists()) && begun.elapsed() < ENDING_MAX {
            std::thread::sleep(LOOK_EVERY);
        }
        assert!(!exists(service) && !folder.exists());
        owner.wait().unwrap();
    }

    fn name_of(process: u32) -> String {
        fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default().trim().to_owned()
    }
}
