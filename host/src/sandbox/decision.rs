//! What one `reduce` takes and gives.

use std::sync::Arc;

use purefold_wit::Value;

/// Everything a decision may depend on besides the state and the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Microseconds since the Unix epoch.
    pub now: u64,
    /// The key's text.
    pub entity: Arc<str>,
    /// 1 for the entity's first decision.
    pub sequence: u64,
    /// The event's id, or the id of the intent that led here.
    pub event_id: Arc<str>,
    /// Carried through outcomes, timers and deliveries to every intent.
    pub correlation_id: Arc<str>,
    /// Entropy by hash.
    pub seed: (u64, u64),
}

impl Context {
    /// The standard context out of a value of its type.
    #[must_use]
    pub fn of(value: &Value) -> Option<Context> {
        let Value::Record(fields) = value else { return None };
        let [
            Value::Instant(now),
            Value::String(entity),
            Value::U64(sequence),
            Value::String(event_id),
            Value::String(correlation_id),
            Value::Tuple(seed),
        ] = &**fields
        else {
            return None;
        };
        let [Value::U64(high), Value::U64(low)] = &**seed else { return None };
        Some(Context {
            now: *now,
            entity: (&**entity).into(),
            sequence: *sequence,
            event_id: (&**event_id).into(),
            correlation_id: (&**correlation_id).into(),
            seed: (*high, *low),
        })
    }

    /// As a value of the standard context's type.
    #[must_use]
    pub fn value(&self) -> Value {
        Value::Record(Box::new([
            Value::Instant(self.now),
            Value::String((&*self.entity).into()),
            Value::U64(self.sequence),
            Value::String((&*self.event_id).into()),
            Value::String((&*self.correlation_id).into()),
            Value::Tuple(Box::new([Value::U64(self.seed.0), Value::U64(self.seed.1)])),
        ]))
    }
}

/// The result of one `reduce`.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The new state (none ends the entity) and the intents.
    Accepted {
        /// A record of the contract's state type.
        state: Option<Value>,
        /// Variants of the contract's intent type.
        intents: Vec<Value>,
    },
    /// A value of the contract's rejection type.
    Rejected(Value),
    /// The reducer broke off or broke a limit.
    Faulted(Fault),
}

/// Why a decision is no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable code: `trap`, `fuel`, `memory`, `stack`, `output-size`, `too-many-intents`, `machine`, `output-not-json`.
    pub code: &'static str,
    /// What happened.
    pub reason: String,
}
