//! `publish` on Kafka: one message for each intent, keyed by the entity, acknowledged by all replicas that are in sync.
//!
//! [`settings`] reads where the brokers are and how to speak to them, [`producer`] keeps the one client, [`failure`] says
//! what an error means.

mod failure;
mod producer;
mod settings;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use purefold_wit::Finding;
use rdkafka::message::{Header, OwnedHeaders};

use self::producer::{Message, Producer, Topic, Unusable};
pub(super) use self::settings::Brokers;
use super::Plan;
use crate::kafka::LOGIN_HELP;
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

struct Kafka {
    name: Arc<str>,
    producer: Arc<Producer>,
}

pub(super) fn open(name: &str, brokers: Brokers) -> Arc<dyn Effect> {
    Arc::new(Kafka { name: name.into(), producer: Arc::new(Producer::new(name, brokers)) })
}

impl Effect for Kafka {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, super::plan)?;
        let place = format!("effects.{}.kafka", self.name);
        let topics: Vec<&str> = plans.iter().map(|plan| &*plan.topic).collect();
        let found = self.producer.look(&topics).map_err(|unusable| {
            vec![match unusable {
                Unusable::NoClient(reason) => {
                    let cause = format!("no Kafka client can be made: {reason}");
                    Finding::new("kafka-unusable", place, cause, "mend the setting that the cause names")
                }
                Unusable::NotLetIn(reason) => {
                    Finding::new("kafka-login-refused", place, format!("the brokers do not let this client in: {reason}"), LOGIN_HELP)
                }
            }]
        })?;
        let missing = |(topic, route): (Topic, &Route<'_>)| {
            let (cause, help) = match topic {
                Topic::There | Topic::Unknown => return None,
                Topic::Absent => {
                    ("the brokers have no such topic", "create it, with as many partitions as its readers need, or mend the name")
                }
                Topic::Forbidden => ("the user of this effect may not see the topic", "allow the user to describe it and to write to it"),
            };
            Some(Finding::new("topic-missing", format!("intents.{}.topic", route.case), cause, help))
        };
        let findings: Vec<Finding> = found.into_iter().zip(routes).filter_map(missing).collect();
        if !findings.is_empty() {
            return Err(findings);
        }
        let bind = |plan| Arc::new(BoundTopic { producer: Arc::clone(&self.producer), plan }) as Arc<dyn Operation>;
        Ok(plans.into_iter().map(bind).collect())
    }

    /// Nothing to wait for: brokers that are away now are found by each attempt, and its breaker.
    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(async { Ok(()) })
    }
}

struct BoundTopic {
    producer: Arc<Producer>,
    plan: Plan,
}

impl Operation for BoundTopic {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let message = self.message(&call);
        let producer = Arc::clone(&self.producer);
        Box::pin(async move { producer.send(message.map_err(EffectError::Refused)?).await.map(|()| None) })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

impl BoundTopic {
    /// The event in the binary mode of CloudEvents: attributes in headers, data alone in the value.
    fn message(&self, call: &Call) -> Result<Message, String> {
        let mut headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/json") });
        self.plan.attributes(call, |name, value| {
            let name = format!("ce_{name}");
            headers = std::mem::take(&mut headers).insert(Header { key: &name, value: Some(value) });
            Ok(())
        })?;
        let topic = Arc::clone(&self.plan.topic);
        Ok(Message { topic, key: Arc::clone(&call.entity), headers, value: self.plan.data.encode(&call.payload)? })
    }
}
