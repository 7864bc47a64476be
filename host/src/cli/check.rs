//! `purefold check`

mod certified;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use purefold::gate;
use purefold::sandbox::{ENGINE_BUILD, Limits, Sandbox, SandboxError};
use purefold::workflow::{self, OnExhausted, RoutePlan, Workflow};
use purefold_wit::{Contract, Finding};
use serde::Serialize;
use sha2::{Digest, Sha256};

use certified::{Certified, demanded};

use super::exit::Exit;
use super::report;
use super::table::{Side, Style, Table, visible};
use super::trusted::TrustedKeys;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Manifests of workflows, or components; several workflows are also checked against each other
    #[arg(required = true, value_name = "WORKFLOW|COMPONENT")]
    files: Vec<PathBuf>,
    /// Each component must have a certificate beside it: by one of the keys named here, else by one that the manifest trusts
    #[arg(long)]
    require_certificate: bool,
    #[command(flatten)]
    keys: TrustedKeys,
    /// How to tell what is found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as `--format json`
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object for each finding, and a last one that counts them
    Json,
}

/// What was checked and found well.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Subject {
    Workflow(WorkflowSummary),
    Component(Box<ComponentSummary>),
}

/// A workflow, told.
#[derive(Serialize)]
struct WorkflowSummary {
    file: String,
    name: String,
    component_digest: String,
    manifest_digest: String,
    /// Event types and the input cases that they feed.
    inputs: Vec<(String, String)>,
    routes: Vec<RouteSummary>,
    machine: bool,
}

/// The route of one intent case, told.
#[derive(Serialize)]
struct RouteSummary {
    intent: String,
    effect: String,
    /// The input case that comes of it.
    input: Option<String>,
    attempts: Option<u32>,
    on_exhausted: Option<&'static str>,
}

/// A component, told.
#[derive(Serialize)]
struct ComponentSummary {
    file: String,
    bytes: usize,
    digest: String,
    world: String,
    /// Functions that it imports: none, or it would not be here.
    function_imports: usize,
    inputs: Vec<String>,
    intents: Vec<String>,
    state: String,
    migrates: bool,
    fingerprint: String,
    state_fingerprint: String,
    fuel: u64,
    memory_bytes: usize,
    output_bytes: usize,
    intents_most: usize,
    engine: &'static str,
}

#[derive(Serialize)]
struct Summary<'a> {
    checked: usize,
    findings: usize,
    well: &'a [Subject],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    certified: &'a [Certified],
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let json = arguments.json || arguments.format == Format::Json;
    let Some(keys) = arguments.keys.read()? else { return Ok(Exit::Wrong) };
    let mut certified = Vec::new();
    let sandbox = Sandbox::new()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut workflows = Vec::new();
    let mut well = Vec::new();
    let mut count = 0;
    for file in &arguments.files {
        let name = file.display().to_string();
        let is_component = is_component(file)?;
        let mut checked = if is_component {
            component(&sandbox, file)?.map(|summary| Subject::Component(Box::new(summary)))
        } else {
            self::workflow(&sandbox, file)?.map(|workflow| {
                let subject = told(&name, &workflow);
                workflows.push(workflow);
                subject
            })
        };
        if arguments.require_certificate && checked.is_ok() {
            match demanded(file, workflows.last().filter(|_| !is_component), &keys)? {
                Ok(found) => certified.push(found),
                Err(finding) => checked = Err(vec![finding]),
            }
        }
        match checked {
            Ok(subject) => {
                if !json {
                    subject.tell(&mut out)?;
                    if let Some(Certified { key, comment, .. }) = certified.last().filter(|last| last.file == name) {
                        writeln!(out, "certified by key {key}: {}", visible(comment))?;
                    }
                }
                well.push(subject);
            }
            Err(findings) => {
                count += findings.len();
                tell(&mut out, json, &name, &findings)?;
            }
        }
    }
    // One workflow alone may deliver to another that is checked elsewhere.
    if workflows.len() > 1 {
        let findings = workflow::link(&workflows);
        if !findings.is_empty() {
            count += findings.len();
            tell(&mut out, json, "workflows together", &findings)?;
        }
    }
    if json {
        report::json_line(&mut out, &Summary { checked: arguments.files.len(), findings: count, well: &well, certified: &certified })?;
    }
    out.flush()?;
    Ok(if count == 0 { Exit::Well } else { Exit::Wrong })
}

fn tell(out: &mut dyn Write, json: bool, name: &str, findings: &[Finding]) -> io::Result<()> {
    if json { report::json(out, name, findings) } else { report::text(out, Style::of_stdout(), name, findings) }
}

/// A component begins as WebAssembly does, or is called so; anything else is read as a manifest.
fn is_component(file: &Path) -> anyhow::Result<bool> {
    if file.extension().is_some_and(|extension| extension == "wasm") {
        return Ok(true);
    }
    let mut magic = [0; 4];
    match std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut magic)) {
        Ok(()) => Ok(&magic == b"\0asm"),
        // The manifest's own check tells of a file that is missing, and of one that is too short to be anything.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn workflow(sandbox: &Sandbox, file: &Path) -> anyhow::Result<Result<Workflow, Vec<Finding>>> {
    let workflow = match workflow::load(file) {
        Ok(workflow) => workflow,
        Err(findings) => return Ok(Err(findings)),
    };
    match sandbox.load(&workflow.component, Arc::clone(&workflow.contract), workflow.manifest.limits()) {
        Ok(_) => Ok(Ok(workflow)),
        Err(SandboxError::Load(reason)) => Ok(Err(vec![unloadable("reducer.component", &reason)])),
        Err(error) => Err(error.into()),
    }
}

fn told(file: &str, workflow: &Workflow) -> Subject {
    let input = |case: u32| workflow.contract.input.cases.get(case as usize).map(|case| case.name.kebab().to_owned());
    let routes = workflow.contract.intent.cases.iter().zip(&*workflow.routes).map(|(case, route)| {
        let intent = case.name.kebab().to_owned();
        let built_in = |effect: &str, input| RouteSummary {
            intent: intent.clone(),
            effect: effect.to_owned(),
            input,
            attempts: None,
            on_exhausted: None,
        };
        match route {
            RoutePlan::Effect(route) => RouteSummary {
                intent: intent.clone(),
                effect: route.effect.to_string(),
                input: route.outcome.as_ref().and_then(|outcome| input(outcome.input_case)),
                attempts: Some(route.retry.attempts),
                on_exhausted: Some(match route.on_exhausted {
                    OnExhausted::Outcome => "outcome",
                    OnExhausted::Hold => "hold",
                }),
            },
            RoutePlan::Timer { input_case } => built_in("timer", input(*input_case)),
            RoutePlan::TimerCancel => built_in("timer", None),
            RoutePlan::Deliver(route) => built_in("deliver", Some(format!("{}: {}", route.workflow, route.input))),
        }
    });
    let mut inputs: Vec<(String, String)> =
        workflow.inputs.iter().map(|(event, fed)| (event.clone(), input(fed.case).unwrap_or_default())).collect();
    inputs.sort();
    Subject::Workflow(WorkflowSummary {
        file: file.to_owned(),
        name: workflow.name.to_string(),
        component_digest: workflow.component_digest.to_string(),
        manifest_digest: workflow.manifest_digest.to_string(),
        inputs,
        routes: routes.collect(),
        machine: workflow.machine.is_some(),
    })
}

fn component(sandbox: &Sandbox, file: &Path) -> anyhow::Result<Result<ComponentSummary, Vec<Finding>>> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(vec![Finding::new(
                "component-missing",
                "component",
                "there is no such file",
                "mend the path, or build the reducer",
            )]));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut findings = gate::inspect(&bytes);
    if gate::is_unreadable(&findings) {
        return Ok(Err(findings));
    }
    let contract = match Contract::read(&bytes) {
        Ok(contract) => Arc::new(contract),
        Err(found) => {
            findings.extend(found);
            return Ok(Err(findings));
        }
    };
    if !findings.is_empty() {
        return Ok(Err(findings));
    }
    let limits = Limits::default();
    match sandbox.load(&bytes, Arc::clone(&contract), limits) {
        Ok(_) => Ok(Ok(summary(file, &bytes, &contract, &limits))),
        Err(SandboxError::Load(reason)) => Ok(Err(vec![unloadable("component", &reason)])),
        Err(error) => Err(error.into()),
    }
}

/// The gate and the engine should agree; where they do not, the engine has the last word.
pub(super) fn unloadable(place: &str, reason: &str) -> Finding {
    Finding::new("component-unloadable", place, reason, "build it again with the tools that the guide names")
}

fn summary(file: &Path, bytes: &[u8], contract: &Contract, limits: &Limits) -> ComponentSummary {
    let names = |cases: &[purefold_wit::Case]| cases.iter().map(|case| case.name.kebab().to_owned()).collect();
    ComponentSummary {
        file: file.display().to_string(),
        bytes: bytes.len(),
        digest: purefold::journal::hex(&Sha256::digest(bytes)),
        world: contract.world.clone(),
        function_imports: 0,
        inputs: names(&contract.input.cases),
        intents: names(&contract.intent.cases),
        state: contract.state.name.kebab().to_owned(),
        migrates: contract.migrate.is_some(),
        fingerprint: contract.fingerprint(),
        state_fingerprint: contract.state_fingerprint(),
        fuel: limits.fuel,
        memory_bytes: limits.memory_bytes,
        output_bytes: limits.output_bytes,
        intents_most: limits.intents,
        engine: ENGINE_BUILD,
    }
}

impl Subject {
    fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let style = Style::of_stdout();
        match self {
            Subject::Workflow(summary) => summary.tell(out, style),
            Subject::Component(summary) => {
                writeln!(out, "{}: well", style.bold(&summary.file))?;
                for (name, text) in summary.lines() {
                    writeln!(out, "  {name:<12} {text}")?;
                }
                Ok(())
            }
        }
    }
}

impl WorkflowSummary {
    fn tell(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let machine = if self.machine { "a declared machine" } else { "no declared machine" };
        writeln!(out, "{}: well", style.bold(&self.file))?;
        writeln!(out, "workflow `{}`, {machine}, component {}", self.name, self.component_digest)?;
        writeln!(out)?;
        let mut inputs = Table::new(out, style, &[("event", Side::Left), ("input", Side::Left)]);
        for (event, input) in &self.inputs {
            inputs.row([event, input])?;
        }
        inputs.finish()?;
        writeln!(out)?;
        let columns = [
            ("intent", Side::Left),
            ("effect", Side::Left),
            ("input that follows", Side::Left),
            ("attempts", Side::Right),
            ("on exhausted", Side::Left),
        ];
        let mut routes = Table::new(out, style, &columns);
        for route in &self.routes {
            let attempts = route.attempts.map(|attempts| attempts.to_string()).unwrap_or_default();
            routes.row([
                &*route.intent,
                &route.effect,
                route.input.as_deref().unwrap_or_default(),
                &attempts,
                route.on_exhausted.unwrap_or_default(),
            ])?;
        }
        routes.finish()
    }
}

impl ComponentSummary {
    fn lines(&self) -> [(&'static str, String); 9] {
        [
            ("digest", self.digest.clone()),
            ("size", format!("{} bytes", self.bytes)),
            ("world", self.world.clone()),
            ("imports", "no function".to_owned()),
            ("state", format!("{} ({})", self.state, self.state_fingerprint)),
            ("inputs", self.inputs.join(", ")),
            ("intents", self.intents.join(", ")),
            ("contract", format!("{}{}", self.fingerprint, if self.migrates { ", takes over an older state" } else { "" })),
            (
                "limits",
                format!(
                    "{} units of fuel, {} bytes of memory, {} bytes of output, {} intents ({})",
                    self.fuel, self.memory_bytes, self.output_bytes, self.intents_most, self.engine
                ),
            ),
        ]
    }
}

#[cfg(test)]
mod tests;
