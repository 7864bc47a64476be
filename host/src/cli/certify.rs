//! `purefold certify`: what was found of a component, in a text that is signed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use purefold::certificate::{Examination, ExamineError, Fuzzed, Past, Replayed, Statement, certificate_of};
use purefold::deploy::{Budget, Verdict};
use purefold::store::Location;
use purefold::workflow::{Manifest, component_path};
use serde_json::json;

use super::budget::BudgetArguments;
use super::exit::Exit;
use super::folder::Folder;
use super::import::{self, Trust};
use super::table::{Style, visible};
use super::{deploy, report, sign, verify};

/// Lives of entities that are made up, where the command line does not say.
const DEFAULT_RUNS: u64 = 1_000;

/// Most of them.
const RUNS_MOST: u64 = 100_000_000;

/// Where they come from, where the command line does not say: the same certificate comes of the same component.
const DEFAULT_SEED: u64 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A workflow's manifest (ends in .toml), or a component
    target: PathBuf,
    /// Where to write the certificate; by default beside the component, with `.certificate.json` after its name
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Sign it with this secret key; the signature is written beside it, with `.minisig` after its name
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// What is signed with it, and shown to whoever checks it: who answers for it, and when it was
    #[arg(long, default_value = "", requires = "sign")]
    comment: String,
    /// Try it on the history in the manifest's store
    #[arg(long)]
    history: bool,
    /// Try it on the history in this audit bundle; may be given several times
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    budget: BudgetArguments,
    /// Lives of entities that are made up to fuzz it: 0 for none
    #[arg(long, default_value_t = DEFAULT_RUNS, value_parser = clap::value_parser!(u64).range(0..=RUNS_MOST))]
    runs: u64,
    /// Where they come from: the same seed does the same
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// One JSON object: where it was written, and whether every gate was passed
    #[arg(long)]
    json: bool,
}

/// What is to be certified.
struct Target {
    component: PathBuf,
    bytes: Arc<[u8]>,
    manifest: Option<Manifest>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if arguments.comment.contains('\n') {
        eprintln!("error: --comment is one line");
        return Ok(Exit::Wrong);
    }
    // A key that is of no use is told before the work is done.
    let key = match &arguments.sign {
        None => None,
        Some(file) => match sign::key(file)? {
            None => return Ok(Exit::Wrong),
            key => key,
        },
    };
    let Some(target) = target(&arguments.target, arguments.history)? else { return Ok(Exit::Wrong) };
    if arguments.history && target.manifest.is_none() {
        eprintln!("error: --history is that of a manifest's store; name the manifest in place of the component, or a bundle by --bundle");
        return Ok(Exit::Wrong);
    }
    let statement = match examine(arguments, &target) {
        Ok(Ok(statement)) => statement,
        Ok(Err(exit)) => return Ok(exit),
        Err(error) => return refused(error, &arguments.target),
    };
    let file = arguments.output.clone().unwrap_or_else(|| certificate_of(&target.component));
    let text = statement.text();
    std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    let signature = key.map(|key| sign::write_signature(&key, &file, text.as_bytes(), &arguments.comment)).transpose()?;
    let signature = signature.map(|path| path.display().to_string());
    let is_passed = statement.refused().is_none();
    if arguments.json {
        let line = json!({
            "certificate": file.display().to_string(), "signature": signature, "component": statement.component.sha256, "passed": is_passed,
        });
        report::line(&line.to_string())?;
    } else {
        report::line(&format!("written: {}", file.display()))?;
        if let Some(signature) = signature {
            report::line(&format!("signed: {signature}"))?;
        }
        if let Some((gate, finding)) = statement.refused() {
            report::line(&format!("it says that the gate `{gate}` was not passed: {}", visible(finding)))?;
        }
    }
    Ok(if is_passed { Exit::Well } else { Exit::Negative })
}

/// Tells what keeps it from being examined, and how to exit.
fn refused(error: anyhow::Error, target: &Path) -> anyhow::Result<Exit> {
    match error.downcast_ref() {
        Some(ExamineError::Findings(findings)) => report::refuse(&target.display().to_string(), findings)?,
        Some(other @ ExamineError::OtherWorkflow { .. }) => eprintln!("error: {}", visible(&other.to_string())),
        _ => return Err(error),
    }
    Ok(Exit::Wrong)
}

/// What is named; none where that was told to be wrong. No signature is asked for: whoever certifies answers for what lies there.
fn target(path: &Path, is_store_read: bool) -> anyhow::Result<Option<Target>> {
    if path.extension().is_none_or(|ending| ending != "toml") {
        return Ok(Some(Target { component: path.to_path_buf(), bytes: deploy::read(path)?, manifest: None }));
    }
    // Only a store that is read needs what the environment says.
    let environment = |name: &str| std::env::var(name).ok().or_else(|| (!is_store_read).then(|| format!("${{{name}}}")));
    let (manifest, findings) = Manifest::read(path, &environment);
    let Some(manifest) = manifest.filter(|_| findings.is_empty()) else {
        report::refuse(&path.display().to_string(), &findings)?;
        return Ok(None);
    };
    let component = component_path(&manifest).unwrap_or_else(|| manifest.folder.join(&manifest.reducer.component));
    Ok(Some(Target { bytes: deploy::read(&component)?, component, manifest: Some(manifest) }))
}

fn examine(arguments: &Arguments, target: &Target) -> anyhow::Result<Result<Statement, Exit>> {
    let compiler = deploy::compiler()?;
    let manifest = target.manifest.as_ref().map(|manifest| (&*manifest.path, &*manifest.text));
    let mut teller = Teller { is_quiet: arguments.json, told: 0 };
    let mut examination = Examination::begin(target.bytes.clone(), manifest)?;
    let compiled = examination.compile(&compiler);
    teller.gates(examination.statement())?;
    if !compiled {
        return Ok(Ok(examination.finish()));
    }
    if arguments.runs > 0 {
        let bar = verify::progress("lives made up")?;
        examination.fuzz(arguments.seed, arguments.runs, &|runs| bar.set_position(runs))?;
        bar.finish_and_clear();
        teller.gates(examination.statement())?;
    }
    let budget = arguments.budget.budget();
    if let Some(manifest) = target.manifest.as_ref().filter(|_| arguments.history) {
        let history = (&manifest.store.location, &*manifest.name, &*manifest.path);
        replay(&mut examination, history, &budget)?;
        teller.history(examination.statement())?;
    }
    for bundle in &arguments.bundle {
        let folder = Folder::make(&std::env::temp_dir(), "certify")?;
        let store = folder.0.join(import::STORE);
        let unpacked = match import::unpack(bundle, &arguments.trust, &store)? {
            Ok(unpacked) => unpacked,
            Err(exit) => return Ok(Err(exit)),
        };
        // No path in the manifests of its releases is followed.
        let path = folder.0.join("workflow.toml");
        replay(&mut examination, (&Location::Sqlite(store), &unpacked.head.workflow, &path), &budget)?;
        teller.history(examination.statement())?;
    }
    Ok(Ok(examination.finish()))
}

fn replay(examination: &mut Examination<'_>, (location, workflow, path): (&Location, &str, &Path), budget: &Budget) -> anyhow::Result<()> {
    let bar = verify::progress("entries and decisions of history")?;
    let progress = |done| bar.set_position(done);
    let past = Past { location, workflow, path, budget, threads: verify::threads(), progress: &progress };
    examination.replay(&past, &deploy::compiler()?)?;
    bar.finish_and_clear();
    Ok(())
}

/// Tells people what is found, as it is.
struct Teller {
    is_quiet: bool,
    /// Gates that were told.
    told: usize,
}

impl Teller {
    fn gates(&mut self, statement: &Statement) -> io::Result<()> {
        let last = statement.fuzz.last();
        for checked in statement.gates.iter().skip(self.told) {
            let about = last.filter(|_| checked.gate == "fuzz").map(fuzzed).unwrap_or_default();
            self.gate(&checked.gate, checked.verdict, &about, &checked.findings)?;
        }
        self.told = statement.gates.len();
        Ok(())
    }

    /// The last of the histories.
    fn history(&self, statement: &Statement) -> io::Result<()> {
        let Some(history) = statement.histories.last().filter(|_| !self.is_quiet) else { return Ok(()) };
        report::line(&format!("history of {}, journal {}, {} entries", visible(&history.workflow), history.journal, history.entries))?;
        for checked in &history.gates {
            let about = match (&*checked.gate, &history.replayed) {
                ("verify", _) => format!("{} decisions executed again", history.verified.decisions),
                ("shadow", Some(replayed)) => compared(replayed),
                _ => String::new(),
            };
            self.gate(&checked.gate, checked.verdict, &about, &checked.findings)?;
        }
        Ok(())
    }

    fn gate(&self, name: &str, verdict: Verdict, about: &str, findings: &[String]) -> io::Result<()> {
        if self.is_quiet {
            return Ok(());
        }
        let style = Style::of_stdout();
        let verdict = match verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Refused => style.red("refused"),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", format!("{name:<14} {verdict}  {about}").trim_end())?;
        for finding in findings {
            writeln!(out, "  {}", visible(finding))?;
        }
        Ok(())
    }
}

fn fuzzed(fuzzed: &Fuzzed) -> String {
    let Fuzzed { seed, runs, decisions, findings, .. } = fuzzed;
    format!("{runs} runs with seed {seed}: {decisions} decisions, {} findings", findings.len())
}

fn compared(replayed: &Replayed) -> String {
    let Replayed { entities, decisions, different, expected, diverged, .. } = replayed;
    format!(
        "{decisions} decisions of {entities} entities compared; {expected} differ as expected, {different} otherwise, {diverged} entities diverge"
    )
}
