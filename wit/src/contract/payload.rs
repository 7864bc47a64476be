//! What inputs and intents carry: records, and in intents nothing untyped.

use std::collections::HashSet;
use std::sync::Arc;

use super::reader::Reader;
use crate::shape::{Record, Type, Variant};

/// Last words of a field's name that say that its string holds another format. A string cannot be looked into, so the
/// name is all there is to go by; prose (`message`, `body`, `reason`) stays a string.
const ENCODED: [&str; 6] = ["json", "payload", "bytes", "blob", "base64", "binary"];

/// The variant behind `role` (`input` or `intent`), every case of which must carry a record.
pub(super) fn variant(reader: &mut Reader<'_>, role: &str, ty: &Type) -> Option<Arc<Variant>> {
    let help = "make it a variant whose every case carries a record of its own";
    let Type::Variant(variant) = ty else {
        reader.report("payload-not-record", role, format!("the {role} is {ty}"), help);
        return None;
    };
    for case in &variant.cases {
        let found = match &case.payload {
            Some(Type::Record(_)) => continue,
            Some(other) => other.to_string(),
            None => "nothing".to_owned(),
        };
        reader.report("payload-not-record", format!("{role}.{}", case.name.kebab()), format!("the case carries {found}"), help);
    }
    Some(Arc::clone(variant))
}

/// Reports everything untyped in what the intents carry.
pub(super) fn check_intents(reader: &mut Reader<'_>, intent: &Variant) {
    let mut walk = Walk { reader, seen: HashSet::new() };
    for case in &intent.cases {
        if let Some(payload) = &case.payload {
            walk.visit(payload, &format!("intent.{}", case.name.kebab()));
        }
    }
}

struct Walk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Types with a name are looked at where they are met first; the same mistake is told once.
    seen: HashSet<*const ()>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, ty: &Type, place: &str) {
        match ty {
            Type::Record(record) => self.record(record, place),
            Type::Variant(variant) => self.variant(variant, place),
            Type::List(element) if matches!(**element, Type::U8 | Type::S8) => {
                let help = "give what the bytes say as typed fields; an effect makes the wire format";
                self.reader.report("payload-bytes", place, format!("{ty} is bytes"), help);
            }
            Type::Map(value) if is_text(value) => {
                let help = "declare a record with a field for each key, or give the values a type of their own";
                self.reader.report("payload-untyped-map", place, format!("{ty} is an untyped dictionary"), help);
            }
            Type::Option(inner) | Type::List(inner) | Type::Map(inner) => self.visit(inner, place),
            Type::Tuple(places) => places.iter().for_each(|inner| self.visit(inner, place)),
            Type::Result(result) => result.ok.iter().chain(&result.err).for_each(|inner| self.visit(inner, place)),
            _ => {}
        }
    }

    fn variant(&mut self, variant: &Arc<Variant>, place: &str) {
        if !self.seen.insert(Arc::as_ptr(variant).cast()) {
            return;
        }
        for case in &variant.cases {
            if let Some(payload) = &case.payload {
                self.visit(payload, &format!("{place}.{}", case.name.kebab()));
            }
        }
    }

    fn record(&mut self, record: &Arc<Record>, place: &str) {
        if !self.seen.insert(Arc::as_ptr(record).cast()) {
            return;
        }
        for field in &record.fields {
            let name = field.name.kebab();
            let place = format!("{place}.{name}");
            let encoded = name.rsplit('-').next().filter(|word| ENCODED.contains(&word.to_ascii_lowercase().as_str()));
            if let (Some(word), true) = (encoded, is_text(&field.ty)) {
                let cause = format!("{} called `{name}`: {word} in a string has no type", field.ty);
                self.reader.report(
                    "payload-json-string",
                    &place,
                    cause,
                    "declare a record for what the text would hold, or name the field for what it says",
                );
            }
            self.visit(&field.ty, &place);
        }
    }
}

/// Whether values of the type are nothing but text, so that anything can be put into them.
fn is_text(ty: &Type) -> bool {
    match ty {
        Type::String => true,
        Type::Option(inner) | Type::List(inner) | Type::Map(inner) => is_text(inner),
        Type::Tuple(places) => places.iter().all(is_text),
        _ => false,
    }
}
