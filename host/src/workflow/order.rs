//! `after`: which cases of the same decision an intent waits for.

use purefold_wit::{Contract, Finding};

use super::inputs::unknown_case;
use super::manifest::IntentSettings;
use super::{DELIVER, Manifest, TIMER};

/// The indices of the cases that a route names as `after`.
pub(super) fn plan(manifest: &Manifest, contract: &Contract, route: &IntentSettings, findings: &mut Vec<Finding>) -> Vec<u32> {
    let place = format!("intents.{}.after", route.case);
    let mut cases = Vec::with_capacity(route.after.len());
    for name in &route.after {
        let Some((index, _)) = contract.intent.case(name) else {
            findings.push(unknown_case("after-unknown", place.clone(), name, contract.intent.cases.iter().map(|case| case.name.kebab())));
            continue;
        };
        let built_in = manifest.intents.iter().any(|other| other.case == *name && matches!(other.effect.as_str(), TIMER | DELIVER));
        if built_in {
            findings.push(Finding::new(
                "after-done-already",
                place.clone(),
                format!("`{name}` is done by the commit itself, before any effect starts"),
                "leave it out: there is nothing to wait for",
            ));
        } else if !cases.contains(&index) {
            cases.push(index);
        }
    }
    cases
}

/// One finding for each circle of `after`: none of its cases could wait for all the others.
pub(super) fn check_circles(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let successors = |case: &str| manifest.intents.iter().find(|route| route.case == case).map_or(&[][..], |route| &route.after);
    let mut told: Vec<&str> = Vec::new();
    for route in &manifest.intents {
        if told.contains(&route.case.as_str()) {
            continue;
        }
        if let Some(circle) = circle(&route.case, successors) {
            told.extend(&circle);
            findings.push(Finding::new(
                "after-circle",
                format!("intents.{}.after", route.case),
                format!("the cases wait for each other: {} → {}", circle.join(" → "), route.case),
                "take one of them out",
            ));
        }
    }
}

/// A shortest way from `start` back to itself.
fn circle<'a>(start: &'a str, successors: impl Fn(&str) -> &'a [String]) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen: Vec<&str> = Vec::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        for case in way.last().map_or(&[][..], |case| successors(case)) {
            if case == start {
                return Some(way);
            }
            if !seen.contains(&case.as_str()) {
                seen.push(case);
                ways.push(way.iter().copied().chain([case.as_str()]).collect());
            }
        }
    }
    None
}
