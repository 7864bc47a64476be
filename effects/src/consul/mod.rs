//! What the backends on Consul share: the agent they speak to, and what its answers mean.

mod agent;
mod answer;

pub(crate) use agent::{Agent, Ask};
pub(crate) use answer::Answer;
