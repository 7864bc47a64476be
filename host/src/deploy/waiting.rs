//! What waits in a store for the release to come, counted by what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use purefold_wit::{Finding, Type};
use serde::de::IgnoredAny;

use super::compatible::{States, Waiting, check};
use crate::engine::{EngineError, Terms};
use crate::sandbox::DecisionCodec;
use crate::store::{IntentKey, Reader, Release, StoreError};
use crate::workflow::{RoutePlan, Workflow, load_release_closed};

/// Rows that are read together.
const ROWS_TOGETHER: u32 = 1024;

/// Everything in the store that keeps `new` from taking over from the release of `before`. `terms_of` has those of each release
/// that asked for intents.
///
/// # Errors
/// Where the store fails, or the terms of a release cannot be had.
pub fn compatibility(
    reader: &Reader,
    workflow: i64,
    before: &Terms,
    terms_of: &mut dyn FnMut(u64) -> Result<Arc<Terms>, EngineError>,
    new: &Workflow,
) -> Result<Vec<Finding>, EngineError> {
    let (old, contract) = (&before.contract, &new.contract);
    let mut waiting = Vec::new();
    let asked = reader.releases_outstanding(workflow)?;
    let mut alike = old.input == contract.input;
    for release in &asked {
        alike &= terms_of(*release)?.contract.input == contract.input;
    }
    if !alike {
        waiting.extend(outcomes(reader, workflow, terms_of)?);
        waiting.extend(inputs(reader, workflow, &new.name, before)?);
    }
    if !new.routes.iter().any(|route| matches!(route, RoutePlan::Timer { .. })) {
        let timers = reader.count_timers_of(workflow)?;
        // The release in force may have dropped them itself, while some were pending.
        let earlier = || reader.releases(workflow).map(|releases| releases.into_iter().rev().map(|release| release.generation));
        let case = match before.timers_as() {
            Some(case) => Some(case.to_owned()),
            None if timers > 0 => earlier()?.find_map(|generation| terms_of(generation).ok()?.timers_as().map(str::to_owned)),
            None => None,
        };
        let case = case.map_or_else(|| "timer".to_owned(), |case| case.replace('_', "-"));
        waiting.extend((timers > 0).then_some(Waiting { what: "pending timers", case, payload: None, count: timers }));
    }
    let same_state = old.state_fingerprint() == contract.state_fingerprint();
    let states = States { entities: if same_state { 0 } else { reader.count_states(workflow)? } };
    let mut findings = check(old, contract, &waiting, states);
    findings.extend(key(reader, workflow, before, new)?);
    Ok(findings)
}

/// The terms of a release, to be compared: nothing of it can be performed.
///
/// # Errors
/// Where the store fails, or the release cannot be loaded.
pub fn closed_terms(reader: &Reader, workflow: &Workflow, releases: &[Release], generation: u64) -> Result<Arc<Terms>, EngineError> {
    let release = releases.iter().find(|release| release.generation == generation);
    let release = release.ok_or_else(|| StoreError::Corrupt(format!("release {generation} is missing")))?;
    let (text, component) = (reader.manifest(&release.manifest)?, reader.component(&release.component)?.into());
    let before = load_release_closed(&workflow.manifest.path, &text, &component).map_err(|findings| EngineError::PastRelease {
        workflow: workflow.name.to_string(),
        generation,
        reason: findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })?;
    let codec = DecisionCodec::new(&before.contract, &before.manifest.limits());
    Ok(Arc::new(Terms::of(&before, codec)))
}

/// Outcomes that intents will have, by the case that they were to be told by.
fn outcomes(
    reader: &Reader,
    workflow: i64,
    terms_of: &mut dyn FnMut(u64) -> Result<Arc<Terms>, EngineError>,
) -> Result<Vec<Waiting>, EngineError> {
    let mut counted: BTreeMap<(u64, String), u64> = BTreeMap::new();
    let mut after = IntentKey { entity: 0, sequence: 0, index: 0 };
    loop {
        let rows = reader.outbox_after(workflow, after, ROWS_TOGETHER)?;
        let Some(last) = rows.last() else { break };
        after = last.key;
        for line in rows {
            // What cannot be read is told of by whoever is to perform it.
            let Ok(intents) = serde_json::from_slice::<Vec<BTreeMap<String, IgnoredAny>>>(&line.intents) else { continue };
            let case = intents.into_iter().nth(line.key.index as usize).and_then(|intent| intent.into_keys().next());
            *counted.entry((line.release, case.unwrap_or_default())).or_default() += 1;
        }
    }
    let mut waiting = Vec::new();
    for ((release, case), count) in counted {
        let terms = terms_of(release)?;
        let intent = terms.contract.intent.cases.iter().position(|known| known.name.snake() == case);
        let intent = intent.and_then(|index| u32::try_from(index).ok());
        let Some(outcome) = intent.and_then(|index| terms.route(index)?.outcome.as_ref()) else { continue };
        let case = &terms.contract.input.cases[outcome.input_case as usize];
        waiting.push(Waiting { what: "outcomes of intents", case: case.name.kebab().into(), payload: case.payload.clone(), count });
    }
    Ok(waiting)
}

/// Inputs in inboxes, and deliveries on their way.
fn inputs(reader: &Reader, workflow: i64, name: &str, before: &Terms) -> Result<Vec<Waiting>, EngineError> {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    let mut after = 0;
    loop {
        let rows = reader.waiting_cases_after(workflow, after, ROWS_TOGETHER)?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        for (_, case) in rows {
            *counted.entry(case).or_default() += 1;
        }
    }
    let input = &before.contract.input;
    let payload = |kebab: &str| input.case(kebab).and_then(|(_, case)| case.payload.clone());
    let kebab = |snake: &str| {
        let known = input.cases.iter().find(|case| case.name.snake() == snake);
        known.map_or_else(|| snake.replace('_', "-"), |case| case.name.kebab().to_owned())
    };
    let mut waiting: Vec<Waiting> = counted
        .into_iter()
        .map(|(case, count)| {
            let case = kebab(&case);
            Waiting { what: "inputs in inboxes", payload: payload(&case), case, count }
        })
        .collect();
    for (case, count) in reader.deliveries_by_case(name)? {
        waiting.push(Waiting { what: "deliveries", payload: payload(&case), case, count });
    }
    Ok(waiting)
}

/// Entities are known by their keys: what names them must stay.
fn key(reader: &Reader, workflow: i64, before: &Terms, new: &Workflow) -> Result<Option<Finding>, EngineError> {
    let ty = |contract: &purefold_wit::Contract, key: &str| {
        let payloads = contract.input.cases.iter().filter_map(|case| case.payload.as_ref());
        payloads
            .filter_map(|payload| if let Type::Record(record) = payload { record.field(key).map(|(_, ty)| ty.clone()) } else { None })
            .next()
    };
    let (old_key, new_key) = (&before.key, &new.manifest.reducer.key);
    let (old_type, new_type) = (ty(&before.contract, old_key), ty(&new.contract, new_key));
    if (old_key, &old_type) == (new_key, &new_type) {
        return Ok(None);
    }
    let entities = reader.count_entities(workflow)?;
    let tell = |key: &str, ty: &Option<Type>| ty.as_ref().map_or_else(|| format!("`{key}`"), |ty| format!("`{key}: {ty}`"));
    Ok((entities > 0).then(|| {
        let cause = format!(
            "entities were named by {} and would be by {}: the {entities} that there are would not be found any more",
            tell(old_key, &old_type),
            tell(new_key, &new_type)
        );
        Finding::new("release-key-changed", "reducer.key", cause, "keep the key, or begin anew with another workflow or store")
    }))
}
