//! From `[intents]` and `[effects]` to one route for each intent case.

use std::sync::Arc;

use purefold_effects::settings::Settings;
use purefold_effects::{Effect, Operation, Route};
use purefold_wit::{Contract, Finding, Record, Type, finding};

use super::inputs::unknown_case;
use super::load::Opener;
use super::manifest::IntentSettings;
use super::{DELIVER, EffectRoute, Manifest, OnExhausted, OutcomePlan, RoutePlan, TIMER, deliver, order, outcome, standard};

/// What the manifest's routes come to.
pub(super) struct Plan {
    /// One for each intent case, where all is well; fewer where there are findings.
    pub(super) routes: Vec<RoutePlan>,
    /// The effects that routes name.
    pub(super) effects: Vec<(Arc<str>, Arc<dyn Effect>)>,
}

/// An effect's route before it is bound.
struct Unbound<'a> {
    case: usize,
    settings: &'a IntentSettings,
    intent: &'a Arc<Record>,
    outcome: Option<OutcomePlan>,
    reply: Option<&'a Type>,
    after: Vec<u32>,
}

/// Opens every effect of the manifest, used or not.
pub(super) fn open(manifest: &Manifest, open: &Opener, findings: &mut Vec<Finding>) -> Vec<(Arc<str>, Arc<dyn Effect>)> {
    let mut effects = Vec::with_capacity(manifest.effects.len());
    for settings in &manifest.effects {
        match open(&settings.name, &settings.settings, &manifest.folder) {
            Ok(effect) => effects.push((settings.name.as_str().into(), effect)),
            Err(found) => findings.extend(found.into_iter().map(|found| with_common_effect_names(found, &settings.name))),
        }
    }
    effects
}

/// Plans a route for each intent case, over the effects that could be opened.
pub(super) fn plan(
    manifest: &Manifest,
    contract: &Contract,
    opened: Vec<(Arc<str>, Arc<dyn Effect>)>,
    findings: &mut Vec<Finding>,
) -> Plan {
    let mut routes: Vec<Option<RoutePlan>> = contract.intent.cases.iter().map(|_| None).collect();
    let mut unbound: Vec<Unbound<'_>> = Vec::new();
    for settings in &manifest.intents {
        let Some((index, case)) = contract.intent.case(&settings.case) else {
            let known = contract.intent.cases.iter().map(|case| case.name.kebab());
            findings.push(unknown_case("intent-unknown", format!("intents.{}", settings.case), &settings.case, known));
            continue;
        };
        // The contract's own check tells of a case without a record.
        let Some(Type::Record(intent)) = &case.payload else { continue };
        let slot = index as usize;
        match settings.effect.as_str() {
            "" => {}
            TIMER => routes[slot] = timer(contract, settings, intent, findings),
            DELIVER => {
                refuse_common(settings, findings);
                routes[slot] = deliver::plan(manifest, contract, settings, intent, findings).map(RoutePlan::Deliver);
            }
            _ => unbound.push(effect_route(manifest, contract, slot, settings, intent, findings)),
        }
    }
    order::check_circles(manifest, findings);
    unrouted(manifest, contract, findings);
    check_effects(manifest, &unbound, findings);
    let effects = bind(manifest, opened, unbound, &mut routes, findings);
    Plan { routes: routes.into_iter().flatten().collect(), effects }
}

fn unrouted(manifest: &Manifest, contract: &Contract, findings: &mut Vec<Finding>) {
    for case in &contract.intent.cases {
        let name = case.name.kebab();
        if !manifest.intents.iter().any(|route| route.case == name) {
            findings.push(Finding::new(
                "intent-unrouted",
                format!("intents.{name}"),
                format!("the reducer may emit `{name}` and no route says what performs it"),
                format!("add `[intents.{name}]` with `effect = …`"),
            ));
        }
    }
}

fn effect_route<'a>(
    manifest: &Manifest,
    contract: &'a Contract,
    case: usize,
    settings: &'a IntentSettings,
    intent: &'a Arc<Record>,
    findings: &mut Vec<Finding>,
) -> Unbound<'a> {
    let planned = settings.outcome.as_ref().and_then(|name| outcome::plan(contract, &settings.case, intent, name, findings));
    let (outcome, reply) = planned.map_or((None, None), |(outcome, reply)| (Some(outcome), reply));
    let after = order::plan(manifest, contract, settings, findings);
    Unbound { case, settings, intent, outcome, reply, after }
}

fn timer(contract: &Contract, settings: &IntentSettings, intent: &Arc<Record>, findings: &mut Vec<Finding>) -> Option<RoutePlan> {
    refuse_common(settings, findings);
    let mut own = Settings::new(&settings.settings, format!("intents.{}", settings.case));
    let payload = Type::Record(Arc::clone(intent));
    let route = if standard::is_timer_cancel(&payload) {
        Some(RoutePlan::TimerCancel)
    } else if standard::is_timer(&payload) {
        timer_input(contract, &mut own).map(|input_case| RoutePlan::Timer { input_case })
    } else {
        own.report(
            "timer-shape",
            "effect",
            format!("the case carries `{}`, which is neither `timer` nor `timer-cancel`", intent.name.kebab()),
            "let it carry `timer` or `timer-cancel` of purefold:reducer/types",
        );
        None
    };
    let before = findings.len();
    findings.extend(own.finish());
    route.filter(|_| findings.len() == before)
}

/// The input case that takes a timer: the one that the route names, else the only one that carries a `timer`.
fn timer_input(contract: &Contract, settings: &mut Settings<'_>) -> Option<u32> {
    if let Some(name) = settings.string("input") {
        let Some((index, case)) = contract.input.case(name) else {
            let place = settings.place_of("input");
            settings.absorb([unknown_case("input-unknown", place, name, contract.input.cases.iter().map(|case| case.name.kebab()))]);
            return None;
        };
        if case.payload.as_ref().is_some_and(standard::is_timer) {
            return Some(index);
        }
        settings.report("timer-shape", "input", format!("the input case `{name}` does not carry a `timer`"), "name one that does");
        return None;
    }
    let mut takers = (0_u32..).zip(&contract.input.cases).filter(|(_, case)| case.payload.as_ref().is_some_and(standard::is_timer));
    match (takers.next(), takers.next()) {
        (Some((index, _)), None) => Some(index),
        (None, _) => {
            settings.report(
                "timer-shape",
                "effect",
                "no input case carries a `timer`, so a timer that falls due has nowhere to go",
                "add a case such as `timer(timer)` to the input",
            );
            None
        }
        (Some(_), Some(_)) => {
            settings.report("timer-shape", "effect", "several input cases carry a `timer`", "name the one that takes it as `input`");
            None
        }
    }
}

/// What the commit does itself has no attempts and no outcome.
fn refuse_common(settings: &IntentSettings, findings: &mut Vec<Finding>) {
    for name in settings.spelled.iter().filter(|name| **name != "effect") {
        findings.push(Finding::new(
            "setting-unknown",
            format!("intents.{}.{name}", settings.case),
            format!("a `{}` route has no `{name}`: the commit itself does it", settings.effect),
            "remove it",
        ));
    }
}

fn check_effects(manifest: &Manifest, routes: &[Unbound<'_>], findings: &mut Vec<Finding>) {
    let known = || manifest.effects.iter().map(|effect| effect.name.as_str()).chain([TIMER, DELIVER]);
    for route in routes {
        let name = &route.settings.effect;
        if known().any(|known| known == name) {
            continue;
        }
        let help = match finding::nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `[effects.{name}]`, or name one of {}", known().collect::<Vec<_>>().join(", ")),
        };
        let place = format!("intents.{}.effect", route.settings.case);
        findings.push(Finding::new("effect-unknown", place, format!("there is no effect `{name}`"), help));
    }
}

/// Binds the routes of each effect in one call and puts them in their places. Gives back the effects that have routes.
fn bind(
    manifest: &Manifest,
    opened: Vec<(Arc<str>, Arc<dyn Effect>)>,
    mut unbound: Vec<Unbound<'_>>,
    routes: &mut [Option<RoutePlan>],
    findings: &mut Vec<Finding>,
) -> Vec<(Arc<str>, Arc<dyn Effect>)> {
    let mut effects = Vec::with_capacity(opened.len());
    for (name, effect) in opened {
        let own: Vec<Unbound<'_>> = unbound.extract_if(.., |route| *route.settings.effect == *name).collect();
        if own.is_empty() {
            continue;
        }
        let asked: Vec<Route<'_>> = own
            .iter()
            .map(|route| Route {
                workflow: &manifest.name,
                case: &route.settings.case,
                intent: route.intent,
                reply: route.reply,
                settings: &route.settings.settings,
            })
            .collect();
        match effect.bind(&asked) {
            Ok(operations) => {
                for (route, operation) in own.into_iter().zip(operations) {
                    let case = route.case;
                    routes[case] = Some(RoutePlan::Effect(bound(&name, route, operation)));
                }
                effects.push((name, effect));
            }
            Err(found) => findings.extend(found.into_iter().map(|found| with_common_names(found, &own))),
        }
    }
    effects
}

fn bound(effect: &Arc<str>, route: Unbound<'_>, operation: Arc<dyn Operation>) -> EffectRoute {
    let default = if route.outcome.is_some() { OnExhausted::Outcome } else { OnExhausted::Hold };
    EffectRoute {
        effect: Arc::clone(effect),
        operation,
        on_exhausted: route.settings.on_exhausted.unwrap_or(default),
        outcome: route.outcome,
        after: route.after,
        retry: route.settings.retry,
    }
}

/// A capability knows its own settings only; a misspelt `breaker` lands with it.
fn with_common_effect_names(mut found: Finding, effect: &str) -> Finding {
    if found.code == "setting-unknown" && !found.help.contains("did you mean") {
        let name = found.place.strip_prefix("effects.").and_then(|place| place.strip_prefix(effect)?.strip_prefix('.'));
        if let Some(near) = name.and_then(|name| finding::nearest(name, super::manifest::COMMON_EFFECT_SETTINGS)) {
            found.help = format!("did you mean `{near}`?");
        }
    }
    found
}

/// An effect knows its own settings only; a misspelt `outcome` lands with it.
fn with_common_names(mut found: Finding, routes: &[Unbound<'_>]) -> Finding {
    const COMMON: [&str; 4] = ["outcome", "after", "on-exhausted", "retry"];
    if found.code == "setting-unknown" {
        let named = routes.iter().find_map(|route| {
            let name = found.place.strip_prefix("intents.")?.strip_prefix(route.settings.case.as_str())?.strip_prefix('.')?;
            finding::nearest(name, COMMON.into_iter().filter(|common| !route.settings.spelled.contains(common)))
        });
        if let Some(near) = named.filter(|_| !found.help.contains("did you mean")) {
            found.help = format!("did you mean `{near}`?");
        }
    }
    found
}
