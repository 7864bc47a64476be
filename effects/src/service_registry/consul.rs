//! `service-registry` on Consul: services of one agent, which tells the catalogue.
//!
//! Consul has no transaction over services, so a service itself carries who registered it last: journal, workflow,
//! effect, entity, and the intent's place in that lane. What has been overtaken is recognised by that and changes nothing,
//! as long as the service is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use purefold_wit::{Finding, Value};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

use super::health::{Health, seconds};
use super::{Plan, Registration, present};
use crate::consul::{Agent, Ask};
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

/// How the keys of our own metadata begin.
const OWN: &str = "purefold-";

struct ConsulRegistry(Arc<Registry>);

/// What all routes of the effect share.
struct Registry {
    name: Arc<str>,
    agent: Agent,
    ttl: Option<Duration>,
    health: Option<Health>,
    /// Set once the agent is known to be of the datacentre that the settings name.
    place: OnceCell<()>,
}

pub(super) fn open(name: &str, agent: Agent, ttl: Option<Duration>, health: Option<Health>) -> Arc<dyn Effect> {
    Arc::new(ConsulRegistry(Arc::new(Registry { name: name.into(), agent, ttl, health, place: OnceCell::new() })))
}

impl Effect for ConsulRegistry {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, |route| super::plan(route, self.0.ttl))?;
        let bind = |plan| Arc::new(BoundService { registry: Arc::clone(&self.0), plan: Arc::new(plan) }) as Arc<dyn Operation>;
        Ok(plans.into_iter().map(bind).collect())
    }

    /// Nothing to make: a Consul that is away now is found by each attempt, and its breaker.
    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(async { Ok(()) })
    }
}

struct BoundService {
    registry: Arc<Registry>,
    plan: Arc<Plan>,
}

impl Operation for BoundService {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let (registry, plan) = (Arc::clone(&self.registry), Arc::clone(&self.plan));
        Box::pin(async move { registry.perform(&plan, &call).await.map(|()| None) })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

/// Where a call stands to the service that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There is no such service.
    Absent,
    /// There is one that this call did not make and that does not come after it.
    Before,
    /// This very intent registered it.
    Done,
    /// A later intent of the same lane registered it.
    Overtaken,
}

impl Registry {
    async fn perform(&self, plan: &Plan, call: &Call) -> Result<(), EffectError> {
        let Value::Record(fields) = &*call.payload else { return Err(EffectError::Refused("the intent is not a record".to_owned())) };
        self.place.get_or_try_init(|| self.check_place()).await?;
        match plan {
            Plan::Register(registration) => self.register(call, fields, registration).await,
            Plan::Deregister { service_id } => self.deregister(call, id(fields, *service_id)?).await,
            Plan::Pass { service_id, .. } => self.pass(call, id(fields, *service_id)?).await,
        }
    }

    /// Services are the agent's, whatever datacentre was meant: a wrong agent is told, not served.
    async fn check_place(&self) -> Result<(), EffectError> {
        let Some(meant) = self.agent.datacentre() else { return Ok(()) };
        let attempted = "cannot ask for the agent's datacentre";
        let ask = Ask { method: Method::GET, path: &["agent", "self"], query: &[], body: None };
        let found = self.agent.ask(attempted, ask).await?.json()?;
        match found["Config"]["Datacenter"].as_str() {
            Some(found) if found == meant => Ok(()),
            found => {
                let found = found.unwrap_or("none");
                let reason =
                    format!("the agent is of the datacentre `{found}`, and the effect's `datacentre` is `{meant}`; name an agent there");
                Err(EffectError::NotDone { reason, retry_after: None })
            }
        }
    }

    async fn register(&self, call: &Call, fields: &[Value], registration: &Registration) -> Result<(), EffectError> {
        let service = self.service(call, fields, registration).map_err(EffectError::Refused)?;
        let id = id(fields, registration.service_id)?;
        if matches!(self.standing(call, id).await?, Standing::Done | Standing::Overtaken) {
            return Ok(());
        }
        let ask = Ask {
            method: Method::PUT,
            path: &["agent", "service", "register"],
            // Nothing of an earlier registration is left, its checks neither.
            query: &[("replace-existing-checks", "true")],
            body: Some(service.to_string().into_bytes()),
        };
        self.agent.ask("cannot register a service", ask).await?.done()
    }

    async fn deregister(&self, call: &Call, id: &str) -> Result<(), EffectError> {
        if matches!(self.standing(call, id).await?, Standing::Absent | Standing::Overtaken) {
            return Ok(());
        }
        let ask = Ask { method: Method::PUT, path: &["agent", "service", "deregister", id], query: &[], body: None };
        let answer = self.agent.ask("cannot deregister a service", ask).await?;
        // Somebody else was faster.
        if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.done() }
    }

    async fn pass(&self, call: &Call, id: &str) -> Result<(), EffectError> {
        let gone = || EffectError::Refused("the service is not registered".to_owned());
        match self.standing(call, id).await? {
            Standing::Absent => return Err(gone()),
            Standing::Overtaken => return Ok(()),
            Standing::Before | Standing::Done => {}
        }
        let check = check_id(id);
        let ask = Ask { method: Method::PUT, path: &["agent", "check", "pass", &check], query: &[], body: None };
        let answer = self.agent.ask("cannot tell that a service lives", ask).await?;
        if answer.status == StatusCode::NOT_FOUND || answer.says("does not have associated TTL") || answer.says("nknown check") {
            return Err(gone());
        }
        answer.done()
    }

    async fn standing(&self, call: &Call, id: &str) -> Result<Standing, EffectError> {
        let ask = Ask { method: Method::GET, path: &["agent", "service", id], query: &[], body: None };
        let answer = self.agent.ask("cannot look for a service", ask).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Standing::Absent);
        }
        let service = answer.json()?;
        let meta = |key: &str| service["Meta"][format!("{OWN}{key}")].as_str().unwrap_or_default();
        let lane = [("journal", &call.journal), ("workflow", &call.workflow), ("effect", &self.name), ("entity", &call.entity)];
        if lane.iter().any(|(key, value)| meta(key) != &***value) {
            return Ok(Standing::Before);
        }
        let number = |key: &str| meta(key).parse::<u64>().unwrap_or(0);
        Ok(match (number("sequence"), number("index")).cmp(&(call.sequence, u64::from(call.index))) {
            std::cmp::Ordering::Less => Standing::Before,
            std::cmp::Ordering::Equal => Standing::Done,
            std::cmp::Ordering::Greater => Standing::Overtaken,
        })
    }

    /// The service as Consul takes it.
    fn service(&self, call: &Call, fields: &[Value], registration: &Registration) -> Result<Json, String> {
        let address = text(fields, registration.address)?;
        let port = match registration.port.and_then(|index| present(fields.get(index))) {
            Some(Value::U16(port)) => Some(*port),
            _ => None,
        };
        let service_id = text(fields, Some(registration.service_id))?.unwrap_or_default();
        let mut service = json!({
            "ID": service_id,
            "Name": text(fields, Some(registration.service_name))?,
            "Tags": tags(fields, registration.tags),
            "Meta": self.meta(call, fields, registration.meta)?,
        });
        if let Some(address) = address {
            service["Address"] = address.into();
        }
        if let Some(port) = port {
            service["Port"] = port.into();
        }
        if let Some(ttl) = self.ttl {
            service["Check"] = json!({ "CheckID": check_id(service_id), "TTL": seconds(ttl), "Status": "passing" });
        }
        if let Some(health) = &self.health {
            let (Some(address), Some(port)) = (address, port) else {
                return Err("the service has no address or no port at which Consul could ask for its `health`".to_owned());
            };
            service["Check"] = health.check(address, port);
        }
        Ok(service)
    }

    /// The record's own metadata, and ours.
    fn meta(&self, call: &Call, fields: &[Value], index: Option<usize>) -> Result<Map<String, Json>, String> {
        let mut meta = Map::new();
        if let Some(Value::Map(entries)) = index.and_then(|index| present(fields.get(index))) {
            for (key, value) in entries {
                let Value::String(value) = value else { return Err("a field is not of its type".to_owned()) };
                if key.starts_with(OWN) {
                    return Err(format!("keys of `meta` that begin with `{OWN}` are reserved"));
                }
                meta.insert(key.to_string(), Json::from(&**value));
            }
        }
        let (sequence, index, intent) = (call.sequence.to_string(), call.index.to_string(), call.id.to_string());
        for (key, value) in [
            ("journal", &*call.journal),
            ("workflow", &call.workflow),
            ("effect", &self.name),
            ("entity", &call.entity),
            ("sequence", &sequence),
            ("index", &index),
            ("intent", &intent),
        ] {
            meta.insert(format!("{OWN}{key}"), Json::from(value));
        }
        Ok(meta)
    }
}

/// The check that a service passes by saying so.
fn check_id(service_id: &str) -> String {
    format!("service:{service_id}")
}

fn id(fields: &[Value], index: usize) -> Result<&str, EffectError> {
    match text(fields, Some(index)).map_err(EffectError::Refused)? {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(EffectError::Refused("the service's id is empty".to_owned())),
    }
}

fn text(fields: &[Value], index: Option<usize>) -> Result<Option<&str>, String> {
    match index.and_then(|index| present(fields.get(index))) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("a field is not of its type".to_owned()),
    }
}

fn tags(fields: &[Value], index: Option<usize>) -> Vec<Json> {
    let Some(Value::List(tags)) = index.and_then(|index| present(fields.get(index))) else { return Vec::new() };
    let texts = tags.iter().filter_map(|tag| if let Value::String(tag) = tag { Some(Json::from(&**tag)) } else { None });
    texts.collect()
}
