//! The canonical JSON of a decision, and the limits that hold on it.

use purefold_wit::{Codec, Contract, DecodeError, EncodeError, Type, UnknownFields, Value};

use super::{Decision, Fault, Limits};

/// Codecs of everything that a decision is made of.
#[derive(Clone)]
pub struct DecisionCodec {
    state: Codec,
    input: Codec,
    intent: Codec,
    intents: Codec,
    rejection: Codec,
    output_bytes: usize,
}

/// Canonical JSON of a decision's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The new state of an accepted decision; `None` where it ends the entity or decides nothing.
    pub state: Option<Box<[u8]>>,
    /// The intents (accepted), the rejection (rejected), or `{"code":…,"reason":…}` (faulted).
    pub output: Vec<u8>,
}

impl DecisionCodec {
    /// Codecs for `contract` under `limits`.
    #[must_use]
    pub fn new(contract: &Contract, limits: &Limits) -> Self {
        DecisionCodec {
            state: Codec::new(&Type::Record(contract.state.clone())),
            input: Codec::new(&Type::Variant(contract.input.clone())),
            intent: Codec::new(&Type::Variant(contract.intent.clone())),
            intents: Codec::new(&Type::List(Type::Variant(contract.intent.clone()).into())),
            rejection: Codec::new(&contract.rejection),
            output_bytes: limits.output_bytes,
        }
    }

    /// Codec of the contract's input variant.
    #[must_use]
    pub fn input(&self) -> &Codec {
        &self.input
    }

    /// A state read back from the journal or the command line.
    ///
    /// # Errors
    /// Where it does not fit the contract's state type, unknown fields included.
    pub fn decode_state(&self, json: &[u8]) -> Result<Value, DecodeError> {
        self.state.decode("state", json, UnknownFields::Refuse)
    }

    /// Intents read back from the journal.
    ///
    /// # Errors
    /// Where they do not fit the contract's intent type.
    pub fn decode_intents(&self, json: &[u8]) -> Result<Value, DecodeError> {
        self.intents.decode("intents", json, UnknownFields::Refuse)
    }

    /// A rejection read back from the journal.
    ///
    /// # Errors
    /// Where it does not fit the contract's rejection type.
    pub fn decode_rejection(&self, json: &[u8]) -> Result<Value, DecodeError> {
        self.rejection.decode("rejection", json, UnknownFields::Refuse)
    }

    /// The decision with its canonical JSON. An output that has no JSON form or is too large makes it a fault.
    #[must_use]
    pub fn encode(&self, decision: Decision) -> (Decision, Encoded) {
        match self.parts(&decision) {
            Ok(encoded) => (decision, encoded),
            Err(fault) => {
                let encoded = Encoded { state: None, output: fault_json(&fault) };
                (Decision::Faulted(fault), encoded)
            }
        }
    }

    fn parts(&self, decision: &Decision) -> Result<Encoded, Fault> {
        let mut encoded = Encoded::default();
        match decision {
            Decision::Accepted { state, intents } => {
                if let Some(state) = state {
                    let mut json = Vec::with_capacity(1024);
                    self.state.encode(state, &mut json).map_err(|error| unencodable("state", &error))?;
                    encoded.state = Some(json.into_boxed_slice());
                }
                encoded.output.reserve(512);
                encoded.output.push(b'[');
                for (index, intent) in intents.iter().enumerate() {
                    if index > 0 {
                        encoded.output.push(b',');
                    }
                    self.intent.encode(intent, &mut encoded.output).map_err(|error| unencodable(&format!("intents[{index}]"), &error))?;
                }
                encoded.output.push(b']');
            }
            Decision::Rejected(rejection) => {
                self.rejection.encode(rejection, &mut encoded.output).map_err(|error| unencodable("rejection", &error))?;
            }
            Decision::Faulted(fault) => encoded.output = fault_json(fault),
        }
        let bytes = encoded.output.len() + encoded.state.as_ref().map_or(0, |state| state.len());
        if bytes > self.output_bytes {
            let reason = format!("{bytes} bytes of state and intents; the limit is {}", self.output_bytes);
            return Err(Fault { code: "output-size", reason });
        }
        Ok(encoded)
    }
}

/// The codec calls whatever it encodes `value`.
fn unencodable(root: &str, error: &EncodeError) -> Fault {
    let path = error.path.strip_prefix("value").map_or_else(|| error.path.clone(), |rest| format!("{root}{rest}"));
    Fault { code: "output-not-json", reason: format!("{path}: {}", error.reason) }
}

fn fault_json(fault: &Fault) -> Vec<u8> {
    serde_json::json!({ "code": fault.code, "reason": fault.reason }).to_string().into_bytes()
}
