//! A payment service on the loopback: it speaks HTTP/1.1, answers as a test has it, and keeps what it was asked.

use std::time::Instant;

use serde_json::{Value, json};

use crate::request;
use crate::service::{Answer, Manner, Service};

/// What the service was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it came.
    pub(crate) at: Instant,
    /// Method and path.
    pub(crate) what: String,
    /// The key under which a repetition is the same request.
    pub(crate) idempotency_key: String,
    /// The correlation id.
    pub(crate) correlation_id: String,
    /// Who asks, by the header of that name.
    pub(crate) authorization: String,
    /// What it follows from, by the header of that name.
    pub(crate) trace_parent: String,
    /// The body.
    pub(crate) body: Value,
}

/// A receipt over this amount.
pub(crate) fn receipt(amount: &Value) -> Answer {
    let receipt = json!({"charge_id": "ch-1", "amount": amount, "fee_rate": 0.015, "ignored": true});
    Answer::Reply("200 OK", String::new(), receipt.to_string())
}

/// A running service; it lives as long as the test's process.
pub(crate) struct Payments {
    /// Its port on the loopback.
    pub(crate) port: u16,
    service: Service<Request>,
}

impl Payments {
    /// Starts on a free port. `answer` is told the request and how often the same path was asked for before.
    pub(crate) fn answering(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Payments {
        Payments::answering_at(0, answer)
    }

    /// Starts on that port.
    pub(crate) fn answering_at(port: u16, answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Payments {
        let earlier = |kept: &[Request], request: &Request| kept.iter().filter(|other| other.what == request.what).count();
        let service = Service::start(port, Manner { read, earlier }, answer);
        Payments { port: service.port, service }
    }

    /// A service that charges whatever it is asked to.
    pub(crate) fn willing() -> Payments {
        Payments::answering(|request, _| receipt(&request.body["amount"]))
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.service.requests()
    }

    /// What it was asked so far under a path.
    pub(crate) fn requests_for(&self, what: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.what == what).collect()
    }
}

fn read(request: request::Request) -> Request {
    Request {
        at: Instant::now(),
        idempotency_key: request.header("idempotency-key"),
        correlation_id: request.header("x-correlation-id"),
        authorization: request.header("authorization"),
        trace_parent: request.header("traceparent"),
        body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
        what: request.what,
    }
}
