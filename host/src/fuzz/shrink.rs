//! A decision that goes wrong, made as small as it still goes wrong in the same way.

use purefold_wit::{Type, Value};

use super::{Found, Generator, Target};
use crate::sandbox::SandboxError;

/// Decisions that are spent on making one smaller.
const TRIES_MOST: u32 = 400;

impl Target {
    /// The smallest that was found of what still goes wrong with the same code. A state that decisions led to stays as it is,
    /// or goes.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn shrink(&self, mut found: Found) -> Result<Found, SandboxError> {
        let input_type = Type::Variant(self.contract().input.clone());
        let state_type = Type::Record(self.contract().state.clone());
        let mut tries = TRIES_MOST;
        if found.state.is_some() {
            let without = Found { state: None, is_reached: true, ..found.clone() };
            self.try_instead(&mut found, without, &mut tries)?;
        }
        let mut at = 0;
        // Each place is tried once after the other; a smaller value at one place opens others.
        while tries > 0 {
            let places = candidates(&input_type, &found.input);
            let Some(smaller) = places.into_iter().nth(at) else { break };
            let tried = Found { input: smaller, ..found.clone() };
            at = if self.try_instead(&mut found, tried, &mut tries)? { 0 } else { at + 1 };
        }
        at = 0;
        while tries > 0 && !found.is_reached {
            let Some(state) = &found.state else { break };
            let Some(smaller) = candidates(&state_type, state).into_iter().nth(at) else { break };
            let tried = Found { state: Some(smaller), ..found.clone() };
            at = if self.try_instead(&mut found, tried, &mut tries)? { 0 } else { at + 1 };
        }
        Ok(found)
    }

    fn try_instead(&self, found: &mut Found, tried: Found, tries: &mut u32) -> Result<bool, SandboxError> {
        *tries = tries.saturating_sub(1);
        let (_, wrong) = self.decide(&tried.context, tried.state.as_ref(), &tried.input)?;
        match wrong {
            Some(wrong) if wrong.code == found.wrong.code && self.is_to_blame(&wrong, tried.is_reached, &tried.input) => {
                *found = Found { wrong, ..tried };
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Values that are smaller than `value` at one place, the largest steps first. The case of a variant at the top stays.
fn candidates(ty: &Type, value: &Value) -> Vec<Value> {
    let mut smaller = Vec::new();
    match (ty, value) {
        (Type::Variant(variant), Value::Variant(case, Some(payload))) => {
            if let Some(ty) = variant.cases.get(*case as usize).and_then(|case| case.payload.as_ref()) {
                within(ty, payload, &mut |payload| smaller.push(Value::Variant(*case, Some(Box::new(payload)))));
            }
        }
        _ => within(ty, value, &mut |value| smaller.push(value)),
    }
    smaller
}

fn within(ty: &Type, value: &Value, give: &mut dyn FnMut(Value)) {
    let least = Generator::least(ty);
    if same(value, &least) {
        return;
    }
    give(least);
    match (ty, value) {
        (Type::Record(record), Value::Record(fields)) => {
            for (index, field) in record.fields.iter().enumerate() {
                within(&field.ty, &fields[index], &mut |value| {
                    let mut fields = fields.clone();
                    fields[index] = value;
                    give(Value::Record(fields));
                });
            }
        }
        (Type::Variant(variant), Value::Variant(case, Some(payload))) => {
            if let Some(ty) = variant.cases.get(*case as usize).and_then(|case| case.payload.as_ref()) {
                within(ty, payload, &mut |value| give(Value::Variant(*case, Some(Box::new(value)))));
            }
        }
        (Type::Option(some), Value::Option(Some(inner))) => within(some, inner, &mut |value| give(Value::Option(Some(Box::new(value))))),
        (Type::List(element), Value::List(values)) => {
            give(Value::List(values[..values.len() / 2].to_vec()));
            give(Value::List(values[values.len() / 2..].to_vec()));
            for index in 0..values.len() {
                let mut values = values.clone();
                values.remove(index);
                give(Value::List(values));
            }
            for (index, value) in values.iter().enumerate() {
                within(element, value, &mut |value| {
                    let mut values = values.clone();
                    values[index] = value;
                    give(Value::List(values));
                });
            }
        }
        (Type::Map(element), Value::Map(entries)) => {
            give(Value::Map(entries[..entries.len() / 2].to_vec()));
            for (index, (key, value)) in entries.iter().enumerate() {
                let mut without = entries.clone();
                without.remove(index);
                give(Value::Map(without));
                within(element, value, &mut |value| {
                    let mut entries = entries.clone();
                    entries[index] = (key.clone(), value);
                    give(Value::Map(entries));
                });
            }
        }
        (_, Value::String(text)) => {
            let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
            give(Value::String(text[..half].into()));
            give(Value::String(text[half..].into()));
        }
        _ => {}
    }
}

/// Equal, where NaN equals itself.
fn same(one: &Value, other: &Value) -> bool {
    one == other || matches!((one, other), (Value::F64(one), Value::F64(other)) if one.is_nan() && other.is_nan())
}
