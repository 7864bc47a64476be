//! A loaded reducer: one call, one fresh sandbox.

use std::sync::Arc;

use purefold_wit::{Contract, Type, Value};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Val};
use wasmtime::{Engine, ResourceLimiter, Result as EngineResult, Store, Trap};

use super::convert::{from_val, to_val};
use super::{Context, Decision, Fault, Limits, SandboxError};

/// Host memory that lifting one result may take, as a multiple of the output limit: a value in memory is larger than
/// its JSON. The exact limit is checked on the encoded output; this one keeps a hostile guest from filling the host.
const LIFT_FACTOR: usize = 64;

/// A component, compiled and linked, that decides.
#[derive(Clone)]
pub struct Reducer {
    engine: Engine,
    instance: InstancePre<Guard>,
    reduce: ComponentExportIndex,
    migrate: Option<ComponentExportIndex>,
    contract: Arc<Contract>,
    limits: Limits,
}

/// The store's data: holds a sandbox to its memory limit and remembers that the limit was hit.
pub(super) struct Guard {
    memory_bytes: usize,
    exceeded: bool,
}

impl ResourceLimiter for Guard {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> EngineResult<bool> {
        self.exceeded |= desired > self.memory_bytes;
        // An error ends the decision at once, so that no guest can make its answer depend on a refused growth.
        if self.exceeded { Err(wasmtime::Error::msg("memory limit")) } else { Ok(true) }
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> EngineResult<bool> {
        const MOST_TABLE_ELEMENTS: usize = 10_000;
        Ok(desired <= MOST_TABLE_ELEMENTS)
    }
}

impl Reducer {
    pub(super) fn new(
        engine: Engine,
        component: &Component,
        instance: InstancePre<Guard>,
        contract: Arc<Contract>,
        limits: Limits,
    ) -> EngineResult<Self> {
        let export = |name: &str| component.get_export_index(None, name);
        let reduce = export("reduce").ok_or_else(|| wasmtime::Error::msg("the component exports no function `reduce`"))?;
        Ok(Reducer { engine, instance, reduce, migrate: export("migrate"), contract, limits })
    }

    /// The contract that the component was read to have.
    #[must_use]
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// What one decision may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// One decision in a sandbox of its own.
    ///
    /// # Errors
    /// Only for the host's own failures; whatever the reducer does wrong is a [`Decision::Faulted`].
    pub fn reduce(&self, context: &Context, state: Option<&Value>, input: &Value) -> Result<Decision, SandboxError> {
        let arguments = self.arguments(context, state, input)?;
        match self.call(&self.reduce, &arguments)? {
            Err(fault) => Ok(Decision::Faulted(fault)),
            Ok(result) => self.decision(result),
        }
    }

    /// The call's arguments in the engine's own form.
    ///
    /// # Errors
    /// Where a value does not fit the contract.
    pub fn arguments(&self, context: &Context, state: Option<&Value>, input: &Value) -> Result<[Val; 3], SandboxError> {
        let state = match state {
            None => None,
            Some(Value::Record(fields)) => Some(Box::new(convert_record(&self.contract.state, fields, "state")?)),
            Some(_) => return Err(SandboxError::Shape { what: "state", reason: "it is no record".into() }),
        };
        let input =
            to_val(&Type::Variant(self.contract.input.clone()), input).map_err(|reason| SandboxError::Shape { what: "input", reason })?;
        Ok([context_val(context), Val::Option(state), input])
    }

    /// Takes over a predecessor's state by the component's `migrate`; `None` where it exports none.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn migrate(&self, previous: &Value) -> Result<Option<Result<Value, Fault>>, SandboxError> {
        let (Some(export), Some(ty)) = (&self.migrate, &self.contract.migrate) else { return Ok(None) };
        let previous = to_val(ty, previous).map_err(|reason| SandboxError::Shape { what: "state", reason })?;
        let result = match self.call(export, &[previous])? {
            Err(fault) => Err(fault),
            Ok(Val::Result(Ok(Some(state)))) => Ok(lift(&Type::Record(self.contract.state.clone()), *state)?),
            Ok(Val::Result(Err(Some(reason)))) => match *reason {
                Val::String(reason) => Err(Fault { code: "migrate-refused", reason }),
                _ => return Err(shape("migrate's error is no string")),
            },
            Ok(_) => return Err(shape("migrate gave no result")),
        };
        Ok(Some(result))
    }

    fn call(&self, export: &ComponentExportIndex, arguments: &[Val]) -> Result<Result<Val, Fault>, SandboxError> {
        let mut store = Store::new(&self.engine, Guard { memory_bytes: self.limits.memory_bytes, exceeded: false });
        store.limiter(|guard| guard);
        store.set_fuel(self.limits.fuel).map_err(|error| SandboxError::Host(format!("{error:#}")))?;
        store.set_hostcall_fuel(self.limits.output_bytes.saturating_mul(LIFT_FACTOR));
        let mut results = [Val::Bool(false)];
        let run = (|| {
            let instance = self.instance.instantiate(&mut store)?;
            let function = instance.get_func(&mut store, export).ok_or_else(|| wasmtime::Error::msg("the export is no function"))?;
            function.call(&mut store, arguments, &mut results)
        })();
        let [result] = results;
        match run {
            Ok(()) => Ok(Ok(result)),
            Err(error) => classify(&error, store.data(), &self.limits).map(Err),
        }
    }

    fn decision(&self, result: Val) -> Result<Decision, SandboxError> {
        match result {
            Val::Result(Ok(Some(transition))) => {
                let Val::Record(fields) = *transition else { return Err(shape("the transition is no record")) };
                self.transition(fields)
            }
            Val::Result(Err(Some(rejection))) => Ok(Decision::Rejected(lift(&self.contract.rejection, *rejection)?)),
            _ => Err(shape("reduce gave no result")),
        }
    }

    fn transition(&self, fields: Vec<(String, Val)>) -> Result<Decision, SandboxError> {
        let mut fields = fields.into_iter().map(|(_, value)| value);
        let (Some(Val::Option(state)), Some(Val::List(intents))) = (fields.next(), fields.next()) else {
            return Err(shape("the transition is not {state, intents}"));
        };
        if intents.len() > self.limits.intents {
            let reason = format!("{} intents in one decision; the limit is {}", intents.len(), self.limits.intents);
            return Ok(Decision::Faulted(Fault { code: "too-many-intents", reason }));
        }
        let state = state.map(|state| lift(&Type::Record(self.contract.state.clone()), *state)).transpose()?;
        let intent = Type::Variant(self.contract.intent.clone());
        let mut lifted = Vec::with_capacity(intents.len());
        for value in intents {
            lifted.push(lift(&intent, value)?);
        }
        Ok(Decision::Accepted { state, intents: lifted })
    }
}

fn lift(ty: &Type, value: Val) -> Result<Value, SandboxError> {
    from_val(ty, value).map_err(|reason| SandboxError::Shape { what: "result", reason })
}

fn shape(reason: &str) -> SandboxError {
    SandboxError::Shape { what: "result", reason: reason.into() }
}

fn convert_record(record: &Arc<purefold_wit::Record>, fields: &[Value], what: &'static str) -> Result<Val, SandboxError> {
    super::convert::record_to_val(record, fields).map_err(|reason| SandboxError::Shape { what, reason })
}

fn context_val(context: &Context) -> Val {
    Val::Record(vec![
        ("now".into(), Val::U64(context.now)),
        ("entity".into(), Val::String(context.entity.as_ref().into())),
        ("sequence".into(), Val::U64(context.sequence)),
        ("event-id".into(), Val::String(context.event_id.as_ref().into())),
        ("correlation-id".into(), Val::String(context.correlation_id.as_ref().into())),
        ("seed".into(), Val::Tuple(vec![Val::U64(context.seed.0), Val::U64(context.seed.1)])),
    ])
}

/// Sorts what ended a call into the reducer's fault or the host's own failure.
fn classify(error: &wasmtime::Error, guard: &Guard, limits: &Limits) -> Result<Fault, SandboxError> {
    if guard.exceeded {
        return Ok(Fault { code: "memory", reason: format!("more than {} bytes of memory", limits.memory_bytes) });
    }
    let fault = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Fault { code: "fuel", reason: format!("more than {} units of fuel", limits.fuel) },
        Some(Trap::StackOverflow) => Fault { code: "stack", reason: "the call stack is exhausted".into() },
        Some(trap) => Fault { code: "trap", reason: trap.to_string() },
        None if is_lift_error(error) => {
            Fault { code: "output-size", reason: format!("the result is far larger than the limit of {} bytes", limits.output_bytes) }
        }
        None if is_guest_error(error) => {
            Fault { code: "trap", reason: "the result is not well formed: ".to_owned() + &error.root_cause().to_string() }
        }
        None => return Err(SandboxError::Host(format!("{error:#}"))),
    };
    Ok(fault)
}

/// The engine gives the exhaustion of its lifting budget no public type.
fn is_lift_error(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

/// A result that breaks the canonical ABI (a pointer out of range, text that is not UTF-8) is the guest's doing; a pool
/// without a free slot or a failing system call is not.
fn is_guest_error(error: &wasmtime::Error) -> bool {
    let text = error.root_cause().to_string();
    ["pointer", "out of bounds", "utf-8", "utf8", "utf16", "discriminant", "invalid", "unaligned", "converting integer to `char` failed"]
        .iter()
        .any(|mark| text.contains(mark))
        && error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_none()
        && error.downcast_ref::<std::io::Error>().is_none()
}
