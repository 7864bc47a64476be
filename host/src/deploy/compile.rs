//! Compilation in a child process, with limits on size, time and memory: a component that takes too much of any is refused,
//! and the host lives. What the child compiles it leaves in the cache of compiled code, where the host finds it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::gate::COMPONENT_BYTES_MOST;

/// The hidden command that the child runs.
pub const COMPILE_COMMAND: &str = "compile";

/// How often it is looked whether the child has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What of the child's last words is told.
const MOST_WORDS_BYTES: u64 = 4096;

/// What a compilation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Largest component.
    pub component_bytes: usize,
    /// By the clock on the wall.
    pub time: Duration,
    /// Address space of the child, which the pool of sandboxes is no part of.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    /// What the gate admits, a minute, 2 GiB.
    fn default() -> Self {
        CompileLimits { component_bytes: COMPONENT_BYTES_MOST, time: Duration::from_secs(60), memory_bytes: 2 << 30 }
    }
}

/// What compiles components: the program that runs, as a child of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
}

impl Compiler {
    /// A compiler that is the command `compile` of `program`.
    #[must_use]
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Compiler { program, limits }
    }

    /// Compiles `component` and leaves the result in the cache.
    ///
    /// # Errors
    /// Why it cannot be compiled within the limits.
    pub fn compile(&self, component: &[u8]) -> Result<(), String> {
        let CompileLimits { component_bytes, time, memory_bytes } = self.limits;
        if component.len() > component_bytes {
            return Err(format!("the component has {} bytes; at most {component_bytes} are compiled", component.len()));
        }
        let failed = |error: std::io::Error| format!("cannot run {} to compile the component: {error}", self.program.display());
        let mut child = Command::new(&self.program)
            .args([COMPILE_COMMAND, "--memory", &memory_bytes.to_string(), "--seconds", &time.as_secs().max(1).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A child that has ended says by its end why it read no more.
                stdin.map(|mut stdin| stdin.write_all(component))
            });
            let words = scope.spawn(move || {
                let mut words = String::new();
                if let Some(stderr) = stderr {
                    // Words that are no text are none.
                    let _ = stderr.take(MOST_WORDS_BYTES).read_to_string(&mut words);
                }
                words
            });
            let began = Instant::now();
            let status = loop {
                match child.try_wait().map_err(failed)? {
                    Some(status) => break status,
                    None if began.elapsed() > time => {
                        // It is waited for in any case.
                        let _ = child.kill();
                        let _ = child.wait();
                        return Err(format!("the component is not compiled within {} s", time.as_secs()));
                    }
                    None => std::thread::sleep(LOOK_INTERVAL),
                }
            };
            if status.success() {
                return Ok(());
            }
            let words = words.join().unwrap_or_default();
            let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Err(format!(
                "the component cannot be compiled within {} s and {} MiB: the compiling process ended with {status}: {last}",
                time.as_secs(),
                memory_bytes >> 20
            ))
        })
    }
}
