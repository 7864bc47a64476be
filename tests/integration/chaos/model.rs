//! What must be left of a history in row, catalogue and topics.

use std::collections::BTreeMap;

use purefold_wit::instant;
use serde_json::{Map, Value};

use super::history::{Asked, End, History};
use super::routes::{Routes, Target};
use super::topics::Record;

/// What a backend may hold of an entity: more than one thing only where the journal says that nobody knows how an attempt ended.
pub(super) struct Possible(Vec<Option<Map<String, Value>>>);

impl Possible {
    fn fold(asked: &[Asked], change: impl Fn(Option<&Map<String, Value>>, &Asked) -> Option<Option<Map<String, Value>>>) -> Possible {
        let mut possible = vec![None];
        for asked in asked {
            let changed = || possible.iter().map(|before: &Option<Map<String, Value>>| change(before.as_ref(), asked));
            let changed: Vec<Option<Map<String, Value>>> = match (asked.end, changed().collect::<Option<Vec<_>>>()) {
                (Some(End::Done), Some(changed)) => changed,
                (Some(End::Unknown) | None, Some(changed)) => changed.into_iter().chain(possible.iter().cloned()).collect(),
                _ => continue,
            };
            possible = changed;
            possible.dedup();
        }
        Possible(possible)
    }

    /// The rows that there may be.
    pub(super) fn row(history: &History, routes: &Routes) -> Possible {
        Possible::fold(&history.asked, |before, asked| {
            let Target::Row { makes, columns } = &routes.intents[&asked.case].target else { return None };
            let named = |(field, value): (&String, &Value)| (columns.get(field).unwrap_or(field).clone(), value.clone());
            let change: Map<String, Value> = asked.payload.as_object()?.iter().map(named).collect();
            Some(match before {
                _ if *makes => Some(change),
                // An update of no row changes nothing.
                None => None,
                Some(before) => Some(before.clone().into_iter().chain(change).collect()),
            })
        })
    }

    /// What may be in the catalogue: the registration's record with the decision that asked for it.
    pub(super) fn service(history: &History, routes: &Routes) -> Possible {
        Possible::fold(&history.asked, |_, asked| {
            let Target::Service { registers } = routes.intents[&asked.case].target else { return None };
            let mut record = asked.payload.as_object()?.clone();
            record.insert("sequence".to_owned(), asked.sequence.to_string().into());
            Some(registers.then_some(record))
        })
    }

    /// Whether this is what may be there, by `fits`.
    pub(super) fn holds(&self, found: Option<&Value>, fits: fn(&Map<String, Value>, &Value) -> bool) -> bool {
        self.0.iter().any(|possible| match (possible, found) {
            (None, None) => true,
            (Some(possible), Some(found)) => fits(possible, found),
            _ => false,
        })
    }

    /// Whether only one thing may be there.
    pub(super) fn is_certain(&self) -> bool {
        self.0.len() == 1
    }

    /// For a report.
    pub(super) fn told(&self) -> String {
        let one =
            |possible: &Option<Map<String, Value>>| possible.clone().map_or("nothing".to_owned(), |map| Value::Object(map).to_string());
        self.0.iter().map(one).collect::<Vec<_>>().join("\n    or ")
    }
}

/// Whether a row of the table is this one. Columns that the record has not are empty.
pub(super) fn is_row(expected: &Map<String, Value>, found: &Value) -> bool {
    let Some(found) = found.as_object() else { return false };
    let is_same = |column: &String| {
        let [expected, found] = [expected.get(column), found.get(column)].map(|value| value.unwrap_or(&Value::Null));
        let moments = [expected, found].map(|value| value.as_str().and_then(|text| instant::parse(text).ok()));
        // The database writes moments in another form.
        expected == found || (moments[0].is_some() && moments[0] == moments[1])
    };
    expected.keys().chain(found.keys()).all(is_same)
}

/// Whether a service of the agent is this one.
pub(super) fn is_service(expected: &Map<String, Value>, found: &Value) -> bool {
    let text = |name: &str| expected.get(name).and_then(Value::as_str).unwrap_or_default();
    let port = expected.get("port").and_then(Value::as_u64).unwrap_or(0);
    found["ID"] == text("service_id")
        && found["Service"] == text("service_name")
        && found["Address"] == text("address")
        && found["Port"] == port
        && Some(&found["Tags"]) == expected.get("tags")
        && found["Meta"]["purefold-sequence"] == text("sequence")
}

/// What was published under one id.
#[derive(Default)]
pub(super) struct Published<'a>(BTreeMap<&'a str, Vec<&'a Record>>);

impl<'a> Published<'a> {
    /// What that workflow published.
    pub(super) fn of(workflow: &str, records: &'a [Record]) -> Published<'a> {
        let mut published = Published::default();
        for record in records {
            let header = |name: &str| record.headers.get(name).map(String::as_str);
            if let (Some(id), Some(source)) = (header("ce_id"), header("ce_source"))
                && source == workflow
            {
                published.0.entry(id).or_default().push(record);
            }
        }
        published
    }

    /// Takes what an intent published, and counts its repeats; or says what is wrong with it.
    pub(super) fn take(&mut self, entity: &str, asked: &Asked, topic: &str) -> Result<usize, String> {
        let records = self.0.remove(asked.id.as_str()).unwrap_or_default();
        let told = || format!("{} of decision {}, id {}", asked.case, asked.sequence, asked.id);
        let Some(first) = records.first() else {
            return if asked.end == Some(End::Done) { Err(format!("{} was not published", told())) } else { Ok(0) };
        };
        let data: Value = serde_json::from_str(&first.value).unwrap_or_default();
        let time = instant::format(asked.now).unwrap_or_default();
        let headers = [("ce_type", topic), ("ce_subject", entity), ("ce_time", &time), ("ce_correlationid", &asked.correlation_id)];
        let is_header = |(name, value): &(&str, &str)| first.headers.get(*name).is_some_and(|found| found == value);
        if first.topic != topic || first.key != entity || data != asked.payload || !headers.iter().all(is_header) {
            return Err(format!("{} was published as {first:?}", told()));
        }
        let repeats = &records[1..];
        let is_same = |record: &&Record| {
            (&record.topic, &record.key, &record.headers, &record.value) == (&first.topic, &first.key, &first.headers, &first.value)
        };
        match repeats.iter().find(|record| !is_same(record)) {
            Some(other) => Err(format!("{} was published as {first:?} and as {other:?}", told())),
            None => Ok(repeats.len()),
        }
    }

    /// What nobody asked for.
    pub(super) fn rest(self) -> Vec<String> {
        self.0.into_values().flatten().map(|record| format!("{record:?}")).collect()
    }
}
