//! `deliver` routes: an intent that becomes an input of another entity.

use purefold_effects::settings::Settings;
use purefold_wit::{Contract, Finding, Record, Type};

use super::inputs::unknown_case;
use super::manifest::IntentSettings;
use super::{DeliverRoute, Manifest, standard};

pub(super) fn plan(
    manifest: &Manifest,
    contract: &Contract,
    route: &IntentSettings,
    intent: &Record,
    findings: &mut Vec<Finding>,
) -> Option<DeliverRoute> {
    let mut settings = Settings::new(&route.settings, format!("intents.{}", route.case));
    let workflow = settings.string("workflow").unwrap_or(&manifest.name).to_owned();
    let input = settings.required("input", Settings::string);
    let key = settings.required("key", Settings::string);
    let key_field = key.and_then(|key| key_field(&mut settings, key, intent));
    if let Some(input) = input.filter(|_| workflow == manifest.name) {
        let found = check_target(&route.case, intent, input, contract);
        settings.absorb(found);
    }
    let before = findings.len();
    findings.extend(settings.finish());
    match (input, key_field) {
        (Some(input), Some(key_field)) if findings.len() == before => {
            Some(DeliverRoute { workflow: workflow.into(), input: input.to_owned(), key_field })
        }
        _ => None,
    }
}

fn key_field(settings: &mut Settings<'_>, key: &str, intent: &Record) -> Option<usize> {
    let Some((index, ty)) = intent.field(key) else {
        let near = purefold_wit::finding::nearest(key, intent.fields.iter().map(|field| field.name.kebab()));
        let help =
            near.map_or_else(|| "name the field that holds the other entity's key".to_owned(), |near| format!("did you mean `{near}`?"));
        settings.report("deliver-key-missing", "key", format!("the record `{}` has no field `{key}`", intent.name.kebab()), help);
        return None;
    };
    if !standard::is_key(ty) {
        let cause = format!("the field `{key}` is a `{ty}`, which cannot name an entity");
        settings.report("key-type", "key", cause, "use a string, a uuid, an integer or an enum");
        return None;
    }
    Some(index)
}

/// Whether the intent's record reads as the record of the target's input case.
pub(super) fn check_target(case: &str, intent: &Record, input: &str, target: &Contract) -> Vec<Finding> {
    let place = format!("intents.{case}.input");
    let Some((_, input_case)) = target.input.case(input) else {
        let known = target.input.cases.iter().map(|case| case.name.kebab());
        return vec![unknown_case("deliver-input-unknown", place, input, known)];
    };
    let Some(Type::Record(record)) = &input_case.payload else {
        return vec![Finding::new(
            "deliver-shape",
            place,
            format!("the input case `{input}` carries no record"),
            "deliver to a case that carries one",
        )];
    };
    let mut findings = Vec::new();
    for field in &record.fields {
        let name = field.name.kebab();
        let found = intent.field(name).map(|(_, ty)| ty);
        let fits = match (found, &field.ty) {
            (None, ty) => matches!(ty, Type::Option(_)),
            (Some(found), Type::Option(inner)) if !matches!(found, Type::Option(_)) => same_form(found, inner),
            (Some(found), ty) => same_form(found, ty),
        };
        if !fits {
            let found = found.map_or_else(|| "has none of that name".to_owned(), |ty| format!("has it as `{ty}`"));
            findings.push(Finding::new(
                "deliver-shape",
                place.clone(),
                format!(
                    "the input case `{input}` needs the field `{name}: {}`, the intent's record `{}` {found}",
                    field.ty,
                    intent.name.kebab()
                ),
                "give the intent a field of the same name and type, or make the input's field an option",
            ));
        }
    }
    findings
}

/// Whether two types have the same JSON form: the same structure, whatever their names. Two reducers bring types of their own.
fn same_form(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Record(a), Type::Record(b)) => {
            a.fields.len() == b.fields.len() && a.fields.iter().zip(&b.fields).all(|(a, b)| a.name == b.name && same_form(&a.ty, &b.ty))
        }
        (Type::Variant(a), Type::Variant(b)) => {
            a.cases.len() == b.cases.len()
                && a.cases.iter().zip(&b.cases).all(|(a, b)| a.name == b.name && same_payload(a.payload.as_ref(), b.payload.as_ref()))
        }
        (Type::Enum(a), Type::Enum(b)) => a.cases == b.cases,
        (Type::Flags(a), Type::Flags(b)) => a.flags == b.flags,
        (Type::Option(a), Type::Option(b)) | (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => same_form(a, b),
        (Type::Result(a), Type::Result(b)) => same_payload(a.ok.as_ref(), b.ok.as_ref()) && same_payload(a.err.as_ref(), b.err.as_ref()),
        (Type::Tuple(a), Type::Tuple(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_form(a, b)),
        (a, b) => a == b,
    }
}

fn same_payload(a: Option<&Type>, b: Option<&Type>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_form(a, b),
        (None, None) => true,
        _ => false,
    }
}
