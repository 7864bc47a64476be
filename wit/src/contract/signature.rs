//! The functions of a reducer: `reduce`, and `migrate` and `downgrade` where there are such.

use std::collections::HashSet;
use std::sync::Arc;

use wit_parser::{Function, FunctionKind, Resolve, TypeDefKind, TypeOwner, WorldId, WorldItem, WorldKey};

use super::reader::Reader;
use super::{Contract, payload};
use crate::shape::{Record, Type, Variant};
use crate::{Finding, standard};

const REDUCE: &str =
    "export `reduce: func(ctx: context, state: option<state>, input: input) -> result<transition, rejection>` from the world";
const MIGRATE: &str = "export `migrate: func(previous: previous-state) -> result<state, string>`, or leave it out";
const DOWNGRADE: &str = "export `downgrade: func(current: state) -> result<previous-state, string>`, or leave it out";
const TRANSITION: &str = "make it `record transition { state: option<state>, intents: list<intent> }`";

/// Reads and checks the contract of `world`.
pub(super) fn read(resolve: &Resolve, world: WorldId) -> Result<Contract, Vec<Finding>> {
    let mut reader = Reader::new(resolve);
    let forged = reader.forged_standard_types();
    let (mut reduce, mut migrate, mut downgrade) = (None, None, None);
    for (key, item) in &resolve.worlds[world].exports {
        match (item, key) {
            (WorldItem::Function(function), WorldKey::Name(name)) if name == "reduce" => reduce = Some(function),
            (WorldItem::Function(function), WorldKey::Name(name)) if name == "migrate" => migrate = Some(function),
            (WorldItem::Function(function), WorldKey::Name(name)) if name == "downgrade" => downgrade = Some(function),
            (WorldItem::Function(function), _) => unexpected(&mut reader, &function.name),
            (WorldItem::Interface { id, .. }, _) => {
                let interface = resolve.name_world_key(key);
                for name in resolve.interfaces[*id].functions.keys() {
                    unexpected(&mut reader, &format!("{interface}.{name}"));
                }
            }
            (WorldItem::Type { .. }, _) => {}
        }
    }
    let parts = match reduce {
        Some(function) => read_reduce(&mut reader, function, &forged),
        None => {
            reader.report("reduce-missing", "reduce", "the component exports no function `reduce`", REDUCE);
            Parts::default()
        }
    };
    let previous = migrate.and_then(|function| read_migrate(&mut reader, function, parts.state.as_ref()));
    let downgraded = downgrade.and_then(|function| read_downgrade(&mut reader, function, parts.state.as_ref()));
    match (reader.findings.is_empty(), parts) {
        (true, Parts { world: Some(world), state: Some(state), input: Some(input), intent: Some(intent), rejection: Some(rejection) }) => {
            Ok(Contract { world, context: standard::context(), state, input, intent, rejection, migrate: previous, downgrade: downgraded })
        }
        _ => Err(reader.findings),
    }
}

/// What could be read of `reduce`; whatever is missing has a finding.
#[derive(Default)]
struct Parts {
    world: Option<String>,
    state: Option<Arc<Record>>,
    input: Option<Arc<Variant>>,
    intent: Option<Arc<Variant>>,
    rejection: Option<Type>,
}

fn unexpected(reader: &mut Reader<'_>, name: &str) {
    let help = "a reducer exports `reduce` and, where it takes over older states or gives them back, `migrate` and `downgrade`, from its world and nothing else";
    reader.report("unexpected-export", name, "nobody calls this function", help);
}

fn is_async(reader: &mut Reader<'_>, function: &Function) {
    if !matches!(function.kind, FunctionKind::Freestanding) {
        reader.report("type-not-admitted", &function.name, "a contract has no place for: an async function", "make it a plain `func`");
    }
}

fn read_reduce(reader: &mut Reader<'_>, function: &Function, forged: &HashSet<String>) -> Parts {
    let mut parts = Parts::default();
    is_async(reader, function);
    if let [context, state, input] = &function.params[..] {
        let ty = reader.shape(context.ty, "reduce.ctx");
        check_context(reader, &ty, forged);
        parts.world = Some(origin(reader.resolve, state.ty));
        let ty = reader.shape(state.ty, "reduce.state");
        parts.state = read_state(reader, &ty);
        let ty = reader.shape(input.ty, "reduce.input");
        parts.input = payload::variant(reader, "input", &ty);
    } else {
        let cause = format!("it has {} parameters, not the three of a reducer", function.params.len());
        reader.report("reduce-shape", "reduce", cause, REDUCE);
    }
    let result = function.result.map(|ty| reader.shape(ty, "reduce.result"));
    let Some(Type::Result(result)) = &result else {
        let found = result.map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
        reader.report("reduce-shape", "reduce", format!("it returns {found}, not a result"), REDUCE);
        return parts;
    };
    match &result.ok {
        Some(ty) => parts.intent = read_transition(reader, ty, parts.state.as_ref()),
        None => reader.report("transition-shape", "reduce.result", "the result carries no transition", TRANSITION),
    }
    match &result.err {
        Some(rejection @ (Type::Variant(_) | Type::Enum(_) | Type::Record(_))) => parts.rejection = Some(rejection.clone()),
        other => {
            let found = other.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let help = "declare the domain's reasons as a variant, an enum or a record";
            reader.report("rejection-shape", "reduce.result", format!("the rejection is {found}"), help);
        }
    }
    parts
}

fn check_context(reader: &mut Reader<'_>, ty: &Type, forged: &HashSet<String>) {
    if *ty == standard::context() || forged.contains("context") {
        return;
    }
    match ty {
        Type::Record(record) if record.name.kebab() == "context" => {
            let cause = format!("its fields are not those of `context` of {}", standard::INTERFACE);
            reader.report(
                "standard-type-forged",
                "reduce.ctx",
                cause,
                "take it from the package: `use purefold:reducer/types@1.0.0.{context}`",
            );
        }
        other => reader.report("reduce-shape", "reduce.ctx", format!("the first parameter is {other}, not the standard `context`"), REDUCE),
    }
}

fn read_state(reader: &mut Reader<'_>, ty: &Type) -> Option<Arc<Record>> {
    let state = match ty {
        Type::Option(state) => &**state,
        other => {
            reader.report("reduce-shape", "reduce.state", format!("the second parameter is {other}, not an option of the state"), REDUCE);
            other
        }
    };
    if let Type::Record(record) = state {
        return Some(Arc::clone(record));
    }
    reader.report("state-not-record", "reduce.state", format!("the state is {state}"), "make the state a record, of one field if need be");
    None
}

fn read_transition(reader: &mut Reader<'_>, ty: &Type, state: Option<&Arc<Record>>) -> Option<Arc<Variant>> {
    let place = match ty {
        Type::Record(record) => record.name.kebab().to_owned(),
        _ => "reduce.result".to_owned(),
    };
    let fields = match ty {
        Type::Record(record) => &record.fields[..],
        _ => &[],
    };
    let ([first, second], true) = (fields, fields.iter().map(|field| field.name.kebab()).eq(["state", "intents"])) else {
        reader.report("transition-shape", place, format!("{ty} does not have exactly the fields `state` and `intents`"), TRANSITION);
        return None;
    };
    let same_state = match (&first.ty, state) {
        (Type::Option(of), Some(state)) => matches!(&**of, Type::Record(record) if record == state),
        // What is wrong with the state itself has been said.
        (Type::Option(_), None) => true,
        _ => false,
    };
    if !same_state {
        let cause = format!("its field `state` is {}, not an option of the state that `reduce` takes", first.ty);
        reader.report("transition-shape", format!("{place}.state"), cause, TRANSITION);
    }
    let Type::List(intent) = &second.ty else {
        reader.report("transition-shape", format!("{place}.intents"), format!("it is {}, not a list of intents", second.ty), TRANSITION);
        return None;
    };
    let intent = payload::variant(reader, "intent", intent)?;
    payload::check_intents(reader, &intent);
    Some(intent)
}

fn read_migrate(reader: &mut Reader<'_>, function: &Function, state: Option<&Arc<Record>>) -> Option<Type> {
    is_async(reader, function);
    let [previous] = &function.params[..] else {
        reader.report("migrate-shape", "migrate", format!("it has {} parameters, not one", function.params.len()), MIGRATE);
        return None;
    };
    let previous = reader.shape(previous.ty, "migrate.previous");
    if !matches!(previous, Type::Record(_)) {
        reader.report("migrate-shape", "migrate", format!("the previous state is {previous}, not a record"), MIGRATE);
    }
    let result = function.result.map(|ty| reader.shape(ty, "migrate.result"));
    let fits = match &result {
        Some(Type::Result(result)) => {
            let ok = match (&result.ok, state) {
                (Some(Type::Record(record)), Some(state)) => record == state,
                (ok, None) => ok.is_some(),
                _ => false,
            };
            ok && result.err == Some(Type::String)
        }
        _ => false,
    };
    if !fits {
        let found = result.map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
        reader.report("migrate-shape", "migrate", format!("it returns {found}"), MIGRATE);
    }
    Some(previous)
}

fn read_downgrade(reader: &mut Reader<'_>, function: &Function, state: Option<&Arc<Record>>) -> Option<Type> {
    is_async(reader, function);
    let [current] = &function.params[..] else {
        reader.report("downgrade-shape", "downgrade", format!("it has {} parameters, not one", function.params.len()), DOWNGRADE);
        return None;
    };
    let current = reader.shape(current.ty, "downgrade.current");
    let is_state = match (&current, state) {
        (Type::Record(record), Some(state)) => record == state,
        (_, state) => state.is_none(),
    };
    if !is_state {
        reader.report("downgrade-shape", "downgrade", format!("it takes {current}, not the state"), DOWNGRADE);
    }
    match function.result.map(|ty| reader.shape(ty, "downgrade.result")) {
        Some(Type::Result(result)) if matches!(result.ok, Some(Type::Record(_))) && result.err == Some(Type::String) => result.ok.clone(),
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
            reader.report("downgrade-shape", "downgrade", format!("it returns {found}"), DOWNGRADE);
            None
        }
    }
}

/// The interface that declares the type, or the world that does.
fn origin(resolve: &Resolve, ty: wit_parser::Type) -> String {
    let mut at = ty;
    while let wit_parser::Type::Id(id) = at {
        let def = &resolve.types[id];
        match (&def.kind, def.owner) {
            (TypeDefKind::Option(inner) | TypeDefKind::Type(inner), _) => at = *inner,
            (_, TypeOwner::Interface(interface)) => return resolve.id_of(interface).unwrap_or_default(),
            (_, TypeOwner::World(world)) => return resolve.worlds[world].name.clone(),
            (_, TypeOwner::None) => break,
        }
    }
    String::new()
}
