//! `key-value` on Consul: keys of one datacentre.
//!
//! Each change is one transaction with the lane's high-water mark, a key beside the workflow's own: a repeat or a
//! straggler changes nothing, as on SQLite. Consul checks versions, not values, so what is there is read first, and the
//! transaction holds that it has not changed since.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use purefold_wit::Finding;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::{Entry, KEY_BYTES_MAX, Plan};
use crate::consul::{Agent, Ask};
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

/// The prefix of the marks' keys.
pub(super) const MARKS_DEFAULT: &str = "purefold/marks";

/// What of a lane's names is escaped in the key of its mark: slashes and dots have a meaning in paths.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Largest transaction that Consul takes as it comes, in bytes of its JSON.
const TRANSACTION_BYTES_MAX: usize = 512 * 1024;

/// How often a change is tried that others were faster than.
const RACES_MAX: usize = 5;

struct ConsulKeyValue(Arc<Keys>);

/// What all routes of the effect share.
struct Keys {
    name: Arc<str>,
    agent: Agent,
    marks: String,
}

pub(super) fn open(name: &str, agent: Agent, marks: String) -> Arc<dyn Effect> {
    Arc::new(ConsulKeyValue(Arc::new(Keys { name: name.into(), agent, marks })))
}

impl Effect for ConsulKeyValue {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, super::plan)?;
        Ok(plans.into_iter().map(|plan| Arc::new(BoundKeyValue { keys: Arc::clone(&self.0), plan }) as Arc<dyn Operation>).collect())
    }

    /// Nothing to make: a Consul that is away now is found by each attempt, and its breaker.
    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(async { Ok(()) })
    }
}

struct BoundKeyValue {
    keys: Arc<Keys>,
    plan: Plan,
}

impl Operation for BoundKeyValue {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let (keys, entry) = (Arc::clone(&self.keys), self.plan.entry(&call.payload));
        Box::pin(async move { keys.perform(&call, &entry.map_err(EffectError::Refused)?).await.map(|()| None) })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

/// A key that is there, or not.
struct Found {
    /// The version; 0 where the key is not there.
    index: u64,
    value: Option<Vec<u8>>,
}

impl Keys {
    async fn perform(&self, call: &Call, entry: &Entry) -> Result<(), EffectError> {
        let lane = [&call.journal, &call.workflow, &self.name, &call.entity].map(|part| utf8_percent_encode(part, ESCAPED).to_string());
        let mark = format!("{}/{}", self.marks, lane.join("/"));
        if mark.len() > KEY_BYTES_MAX {
            return Err(EffectError::Refused(format!("the key of the lane's mark has {} bytes; Consul takes {KEY_BYTES_MAX}", mark.len())));
        }
        for _ in 0..RACES_MAX {
            let at = self.read(&mark).await?;
            if at.value.as_deref().and_then(place).is_some_and(|place| place >= (call.sequence, u64::from(call.index))) {
                return Ok(());
            }
            let change = self.change(entry).await?;
            let value = json!({ "sequence": call.sequence, "index": call.index, "intent": call.id.to_string() }).to_string();
            let advance = json!({ "KV": { "Verb": "cas", "Key": mark, "Index": at.index, "Value": BASE64.encode(value) } });
            if self.commit(&[advance, change]).await? {
                return Ok(());
            }
        }
        let reason = format!("the key was changed by others during each of {RACES_MAX} tries");
        Err(EffectError::NotDone { reason, retry_after: None })
    }

    /// What is to be done to the key, as an operation of a transaction.
    async fn change(&self, entry: &Entry) -> Result<Json, EffectError> {
        Ok(match entry {
            Entry::Put { key, value } => json!({ "KV": { "Verb": "set", "Key": key, "Value": BASE64.encode(value) } }),
            Entry::Delete { key } => json!({ "KV": { "Verb": "delete", "Key": key } }),
            Entry::Cas { key, value, expect } => {
                let found = self.read(key).await?;
                let refused = |reason: &str| Err(EffectError::Refused(reason.to_owned()));
                match (expect, &found.value) {
                    (None, Some(_)) => return refused("the key is there already"),
                    (Some(expect), found) if found.as_deref() != Some(expect.as_bytes()) => {
                        return refused("the key does not hold the expected value");
                    }
                    _ => {}
                }
                json!({ "KV": { "Verb": "cas", "Key": key, "Index": found.index, "Value": BASE64.encode(value) } })
            }
        })
    }

    async fn read(&self, key: &str) -> Result<Found, EffectError> {
        let mut query = vec![("consistent", "")];
        query.extend(self.agent.datacentre().map(|name| ("dc", name)));
        let path: Vec<&str> = std::iter::once("kv").chain(key.split('/')).collect();
        let answer = self.agent.ask("cannot read a key", Ask { method: Method::GET, path: &path, query: &query, body: None }).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Found { index: 0, value: None });
        }
        let found = answer.json()?;
        let unreadable =
            || EffectError::NotDone { reason: "cannot read a key: the answer is none of Consul's".to_owned(), retry_after: None };
        let index = found[0]["ModifyIndex"].as_u64().ok_or_else(unreadable)?;
        // An empty value is null.
        let value = BASE64.decode(found[0]["Value"].as_str().unwrap_or_default()).map_err(|_| unreadable())?;
        Ok(Found { index, value: Some(value) })
    }

    /// Whether the transaction was committed; else something it rests on has changed.
    async fn commit(&self, operations: &[Json]) -> Result<bool, EffectError> {
        let body = Json::from(operations).to_string().into_bytes();
        if body.len() > TRANSACTION_BYTES_MAX {
            let reason = format!("the value makes a transaction of {} bytes; Consul takes {TRANSACTION_BYTES_MAX}", body.len());
            return Err(EffectError::Refused(reason));
        }
        let query: Vec<(&str, &str)> = self.agent.datacentre().map(|name| ("dc", name)).into_iter().collect();
        let ask = Ask { method: Method::PUT, path: &["txn"], query: &query, body: Some(body) };
        let answer = self.agent.ask("cannot change a key", ask).await?;
        if answer.status != StatusCode::CONFLICT {
            return answer.done().map(|()| true);
        }
        let detail = answer.detail();
        let errors: Vec<&str> = detail["Errors"].as_array().into_iter().flatten().filter_map(|error| error["What"].as_str()).collect();
        if errors.iter().any(|what| what.contains("stale")) {
            return Ok(false);
        }
        // Rolled back, for a reason that lies at Consul: a right that is missing, most often.
        let what = errors.first().copied().unwrap_or("the transaction was rolled back");
        Err(EffectError::NotDone { reason: format!("cannot change a key: Consul answers 409: {what}"), retry_after: None })
    }
}

/// Sequence and index of a mark.
fn place(mark: &[u8]) -> Option<(u64, u64)> {
    let mark: Json = serde_json::from_slice(mark).ok()?;
    Some((mark["sequence"].as_u64()?, mark["index"].as_u64()?))
}
