//! Fingerprints: a canonical text of a type's JSON form, hashed.

use sha2::{Digest, Sha256};

use super::Contract;
use crate::shape::{Name, Record, Type, Variant};

pub(super) fn of_state(contract: &Contract) -> String {
    let mut text = String::from("state ");
    record(&contract.state, &mut text);
    hash(&text)
}

pub(super) fn of_previous(contract: &Contract) -> Option<String> {
    let mut text = String::from("state ");
    form(contract.migrate.as_ref()?, &mut text);
    Some(hash(&text))
}

pub(super) fn of_downgraded(contract: &Contract) -> Option<String> {
    let mut text = String::from("state ");
    form(contract.downgrade.as_ref()?, &mut text);
    Some(hash(&text))
}

pub(super) fn of_contract(contract: &Contract) -> String {
    let mut text = String::from("context ");
    form(&contract.context, &mut text);
    text.push_str(" state ");
    record(&contract.state, &mut text);
    text.push_str(" input ");
    variant(&contract.input, &mut text);
    text.push_str(" intent ");
    variant(&contract.intent, &mut text);
    text.push_str(" rejection ");
    form(&contract.rejection, &mut text);
    text.push_str(" migrate ");
    match &contract.migrate {
        Some(previous) => form(previous, &mut text),
        None => text.push('-'),
    }
    // Contracts without one have the fingerprint that they had before there was any.
    if let Some(previous) = &contract.downgrade {
        text.push_str(" downgrade ");
        form(previous, &mut text);
    }
    hash(&text)
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Appends the JSON form of `ty`. Names hold letters, digits and hyphens only, so the punctuation is never ambiguous.
fn form(ty: &Type, out: &mut String) {
    match ty {
        Type::Record(ty) => record(ty, out),
        Type::Variant(ty) => variant(ty, out),
        Type::Enum(ty) => {
            let mut cases: Vec<&str> = ty.cases.iter().map(Name::kebab).collect();
            cases.sort_unstable();
            out.push_str(&format!("enum{{{}}}", cases.join(",")));
        }
        // The order of flags is kept: the canonical encoding has it.
        Type::Flags(ty) => {
            let flags: Vec<&str> = ty.flags.iter().map(Name::kebab).collect();
            out.push_str(&format!("flags{{{}}}", flags.join(",")));
        }
        Type::Option(inner) => wrapped("option", [Some(&**inner)], out),
        Type::List(inner) => wrapped("list", [Some(&**inner)], out),
        Type::Map(inner) => wrapped("map", [Some(&**inner)], out),
        Type::Result(result) => wrapped("result", [result.ok.as_ref(), result.err.as_ref()], out),
        Type::Tuple(places) => wrapped("tuple", places.iter().map(Some), out),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn wrapped<'a>(word: &str, parts: impl IntoIterator<Item = Option<&'a Type>>, out: &mut String) {
    out.push_str(word);
    out.push('<');
    for part in parts {
        match part {
            Some(part) => form(part, out),
            None => out.push('_'),
        }
        out.push(',');
    }
    out.push('>');
}

fn record(record: &Record, out: &mut String) {
    out.push('{');
    for field in &record.fields {
        out.push_str(field.name.kebab());
        out.push(':');
        form(&field.ty, out);
        out.push(',');
    }
    out.push('}');
}

fn variant(variant: &Variant, out: &mut String) {
    // A case is told by its name, wherever it stands.
    let mut cases: Vec<_> = variant.cases.iter().collect();
    cases.sort_unstable_by_key(|case| case.name.kebab());
    out.push_str("variant{");
    for case in cases {
        out.push_str(case.name.kebab());
        if let Some(payload) = &case.payload {
            out.push('(');
            form(payload, out);
            out.push(')');
        }
        out.push(',');
    }
    out.push('}');
}
