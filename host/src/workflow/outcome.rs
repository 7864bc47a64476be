//! How an outcome's record is filled: the result, the intent's id, and echoes of the intent's fields.

use purefold_wit::{Contract, Finding, Record, Type};

use super::{OutcomeField, OutcomePlan, inputs, standard};

const RESULT_FIELD: &str = "result";
const INTENT_ID_FIELD: &str = "intent-id";

/// The plan, and `T` of its `result<T, failure>`.
pub(super) fn plan<'a>(
    contract: &'a Contract,
    intent_case: &str,
    intent: &Record,
    outcome: &str,
    findings: &mut Vec<Finding>,
) -> Option<(OutcomePlan, Option<&'a Type>)> {
    let place = format!("intents.{intent_case}.outcome");
    let Some((input_case, case)) = contract.input.case(outcome) else {
        findings.push(inputs::unknown_case("outcome-unknown", place, outcome, contract.input.cases.iter().map(|case| case.name.kebab())));
        return None;
    };
    let mut misshapen = |cause: String, help: &str| findings.push(Finding::new("outcome-shape", place.clone(), cause, help));
    let Some(Type::Record(record)) = &case.payload else {
        misshapen(format!("the input case `{outcome}` carries no record"), "give it a record with a field `result: result<_, failure>`");
        return None;
    };
    let mut reply = None;
    let mut fields = Vec::with_capacity(record.fields.len());
    let mut has_result = false;
    for field in &record.fields {
        let name = field.name.kebab();
        if name == RESULT_FIELD {
            has_result = true;
            match &field.ty {
                Type::Result(result) if result.err.as_ref().is_some_and(standard::is_failure) => {
                    reply = result.ok.as_ref();
                    fields.push(OutcomeField::Result);
                }
                other => misshapen(
                    format!("the field `result` of `{}` is a `{other}`", record.name.kebab()),
                    "make it a `result<T, failure>` or `result<_, failure>` with the standard `failure`",
                ),
            }
        } else if name == INTENT_ID_FIELD && field.ty == Type::Uuid {
            fields.push(OutcomeField::IntentId);
        } else if let Some((index, _)) = intent.field(name).filter(|(_, ty)| **ty == field.ty) {
            fields.push(OutcomeField::Echo(index));
        } else {
            let found = intent.field(name).map_or_else(|| "has none of that name".to_owned(), |(_, ty)| format!("has it as `{ty}`"));
            misshapen(
                format!(
                    "nothing fills the field `{name}: {}` of `{}`: the intent's record `{}` {found}",
                    field.ty,
                    record.name.kebab(),
                    intent.name.kebab()
                ),
                "an outcome echoes fields that the intent has with the same name and type, and has `result` and `intent-id: uuid`",
            );
        }
    }
    if !has_result {
        misshapen(
            format!("the record `{}` has no field `result`", record.name.kebab()),
            "add `%result: result<_, failure>`, with a type in place of `_` where the effect answers something",
        );
    }
    (fields.len() == record.fields.len() && has_result).then_some((OutcomePlan { input_case, fields }, reply))
}
