//! From a file to scenarios.

use super::Misread;
use super::act::{Act, Until, What, Which};
use super::expect::Expected;
use super::fields::{Fields, duration, moment};
use super::script::Script;
use super::yaml::{Content, Node, documents};

/// When a scenario begins that does not say: 2000-01-01T00:00:00Z.
const START: u64 = 946_684_800_000_000;

/// A scenario, read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: String,
    /// Where it begins in its file.
    pub line: usize,
    /// When it begins.
    pub start: u64,
    /// How intents end where no act says so.
    pub answers: Script,
    /// Whether deliveries wait for an act.
    pub by_hand: bool,
    /// What went before.
    pub given: Vec<Act>,
    /// What is done.
    pub when: Vec<Act>,
    /// What is expected at the end.
    pub then: Option<Expected>,
}

/// The scenarios of a file: one in each of its documents.
///
/// # Errors
/// The first thing that is no scenario, with its line.
pub fn read(text: &str) -> Result<Vec<Scenario>, Misread> {
    let documents = documents(text)?;
    if documents.is_empty() {
        return Err(Misread { line: 1, reason: "there is no scenario in it".into() });
    }
    documents.iter().map(scenario).collect()
}

fn scenario(node: &Node) -> Result<Scenario, Misread> {
    let mut fields = Fields::of(node, "a scenario")?;
    let name = fields
        .text("scenario")?
        .ok_or_else(|| Misread { line: node.line, reason: "`scenario` is missing: say in a sentence what it shows".into() })?;
    let start = fields.node("start").map(|node| moment(node, "start")).transpose()?.unwrap_or(START);
    let answers = fields.node("answers").map(Script::read).transpose()?.unwrap_or_default();
    let by_hand = match fields.text("deliveries")? {
        None | Some("at-once") => false,
        Some("by-hand") => true,
        Some(_) => return Err(Misread { line: fields.line(), reason: "`deliveries` is `at-once` or `by-hand`".into() }),
    };
    let acts = |nodes: Option<&[Node]>| nodes.unwrap_or_default().iter().map(act).collect::<Result<Vec<_>, _>>();
    let scenario = Scenario {
        name: name.to_owned(),
        line: node.line,
        start,
        answers,
        by_hand,
        given: acts(fields.list("given")?)?,
        when: acts(fields.list("when")?)?,
        then: fields.node("then").map(Expected::read).transpose()?,
    };
    fields.finish("a scenario")?;
    Ok(scenario)
}

fn act(node: &Node) -> Result<Act, Misread> {
    let keys: Vec<&str> = match &node.content {
        Content::Map(fields) => fields.iter().map(|(key, _)| key.as_str()).filter(|key| What::KEYS.contains(key)).collect(),
        _ => Vec::new(),
    };
    let [key] = keys.as_slice() else {
        let reason = format!("a step does one thing, said by one of {}", What::KEYS.join(", "));
        return Err(Misread { line: node.line, reason });
    };
    let mut fields = Fields::of(node, "a step")?;
    let what = what(key, &mut fields)?;
    let then = fields.node("then").map(Expected::read).transpose()?;
    fields.finish(&format!("a step of `{key}`"))?;
    Ok(Act { line: node.line, what, then })
}

fn what(key: &str, fields: &mut Fields<'_>) -> Result<What, Misread> {
    let line = fields.line();
    let missing = |name: &str| Misread { line, reason: format!("`{name}` is missing") };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(match key {
        "event" => What::Event {
            ty: fields.text("event")?.unwrap_or_default().to_owned(),
            id: owned(fields.text("id")?),
            source: owned(fields.text("source")?),
            correlation_id: owned(fields.text("correlation-id")?),
            data: fields.node("data").ok_or_else(|| missing("data"))?.json(),
        },
        "input" => What::Input {
            workflow: owned(fields.text("workflow")?),
            entity: owned(fields.text("entity")?),
            input: fields.node("input").ok_or_else(|| missing("input"))?.json(),
        },
        "repeat" => What::Repeat(fields.text("repeat")?.unwrap_or_default().to_owned()),
        "state" => What::State {
            state: fields.node("state").ok_or_else(|| missing("state"))?.json(),
            workflow: owned(fields.text("workflow")?),
            entity: owned(fields.text("entity")?).ok_or_else(|| missing("entity"))?,
            timers: timers(fields)?,
        },
        "advance" => What::Advance(until(fields.node("advance").ok_or_else(|| missing("advance"))?, "advance")?),
        "stall" => What::Stall(until(fields.node("stall").ok_or_else(|| missing("stall"))?, "stall")?),
        "answer" => {
            let intent = which("answer", fields)?;
            What::Answer { intent, with: fields.node("with").map_or_else(|| r#""ok""#.to_owned(), Node::json) }
        }
        "redrive" => What::Redrive(which("redrive", fields)?),
        "give-up" => What::GiveUp(which("give-up", fields)?),
        "deliver" => What::Deliver(fields.text("deliver")?.unwrap_or_default().to_owned()),
        "resume" => What::Resume(fields.text("resume")?.unwrap_or_default().to_owned()),
        "drop" => What::Drop(fields.text("drop")?.unwrap_or_default().to_owned()),
        _ => return Err(missing("a step")),
    })
}

fn until(node: &Node, name: &str) -> Result<Until, Misread> {
    match duration(node, name) {
        Ok(time) => Ok(Until::After(time)),
        Err(misread) => moment(node, name).map(Until::At).map_err(|_| misread),
    }
}

fn which(key: &'static str, fields: &mut Fields<'_>) -> Result<Which, Misread> {
    Ok(Which {
        case: fields.text(key)?.unwrap_or_default().replace('_', "-"),
        entity: fields.text("entity")?.map(str::to_owned),
        filter: fields.node("where").cloned(),
    })
}

fn timers(fields: &mut Fields<'_>) -> Result<Vec<(String, u64)>, Misread> {
    let Some(node) = fields.node("timers") else { return Ok(Vec::new()) };
    let Content::Map(timers) = &node.content else {
        return Err(Misread { line: node.line, reason: "`timers` is a map from names to the moments at which they fall due".into() });
    };
    timers.iter().map(|(name, node)| Ok((name.clone(), moment(node, name)?))).collect()
}
