//! Who used the processors meanwhile: this process and others, each with what it started. Said by /proc, where there is one.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

/// Ticks of a processor's time in a second, as Linux tells them to programs on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that is looked at, by name.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    name: String,
    process: u32,
}

/// Reads `NAME=PROCESS`.
pub(super) fn watched(text: &str) -> Result<Watched, String> {
    let parsed = text.split_once('=').and_then(|(name, process)| Some((name, process.parse().ok()?)));
    let (name, process) = parsed.filter(|(name, _)| !name.is_empty()).ok_or("write NAME=PROCESS, the process by its number")?;
    Ok(Watched { name: name.to_owned(), process })
}

/// This process, and those beside it.
pub(super) fn with_host(beside: &[Watched]) -> Vec<Watched> {
    let host = Watched { name: "host".to_owned(), process: std::process::id() };
    std::iter::once(host).chain(beside.iter().cloned()).collect()
}

/// The time that was used up to a moment.
pub(super) struct Usage {
    at: Instant,
    ticks: Vec<u64>,
    machine: u64,
}

/// What was used between two moments.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Used {
    /// By name: seconds of processors.
    pub(super) seconds: Vec<(String, f64)>,
    /// Seconds of processors that the whole machine used, whoever did.
    pub(super) machine_seconds: f64,
    /// Seconds that went by.
    pub(super) elapsed_seconds: f64,
    pub(super) processors: usize,
}

impl Usage {
    /// Up to now; none where the system does not say.
    pub(super) fn now(of: &[Watched]) -> Option<Usage> {
        let all = Processes::read()?;
        Some(Usage { at: Instant::now(), ticks: of.iter().map(|watched| all.ticks(watched.process)).collect(), machine: machine()? })
    }

    /// What was used since.
    #[allow(clippy::cast_precision_loss, reason = "ticks of hours stay far below what is exact")]
    pub(super) fn until(&self, later: &Usage, of: &[Watched]) -> Used {
        let seconds = |before: u64, after: u64| after.saturating_sub(before) as f64 / TICKS_PER_SECOND;
        let by_name = of.iter().zip(self.ticks.iter().zip(&later.ticks));
        Used {
            seconds: by_name.map(|(watched, (before, after))| (watched.name.clone(), seconds(*before, *after))).collect(),
            machine_seconds: seconds(self.machine, later.machine),
            elapsed_seconds: later.at.duration_since(self.at).as_secs_f64(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

impl Used {
    /// Adds what another round used.
    pub(super) fn add(&mut self, other: Used) {
        if self.seconds.is_empty() {
            *self = other;
            return;
        }
        for ((_, sum), (_, more)) in self.seconds.iter_mut().zip(other.seconds) {
            *sum += more;
        }
        self.machine_seconds += other.machine_seconds;
        self.elapsed_seconds += other.elapsed_seconds;
    }

    /// All that those who were looked at used, in seconds.
    pub(super) fn total(&self) -> f64 {
        self.seconds.iter().map(|(_, seconds)| seconds).sum()
    }

    /// The share of all processors that was in use, by anybody.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn busy(&self) -> f64 {
        self.machine_seconds / (self.elapsed_seconds * self.processors as f64)
    }

    /// In words, for so many events.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn told(&self, events: u64) -> String {
        let each = |seconds: f64| seconds * 1e6 / events.max(1) as f64;
        let parts: Vec<String> = self
            .seconds
            .iter()
            .map(|(name, seconds)| format!("{name} {:.1} µs an event ({:.2} processors)", each(*seconds), seconds / self.elapsed_seconds))
            .collect();
        format!("{}; together {:.1} µs an event", parts.join(", "), each(self.total()))
    }
}

/// Ticks in which any processor did something.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(ticks.iter().take(8).sum::<u64>() - idle)
}

/// All processes: which started which, and what each used.
struct Processes {
    children: HashMap<u32, Vec<u32>>,
    ticks: HashMap<u32, u64>,
}

impl Processes {
    fn read() -> Option<Processes> {
        let mut all = Processes { children: HashMap::new(), ticks: HashMap::new() };
        for entry in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may have ended meanwhile.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            if let Some((parent, ticks)) = parent_and_ticks(&stat) {
                all.children.entry(parent).or_default().push(process);
                all.ticks.insert(process, ticks);
            }
        }
        Some(all)
    }

    /// Of a process and all that descend from it.
    fn ticks(&self, process: u32) -> u64 {
        let below: u64 = self.children.get(&process).into_iter().flatten().map(|child| self.ticks(*child)).sum();
        below + self.ticks.get(&process).copied().unwrap_or(0)
    }
}

/// Of the line in `stat`: the parent; and what the process and its children that have ended used.
fn parent_and_ticks(stat: &str) -> Option<(u32, u64)> {
    // The name, between brackets, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let ticks = fields.skip(9).take(4).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some((parent, ticks))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_name() {
        let stat = "12 (a ) b) S 7 12 12 0 -1 4194560 5 6 7 8 100 20 3 4 20 0 1 0 99 1 1";
        assert_eq!(parent_and_ticks(stat), Some((7, 127)));
    }

    #[test]
    fn a_process_is_given_by_name_and_number() {
        let Watched { name, process } = watched("Kafka=17").unwrap();
        assert_eq!((&*name, process), ("Kafka", 17));
        assert!(watched("Kafka").is_err() && watched("=17").is_err() && watched("Kafka=x").is_err());
    }

    #[test]
    fn rounds_add_up() {
        let round = || Used { seconds: vec![("host".into(), 1.0)], machine_seconds: 3.0, elapsed_seconds: 2.0, processors: 2 };
        let mut used = Used::default();
        used.add(round());
        used.add(round());
        assert!((used.total() - 2.0).abs() < 1e-9 && (used.busy() - 0.75).abs() < 1e-9);
        assert_eq!(used.told(1_000_000), "host 2.0 µs an event (0.50 processors); together 2.0 µs an event");
    }
}
