//! `[inputs]`: which input case an event feeds, and the field that names its entity.

use std::collections::HashMap;

use purefold_wit::{Codec, Contract, Finding, Type, finding};

use super::{EventInput, Manifest, standard};
use crate::source::STARTED;

const KEY_FIELD_MISSING: &str = "key-field-missing";

/// The field whose text becomes the correlation id, where the event itself carries none.
const CORRELATION_FIELD: &str = "correlation-id";

pub(super) fn check(manifest: &Manifest, contract: &Contract, findings: &mut Vec<Finding>) -> HashMap<String, EventInput> {
    let mut inputs = HashMap::with_capacity(manifest.inputs.len());
    for (event, case) in &manifest.inputs {
        match input(manifest, contract, event, case) {
            Ok(input) => {
                inputs.insert(event.clone(), input);
            }
            // The manifest's own check has told of a key that is not named.
            Err(finding) if finding.code == KEY_FIELD_MISSING && manifest.reducer.key.is_empty() => {}
            Err(finding) => findings.push(finding),
        }
    }
    inputs
}

fn input(manifest: &Manifest, contract: &Contract, event: &str, name: &str) -> Result<EventInput, Finding> {
    let place = format!("inputs.{event:?}");
    let Some((index, case)) = contract.input.case(name) else {
        return Err(unknown_case("input-unknown", place, name, contract.input.cases.iter().map(|case| case.name.kebab())));
    };
    let key = &manifest.reducer.key;
    let Some(ty @ Type::Record(record)) = &case.payload else {
        return Err(Finding::new(
            KEY_FIELD_MISSING,
            place,
            format!("the input case `{name}` carries no record, so its events name no entity"),
            "give the case a record with the key's field",
        ));
    };
    let Some((key_field, key_type)) = record.field(key) else {
        let near = finding::nearest(key, record.fields.iter().map(|field| field.name.kebab()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(Finding::new(
            KEY_FIELD_MISSING,
            place,
            format!("the record `{}` of the input case `{name}` has no field `{key}`, which `reducer.key` names", record.name.kebab()),
            format!("add the field to the record, or name another one as `reducer.key`{near}"),
        ));
    };
    if !standard::is_key(key_type) {
        return Err(Finding::new(
            "key-type",
            place,
            format!("the field `{key}` of the record `{}` is a `{key_type}`, which cannot name an entity", record.name.kebab()),
            "use a string, a uuid, an integer or an enum",
        ));
    }
    if event == STARTED {
        started(record, &place)?;
    }
    Ok(EventInput { case: index, codec: Codec::new(ty), key_field, correlation_field: correlation_field(record) })
}

/// What the event of a start holds. The host fills it, so what does not fit is known before anything runs.
const STARTED_FIELDS: [(&str, Type, bool); 5] = [
    ("workflow", Type::String, true),
    ("host", Type::String, true),
    ("started-at", Type::Instant, true),
    ("start-id", Type::Uuid, true),
    ("admin", Type::String, false),
];

/// Whether the event of a start can fill the record.
fn started(record: &purefold_wit::Record, place: &str) -> Result<(), Finding> {
    for field in &record.fields {
        let name = field.name.kebab();
        let (inner, optional) = if let Type::Option(inner) = &field.ty { (&**inner, true) } else { (&field.ty, false) };
        let fits = match STARTED_FIELDS.iter().find(|(known, ..)| *known == name) {
            Some((_, ty, always)) => ty == inner && (optional || *always),
            None => optional,
        };
        if !fits {
            return Err(Finding::new(
                "started-shape",
                place,
                format!(
                    "nothing fills the field `{name}: {}` of `{}`: the event `{STARTED}` has no such one",
                    field.ty,
                    record.name.kebab()
                ),
                "it has `workflow: string`, `host: string`, `started-at: instant`, `start-id: uuid` and `admin: option<string>`; other fields must be options",
            ));
        }
    }
    Ok(())
}

fn correlation_field(record: &purefold_wit::Record) -> Option<usize> {
    let (index, ty) = record.field(CORRELATION_FIELD)?;
    let ty = if let Type::Option(inner) = ty { inner } else { ty };
    matches!(ty, Type::String | Type::Uuid).then_some(index)
}

/// A finding about a case that does not exist, with the nearest that does.
pub(super) fn unknown_case<'a>(code: &'static str, place: String, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Finding {
    let help = match finding::nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    };
    Finding::new(code, place, format!("the reducer has no case `{name}`"), help)
}
