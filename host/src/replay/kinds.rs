//! Differences between decisions, of two releases that need not have the same types, by what kind they are.

use std::collections::BTreeMap;

use purefold_wit::{Contract, Type};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::diff::shortened;
use super::record::intents;
use crate::journal::{Entry, Verdict};

/// Differences that are told of one pair of decisions.
const MOST_DIFFERENCES: usize = 64;

/// Kinds of difference that are told apart. They are as many as the types have places.
const MOST_KINDS: usize = 4096;

/// One place where two decisions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The place with indices and keys of maps left out, as `intents.reserve.lines.price`.
    pub kind: String,
    /// The place, as `intents[1].reserve.lines[0].price`.
    pub path: String,
    /// What history holds there.
    pub stored: String,
    /// What the other decision holds there.
    pub replayed: String,
}

impl Departure {
    /// One that concerns a whole decision.
    pub(super) fn whole(kind: impl Into<String>, stored: impl Into<String>, replayed: impl Into<String>) -> Self {
        let kind = kind.into();
        Departure { path: kind.clone(), kind, stored: stored.into(), replayed: replayed.into() }
    }
}

/// The first decision in which a kind of difference was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The entity.
    pub entity: String,
    /// The decision in history.
    pub sequence: u64,
    /// The place, with indices.
    pub path: String,
    /// What history holds there.
    pub stored: String,
    /// What the other decision holds there.
    pub replayed: String,
}

/// How often a kind of difference was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// How many decisions have it.
    pub count: u64,
    /// Whether it was declared as wanted.
    pub expected: bool,
    /// The first of them, by entity.
    pub first: Example,
}

/// Kinds of difference by their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds(pub BTreeMap<String, Kind>);

impl Kinds {
    /// Counts the differences of one decision.
    pub(super) fn count(&mut self, entity: &str, sequence: u64, departures: &[Departure], expected: &Expected) {
        let mut told: Vec<&str> = Vec::new();
        for departure in departures {
            if told.contains(&&*departure.kind) {
                continue;
            }
            told.push(&departure.kind);
            let Departure { kind, path, stored, replayed } = departure;
            let example =
                || Example { entity: entity.to_owned(), sequence, path: path.clone(), stored: stored.clone(), replayed: replayed.clone() };
            let is_full = self.0.len() >= MOST_KINDS;
            match self.0.get_mut(kind) {
                Some(known) => {
                    known.count += 1;
                    if (entity, sequence) < (&*known.first.entity, known.first.sequence) {
                        known.first = example();
                    }
                }
                None if !is_full => {
                    self.0.insert(kind.clone(), Kind { count: 1, expected: expected.covers(kind), first: example() });
                }
                None => {}
            }
        }
    }

    /// Adds what somebody else counted.
    pub(super) fn add(&mut self, other: Kinds) {
        for (kind, theirs) in other.0 {
            match self.0.get_mut(&kind) {
                None => drop(self.0.insert(kind, theirs)),
                Some(known) => {
                    known.count += theirs.count;
                    if (&theirs.first.entity, theirs.first.sequence) < (&known.first.entity, known.first.sequence) {
                        known.first = theirs.first;
                    }
                }
            }
        }
    }
}

/// Places where differences are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected(Vec<String>);

impl Expected {
    /// These places and everything below them; names may be written with `-` or `_`.
    #[must_use]
    pub fn new(paths: &[String]) -> Self {
        Expected(paths.iter().map(|path| path.replace('-', "_")).collect())
    }

    /// The places.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.0
    }

    /// Whether a difference of that kind is wanted.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        self.0.iter().any(|path| kind.strip_prefix(&**path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// Whether two records of an intent differ only where that is wanted.
    pub(super) fn makes_alike(&self, contract: &Contract, case: &str, mine: &str, theirs: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let ty = contract.intent.cases.iter().find(|known| known.name.snake() == case).and_then(|case| case.payload.as_ref());
        let (Ok(theirs), Ok(mine)) = (serde_json::from_str(theirs), serde_json::from_str(mine)) else { return false };
        let mut found = Vec::new();
        let root = format!("intents.{case}");
        compare(Place { path: root.clone(), kind: root }, ty, &theirs, &mine, &mut found);
        found.len() < MOST_DIFFERENCES && found.iter().all(|departure| self.covers(&departure.kind))
    }
}

/// Where a decision of history and the one that was made in its place differ; types are those of `contract`, the latter's.
pub(super) fn departures(contract: &Contract, stored: &Entry, made: &Entry) -> Vec<Departure> {
    let verdict = |entry: &Entry| entry.verdict.map_or("none", Verdict::as_str);
    if stored.verdict != made.verdict {
        let told = |entry: &Entry| match entry.verdict {
            Some(Verdict::Accepted) => "accepted".to_owned(),
            _ => format!("{} {}", verdict(entry), shortened(&String::from_utf8_lossy(&entry.output))),
        };
        return vec![Departure::whole("verdict", told(stored), told(made))];
    }
    let mut found = Vec::new();
    match made.verdict {
        Some(Verdict::Accepted) => {
            let ty = Type::Record(contract.state.clone());
            of_json("state", Some(&ty), stored.state.as_deref().unwrap_or(b"null"), made.state.as_deref().unwrap_or(b"null"), &mut found);
            of_intents(contract, &stored.output, &made.output, &mut found);
        }
        Some(Verdict::Rejected) => of_json("rejection", Some(&contract.rejection), &stored.output, &made.output, &mut found),
        _ => {
            let code = |entry: &Entry| {
                serde_json::from_slice::<Json>(&entry.output).ok().and_then(|fault| Some(fault.get("code")?.as_str()?.to_owned()))
            };
            let (stored, made) = (code(stored).unwrap_or_default(), code(made).unwrap_or_default());
            if stored != made {
                found.push(Departure::whole("fault", stored, made));
            }
        }
    }
    found
}

fn of_json(root: &str, ty: Option<&Type>, stored: &[u8], made: &[u8], found: &mut Vec<Departure>) {
    if stored == made {
        return;
    }
    let before = found.len();
    if let (Ok(left), Ok(right)) = (serde_json::from_slice(stored), serde_json::from_slice(made)) {
        compare(Place { path: root.to_owned(), kind: root.to_owned() }, ty, &left, &right, found);
    }
    if found.len() == before {
        // The same but for the order of a map's keys, which counts.
        let text = |json: &[u8]| shortened(&String::from_utf8_lossy(json));
        found.push(Departure::whole(root, text(stored), text(made)));
    }
}

/// Intents are compared with those of the same case: the first with the first, and so on.
fn of_intents(contract: &Contract, stored: &[u8], made: &[u8], found: &mut Vec<Departure>) {
    if stored == made {
        return;
    }
    let (theirs, mine) = (intents(stored), intents(made));
    let mut left: Vec<Option<&(String, &RawValue)>> = mine.iter().map(Some).collect();
    let before = found.len();
    for (index, (case, payload)) in theirs.iter().enumerate() {
        let same = left.iter_mut().find(|other| other.is_some_and(|(other, _)| other == case)).and_then(Option::take);
        let place = Place { path: format!("intents[{index}].{case}"), kind: format!("intents.{case}") };
        let Some((_, other)) = same else {
            found.push(Departure {
                path: place.path,
                kind: place.kind,
                stored: shortened(payload.get()),
                replayed: "not asked for".into(),
            });
            continue;
        };
        if payload.get() == other.get() {
            continue;
        }
        let ty = contract.intent.cases.iter().find(|known| known.name.snake() == *case).and_then(|case| case.payload.as_ref());
        if let (Ok(left), Ok(right)) = (serde_json::from_str(payload.get()), serde_json::from_str(other.get())) {
            compare(place, ty, &left, &right, found);
        }
    }
    for (index, (case, payload)) in left.into_iter().enumerate().filter_map(|(index, intent)| Some((index, intent?))) {
        let (path, kind) = (format!("intents[{index}].{case}"), format!("intents.{case}"));
        found.push(Departure { path, kind, stored: "not asked for".into(), replayed: shortened(payload.get()) });
    }
    if found.len() == before {
        let order = |intents: &[(String, &RawValue)]| intents.iter().map(|(case, _)| case.as_str()).collect::<Vec<_>>().join(", ");
        found.push(Departure::whole("intents", order(&theirs), order(&mine)));
    }
}

struct Place {
    path: String,
    kind: String,
}

impl Place {
    fn field(&self, name: &str) -> Self {
        Place { path: format!("{}.{name}", self.path), kind: format!("{}.{name}", self.kind) }
    }
}

fn compare(place: Place, ty: Option<&Type>, left: &Json, right: &Json, found: &mut Vec<Departure>) {
    if left == right || found.len() >= MOST_DIFFERENCES {
        return;
    }
    let ty = match ty {
        Some(Type::Option(inner)) => Some(&**inner),
        ty => ty,
    };
    match (ty, left, right) {
        (Some(Type::Map(inner)), Json::Object(a), Json::Object(b)) => {
            for (key, left, right) in both(a, b) {
                let place = Place { path: format!("{}[{key:?}]", place.path), kind: place.kind.clone() };
                match (left, right) {
                    (Some(left), Some(right)) => compare(place, Some(inner), left, right, found),
                    (left, right) => found.push(departure(place, left, right)),
                }
            }
        }
        (Some(Type::Variant(variant)), Json::Object(a), Json::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, left, right) in both(a, b) {
                let case = variant.cases.iter().find(|case| case.name.snake() == key);
                if let (Some(left), Some(right)) = (left, right) {
                    compare(place.field(key), case.and_then(|case| case.payload.as_ref()), left, right, found);
                }
            }
        }
        (Some(Type::Variant(_)), ..) => found.push(departure(place, Some(left), Some(right))),
        (_, Json::Object(a), Json::Object(b)) => {
            for (key, left, right) in both(a, b) {
                let ty = match ty {
                    Some(Type::Record(record)) => record.fields.iter().find(|field| field.name.snake() == key).map(|field| &field.ty),
                    Some(Type::Result(result)) if key == "ok" => result.ok.as_ref(),
                    Some(Type::Result(result)) => result.err.as_ref(),
                    _ => None,
                };
                match (left, right) {
                    (Some(left), Some(right)) => compare(place.field(key), ty, left, right, found),
                    (left, right) => found.push(departure(place.field(key), left, right)),
                }
            }
        }
        (_, Json::Array(a), Json::Array(b)) => {
            let inner = match ty {
                Some(Type::List(inner)) => Some(&**inner),
                _ => None,
            };
            for index in 0..a.len().max(b.len()) {
                let place = Place { path: format!("{}[{index}]", place.path), kind: place.kind.clone() };
                match (a.get(index), b.get(index)) {
                    (Some(left), Some(right)) => compare(place, inner, left, right, found),
                    (left, right) => found.push(departure(place, left, right)),
                }
            }
        }
        _ => found.push(departure(place, Some(left), Some(right))),
    }
}

/// Every key of either, with what both hold there.
fn both<'j>(a: &'j Map<String, Json>, b: &'j Map<String, Json>) -> Vec<(&'j str, Option<&'j Json>, Option<&'j Json>)> {
    let ours = a.iter().map(|(key, left)| (key.as_str(), Some(left), b.get(key)));
    let theirs = b.iter().filter(|(key, _)| !a.contains_key(*key)).map(|(key, right)| (key.as_str(), None, Some(right)));
    ours.chain(theirs).collect()
}

fn departure(place: Place, left: Option<&Json>, right: Option<&Json>) -> Departure {
    let told = |value: Option<&Json>| value.map_or_else(|| "nothing".to_owned(), |value| shortened(&value.to_string()));
    Departure { path: place.path, kind: place.kind, stored: told(left), replayed: told(right) }
}
