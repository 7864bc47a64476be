//! A loaded reducer: one call, one fresh sandbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use purefold_wit::{Contract, Type, Value};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Val};
use wasmtime::{Engine, ResourceLimiter, Result as EngineResult, Store, Trap};

use super::convert::{from_val, put, put_record, put_text, put_uuid};
use super::{Context, Cost, Decision, Fault, Limits, SandboxError, Spent};

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
    downgrade: Option<ComponentExportIndex>,
    contract: Arc<Contract>,
    input: Type,
    limits: Limits,
    /// Arguments of earlier calls, to be filled anew: as many as decisions were ever made side by side.
    spare: Arc<Mutex<Vec<Arguments>>>,
    spent: Arc<Spent>,
}

/// The arguments of `reduce` in the engine's own form: context, state, input.
pub type Arguments = [Val; 3];

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
        let input = Type::Variant(contract.input.clone());
        Ok(Reducer {
            engine,
            instance,
            reduce,
            migrate: export("migrate"),
            downgrade: export("downgrade"),
            contract,
            input,
            limits,
            spare: Arc::default(),
            spent: Arc::default(),
        })
    }

    /// The contract that the component was read to have.
    #[must_use]
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// What its decisions have cost so far.
    #[must_use]
    pub fn spent(&self) -> &Arc<Spent> {
        &self.spent
    }

    /// The same, counting what it costs on from where `spent` is.
    #[must_use]
    pub fn counting_on(self, spent: &Arc<Spent>) -> Self {
        Reducer { spent: spent.clone(), ..self }
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
        Ok(self.measure(context, state, input)?.0)
    }

    /// As [`Reducer::reduce`], and what it cost.
    ///
    /// # Errors
    /// As [`Reducer::reduce`].
    pub fn measure(&self, context: &Context, state: Option<&Value>, input: &Value) -> Result<(Decision, Cost), SandboxError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut arguments = spare.unwrap_or_else(|| self.arguments());
        self.fill(&mut arguments, context, state, input)?;
        let (result, cost) = self.call(&self.reduce, &arguments)?;
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(arguments);
        let decision = match result {
            Err(fault) => Decision::Faulted(fault),
            Ok(result) => self.decision(result)?,
        };
        Ok((decision, cost))
    }

    /// Arguments that hold nothing yet.
    #[must_use]
    pub fn arguments(&self) -> Arguments {
        [Val::Bool(false), Val::Option(None), Val::Bool(false)]
    }

    /// Fills `arguments`, which may hold those of an earlier call of this reducer.
    ///
    /// # Errors
    /// Where a value does not fit the contract.
    pub fn fill(&self, arguments: &mut Arguments, context: &Context, state: Option<&Value>, input: &Value) -> Result<(), SandboxError> {
        let [context_slot, state_slot, input_slot] = arguments;
        put_context(context_slot, context);
        let unfit = |reason| SandboxError::Shape { what: "state", reason };
        match (state, &mut *state_slot) {
            (None, _) => *state_slot = Val::Option(None),
            (Some(Value::Record(fields)), Val::Option(Some(slot))) => put_record(slot, &self.contract.state, fields).map_err(unfit)?,
            (Some(Value::Record(fields)), _) => {
                let mut slot = Box::new(Val::Bool(false));
                put_record(&mut slot, &self.contract.state, fields).map_err(unfit)?;
                *state_slot = Val::Option(Some(slot));
            }
            (Some(_), _) => return Err(unfit("it is no record".into())),
        }
        put(input_slot, &self.input, input).map_err(|reason| SandboxError::Shape { what: "input", reason })
    }

    /// Takes over a predecessor's state by the component's `migrate`; `None` where it exports none.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn migrate(&self, previous: &Value) -> Result<Option<Result<Value, Fault>>, SandboxError> {
        let (Some(export), Some(ty)) = (&self.migrate, &self.contract.migrate) else { return Ok(None) };
        self.taken_over(export, (ty, previous), &Type::Record(self.contract.state.clone()), "migrate-refused").map(Some)
    }

    /// Gives a state back to the predecessor by the component's `downgrade`; `None` where it exports none.
    ///
    /// # Errors
    /// Only for the host's own failures.
    pub fn downgrade(&self, current: &Value) -> Result<Option<Result<Value, Fault>>, SandboxError> {
        let (Some(export), Some(previous)) = (&self.downgrade, &self.contract.downgrade) else { return Ok(None) };
        self.taken_over(export, (&Type::Record(self.contract.state.clone()), current), previous, "downgrade-refused").map(Some)
    }

    fn taken_over(
        &self,
        export: &ComponentExportIndex,
        (from, state): (&Type, &Value),
        to: &Type,
        refused: &'static str,
    ) -> Result<Result<Value, Fault>, SandboxError> {
        let mut argument = Val::Bool(false);
        put(&mut argument, from, state).map_err(|reason| SandboxError::Shape { what: "state", reason })?;
        Ok(match self.call(export, &[argument])?.0 {
            Err(fault) => Err(fault),
            Ok(Val::Result(Ok(Some(state)))) => Ok(lift(to, *state)?),
            Ok(Val::Result(Err(Some(reason)))) => match *reason {
                Val::String(reason) => Err(Fault { code: refused, reason }),
                _ => return Err(shape("its error is no string")),
            },
            Ok(_) => return Err(shape("it gave no result")),
        })
    }

    fn call(&self, export: &ComponentExportIndex, arguments: &[Val]) -> Result<(Result<Val, Fault>, Cost), SandboxError> {
        // No decision depends on it: this is what figures and traces tell of the sandbox.
        let began = Instant::now();
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
        let burnt = self.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let cost = Cost { time: began.elapsed(), fuel: burnt };
        self.spent.add(cost);
        let result = match run {
            Ok(()) => Ok(result),
            Err(error) => Err(classify(&error, store.data(), &self.limits)?),
        };
        Ok((result, cost))
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

fn put_context(slot: &mut Val, context: &Context) {
    if !matches!(slot, Val::Record(_)) {
        let names = ["now", "entity", "sequence", "event-id", "correlation-id", "seed"];
        *slot = Val::Record(names.map(|name| (name.to_owned(), Val::Bool(false))).into());
    }
    let Val::Record(fields) = slot else { return };
    if let [(_, now), (_, entity), (_, sequence), (_, event_id), (_, correlation_id), (_, seed)] = fields.as_mut_slice() {
        *now = Val::U64(context.now);
        put_text(entity, &context.entity);
        *sequence = Val::U64(context.sequence);
        put_text(event_id, &context.event_id);
        put_text(correlation_id, &context.correlation_id);
        put_uuid(seed, context.seed);
    }
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
