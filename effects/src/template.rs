//! Texts with fields in them: `users/{id}`. `{{` and `}}` stand for braces.

use purefold_wit::{Finding, Record, Type, Value, finding, uuid};

use crate::{Secret, route};

/// A text whose `{field}`s were found in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It may hold a secret.
    Text(Secret),
    Field {
        index: usize,
        name: String,
        ty: Type,
    },
}

impl Template {
    /// Reads `text` for a record. Findings stand at `place` and never repeat the text, which may hold a secret.
    pub(crate) fn parse(text: &str, record: &Record, place: &str) -> Result<Template, Vec<Finding>> {
        let mut parts = Vec::new();
        let mut findings = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let closed = if brace == "{" { rest.split_once('}') } else { None };
            let Some((name, after)) = closed else {
                let cause = format!("a `{brace}` stands alone");
                findings.push(Finding::new("template-field", place, cause, "write `{field}`, and `{{` or `}}` for a brace itself"));
                return Err(findings);
            };
            match field(name, record) {
                Ok((index, ty)) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(Secret::new(std::mem::take(&mut literal))));
                    }
                    parts.push(Part::Field { index, name: name.to_owned(), ty: ty.clone() });
                }
                Err((cause, help)) => findings.push(Finding::new("template-field", place, cause, help)),
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(Secret::new(literal)));
        }
        if findings.is_empty() { Ok(Template(parts)) } else { Err(findings) }
    }

    /// Its parts, no two texts side by side.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Appends the text with the fields of `values`, each passed through `escape`.
    ///
    /// # Errors
    /// Values that are not of the record's type, or what `escape` refuses, by the field's name.
    pub(crate) fn render(
        &self,
        values: &[Value],
        out: &mut String,
        escape: impl Fn(&str, &mut String) -> Result<(), &'static str>,
    ) -> Result<(), String> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text.expose()),
                Part::Field { index, name, ty } => {
                    let text = values
                        .get(*index)
                        .and_then(|value| plain(value, ty))
                        .ok_or_else(|| format!("the field `{name}` is not of its type"))?;
                    escape(&text, out).map_err(|reason| format!("the field `{name}` {reason}"))?;
                }
            }
        }
        Ok(())
    }
}

/// The named field, if its type has a plain text; else cause and help.
fn field<'a>(name: &str, record: &'a Record) -> Result<(usize, &'a Type), (String, String)> {
    match record.field(name) {
        Some((index, ty)) if has_plain(ty) => Ok((index, ty)),
        Some((_, ty)) => {
            let cause = format!("the field `{name}` is {ty}, which has no plain text");
            Err((cause, "use a field of a string, uuid, integer, enum, char or bool type".to_owned()))
        }
        None => {
            let cause = format!("`{}` has no field `{}`", record.name.kebab(), name.escape_debug());
            let help = match finding::nearest(name, record.fields.iter().map(|field| field.name.kebab())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its fields are {}", route::field_names(record)),
            };
            Err((cause, help))
        }
    }
}

fn has_plain(ty: &Type) -> bool {
    use Type::{Bool, Char, Enum, S8, S16, S32, S64, String, U8, U16, U32, U64, Uuid};
    matches!(ty, Bool | U8 | U16 | U32 | U64 | S8 | S16 | S32 | S64 | Char | String | Uuid | Enum(_))
}

/// A value as plain text: what JSON has between the quotes.
pub(crate) fn plain(value: &Value, ty: &Type) -> Option<String> {
    Some(match (value, ty) {
        (Value::Bool(value), _) => value.to_string(),
        (Value::U8(value), _) => value.to_string(),
        (Value::U16(value), _) => value.to_string(),
        (Value::U32(value), _) => value.to_string(),
        (Value::U64(value), _) => value.to_string(),
        (Value::S8(value), _) => value.to_string(),
        (Value::S16(value), _) => value.to_string(),
        (Value::S32(value), _) => value.to_string(),
        (Value::S64(value), _) => value.to_string(),
        (Value::Char(value), _) => value.to_string(),
        (Value::String(value), _) => value.to_string(),
        (Value::Uuid(high, low), _) => uuid::format(*high, *low),
        (Value::Enum(case), Type::Enum(cases)) => cases.cases.get(*case as usize)?.snake().to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use purefold_wit::{Enum, Field, Name};

    use super::*;

    fn record() -> Record {
        let colour = Enum { name: Name::new("colour"), cases: vec![Name::new("dark-red"), Name::new("blue")] };
        let field = |name: &str, ty| Field { name: Name::new(name), ty };
        Record {
            name: Name::new("order"),
            fields: vec![
                field("id", Type::Uuid),
                field("note", Type::String),
                field("count", Type::S64),
                field("colour", Type::Enum(Arc::new(colour))),
                field("maybe", Type::Option(Arc::new(Type::String))),
            ],
        }
    }

    fn values() -> Vec<Value> {
        vec![Value::Uuid(0, 1), Value::String("a/b".into()), Value::S64(-7), Value::Enum(0), Value::Option(None)]
    }

    #[test]
    fn fields_are_filled_in() {
        for (text, expected) in [
            ("plain", "plain"),
            ("{id}", "00000000-0000-0000-0000-000000000001"),
            ("a/{note}/{count}{colour}z", "a/a/b/-7dark_redz"),
            ("{{{count}}}", "{-7}"),
            ("", ""),
        ] {
            let template = Template::parse(text, &record(), "p").unwrap();
            let mut out = String::new();
            template
                .render(&values(), &mut out, |text, out| {
                    out.push_str(text);
                    Ok(())
                })
                .unwrap();
            assert_eq!(out, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_found() {
        for (text, count, part) in [
            ("{nite}", 1, "did you mean `note`?"),
            ("{maybe}", 1, "option<string>"),
            ("{a} {b}", 2, "no field `a`"),
            ("x}", 1, "stands alone"),
            ("{note", 1, "stands alone"),
            ("{}", 1, "no field ``"),
        ] {
            let findings = Template::parse(text, &record(), "p").unwrap_err();
            assert_eq!(findings.len(), count, "{text}");
            assert_eq!(findings[0].code, "template-field");
            assert!(findings[0].to_string().contains(part), "{text}: {}", findings[0]);
        }
    }
}
