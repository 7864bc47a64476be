//! `purefold fuzz`: typed values that nobody thought of, and what goes wrong with them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use purefold::fuzz::{CORPUS_LINES_MOST, Found, Fuzzer, Target, read_line, write_line};
use purefold::gate;
use purefold::workflow::{component_path, load_to_read};
use purefold_effects::settings::parse_duration;
use purefold_wit::Contract;
use serde::Serialize;

use super::exit::Exit;
use super::report::{self, json_line};
use super::table::{Style, visible};

/// Lives of entities, where nothing else ends the run.
const DEFAULT_RUNS: u64 = 1_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A workflow's manifest (ends in .toml), or a component
    target: PathBuf,
    /// Lives of entities: sequences of up to a dozen inputs each. 1000 where no time is set
    #[arg(long)]
    runs: Option<u64>,
    /// Stop after this time
    #[arg(long, value_parser = parse_duration)]
    time: Option<Duration>,
    /// The same seed does the same; a new one each time where none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Where decisions that went wrong are kept, to be tried first the next time; by default beside the target
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    code: &'a str,
    case: &'a str,
    reason: &'a str,
    /// Whether decisions led to the state.
    reached: bool,
    reproduce: &'a str,
}

#[derive(Serialize)]
struct End<'a> {
    seed: u64,
    runs: u64,
    decisions: u64,
    findings: usize,
    kept: usize,
    cases: &'a BTreeMap<String, [u64; 3]>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some((target, component)) = open(&arguments.target)? else { return Ok(Exit::Wrong) };
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let corpus = arguments.corpus.clone().unwrap_or_else(|| arguments.target.with_extension("fuzz.jsonl"));
    let mut session = Session {
        target: &target,
        component: component.display().to_string(),
        json: arguments.json,
        out: io::BufWriter::new(io::stdout().lock()),
        known: Vec::new(),
        lines: Vec::new(),
    };
    let kept = session.again(&corpus)?;
    let mut fuzzer = Fuzzer::new(&target, seed);
    let runs = arguments.runs.unwrap_or(if arguments.time.is_some() { u64::MAX } else { DEFAULT_RUNS });
    let (began, mut done) = (Instant::now(), 0);
    while done < runs && arguments.time.is_none_or(|most| began.elapsed() < most) {
        for found in fuzzer.run()? {
            session.tell(&found)?;
        }
        done += 1;
    }
    session.keep(&corpus)?;
    let tally = fuzzer.tally();
    let findings = session.known.len();
    let mut out = session.out;
    if arguments.json {
        json_line(&mut out, &End { seed, runs: done, decisions: tally.decisions, findings, kept, cases: &tally.cases })?;
    } else {
        writeln!(out, "{done} runs with seed {seed}: {} decisions, {findings} findings", tally.decisions)?;
        for (case, [accepted, rejected, faulted]) in &tally.cases {
            writeln!(out, "  {}: {accepted} accepted, {rejected} rejected, {faulted} faulted", visible(case))?;
        }
    }
    out.flush()?;
    Ok(if findings == 0 { Exit::Well } else { Exit::Negative })
}

/// What is to be fuzzed, and where its component lies; none where that was told to be wrong.
fn open(path: &Path) -> anyhow::Result<Option<(Target, PathBuf)>> {
    let refuse = |findings: &[purefold_wit::Finding]| report::refuse(&path.display().to_string(), findings);
    if path.extension().is_some_and(|ending| ending == "toml") {
        let workflow = match load_to_read(path) {
            Ok(workflow) => workflow,
            Err(findings) => {
                refuse(&findings)?;
                return Ok(None);
            }
        };
        let component = component_path(&workflow.manifest).unwrap_or_else(|| PathBuf::from(&workflow.manifest.reducer.component));
        return Ok(Some((Target::workflow(workflow)?, component)));
    }
    let component = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut findings = gate::inspect(&component);
    if findings.is_empty() {
        match Contract::read(&component) {
            Ok(contract) => return Ok(Some((Target::component(&component, &Arc::new(contract))?, path.to_path_buf()))),
            Err(found) => findings = found,
        }
    }
    refuse(&findings)?;
    Ok(None)
}

struct Session<'t, W: Write> {
    target: &'t Target,
    component: String,
    json: bool,
    out: W,
    /// What was told already, by code and input case.
    known: Vec<(String, String)>,
    /// The corpus, as it will be.
    lines: Vec<String>,
}

impl<W: Write> Session<'_, W> {
    /// Tries what went wrong before. Gives how many there were.
    fn again(&mut self, corpus: &Path) -> anyhow::Result<usize> {
        if !corpus.is_file() {
            return Ok(0);
        }
        let file = std::fs::File::open(corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
        for line in io::BufReader::new(file).lines().take(CORPUS_LINES_MOST) {
            let line = line.with_context(|| format!("cannot read {}", corpus.display()))?;
            match read_line(self.target, &line) {
                Ok(kept) => {
                    let (_, wrong) = self.target.decide(&kept.context, kept.state.as_ref(), &kept.input)?;
                    if let Some(wrong) = wrong {
                        // Whether decisions led to the state was told when it was found.
                        self.tell(&Found { wrong, context: kept.context, state: kept.state, is_reached: true, input: kept.input })?;
                    }
                }
                // It may be of a contract that was, or that comes back.
                Err(reason) => eprintln!("warning: {}: a line that does not fit the contract is left as it is: {reason}", corpus.display()),
            }
            if !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
        Ok(self.lines.len())
    }

    fn tell(&mut self, found: &Found) -> anyhow::Result<()> {
        let kind = (found.wrong.code.clone(), self.target.case(&found.input).to_owned());
        if self.known.contains(&kind) {
            return Ok(());
        }
        let Some(line) = write_line(self.target, found) else { return Ok(()) };
        // In JSON an apostrophe stands in texts only, and a shell's quotes end at one.
        let reproduce = format!("echo '{}' | purefold reduce {}", line.replace('\'', "\\u0027"), self.component);
        let told = Line { code: &kind.0, case: &kind.1, reason: &found.wrong.reason, reached: found.is_reached, reproduce: &reproduce };
        if self.json {
            json_line(&mut self.out, &told)?;
        } else {
            let style = Style::of_stdout();
            let state = if found.is_reached { "" } else { ", in a state made from its type, which no decision may lead to" };
            writeln!(self.out, "{}  on {}{state}", style.red(&kind.0), visible(&kind.1))?;
            writeln!(self.out, "  {}", visible(&found.wrong.reason))?;
            writeln!(self.out, "  {}\n", visible(&reproduce))?;
        }
        self.known.push(kind);
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
        Ok(())
    }

    /// Writes the corpus down, where there is anything in it.
    fn keep(&mut self, corpus: &Path) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.lines.truncate(CORPUS_LINES_MOST);
        std::fs::write(corpus, self.lines.join("\n") + "\n").with_context(|| format!("cannot write {}", corpus.display()))
    }
}
