//! How the intents of a scenario end where no act says so.

use super::Misread;
use super::fields::Fields;
use super::yaml::{Content, Node};

/// For all cases that have no rule of their own.
const ANY: &str = "*";

/// Answers by intent case.
#[derive(Clone, Debug, Default)]
pub struct Script {
    cases: Vec<(String, Vec<Rule>)>,
}

/// One answer, and to which intents of its case.
#[derive(Clone, Debug)]
struct Rule {
    /// To the first, second, … of the scenario.
    nth: Option<u32>,
    /// To those whose record has this in it.
    filter: Option<Node>,
    answer: Answer,
}

/// What is done about an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It stays without a conclusion.
    Leave,
    /// It ends so, as JSON.
    Say(String),
}

impl Script {
    pub(super) fn read(node: &Node) -> Result<Self, Misread> {
        let Content::Map(fields) = &node.content else {
            return Err(Misread { line: node.line, reason: "`answers` is a map from intent cases to answers".into() });
        };
        let mut cases = Vec::with_capacity(fields.len());
        for (case, node) in fields {
            let rules = match &node.content {
                Content::List(rules) => rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?,
                _ => vec![rule(node)?],
            };
            cases.push((case.replace('_', "-"), rules));
        }
        Ok(Script { cases })
    }

    /// The cases that it names.
    pub(super) fn cases(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|(case, _)| case.as_str()).filter(|case| *case != ANY)
    }

    /// The answer to the `nth` intent of a case; `fits` tells whether a filter lets it through.
    pub(super) fn answer(&self, case: &str, nth: u32, mut fits: impl FnMut(&Node) -> bool) -> Option<&Answer> {
        let of = |name: &str| self.cases.iter().find(|(case, _)| case == name).map_or(&[][..], |(_, rules)| rules);
        let mut rules = of(case).iter().chain(of(ANY));
        let found = rules.find(|rule| rule.nth.is_none_or(|of| of == nth) && rule.filter.as_ref().is_none_or(&mut fits));
        found.map(|rule| &rule.answer)
    }
}

fn rule(node: &Node) -> Result<Rule, Misread> {
    if let Content::Map(fields) = &node.content
        && fields.iter().any(|(key, _)| key == "say")
    {
        let mut fields = Fields::of(node, "an answer")?;
        let (nth, filter) = (fields.number("nth")?, fields.node("where").cloned());
        let Some(say) = fields.node("say") else { return Err(Misread { line: node.line, reason: "`say` is missing".into() }) };
        fields.finish("an answer")?;
        return Ok(Rule { nth, filter, answer: answer(say) });
    }
    Ok(Rule { nth: None, filter: None, answer: answer(node) })
}

fn answer(node: &Node) -> Answer {
    if node.text() == Some("leave") { Answer::Leave } else { Answer::Say(node.json()) }
}
