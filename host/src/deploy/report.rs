//! What became of a deployment, for people and for programs.

use std::time::Duration;

use purefold_wit::Finding;
use serde::{Deserialize, Serialize, Serializer};

use crate::replay::{MigrationReport, RadiusReport, ShadowReport};

/// Whether a gate was passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was.
    Passed,
    /// It was not: nothing comes into force.
    #[default]
    Refused,
}

/// One gate, and what it said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Its name.
    pub gate: &'static str,
    /// Whether it was passed.
    pub verdict: Verdict,
    /// How long it took; in JSON in milliseconds.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// What is worth telling.
    pub told: Vec<String>,
    /// What is wrong.
    #[serde(serialize_with = "findings")]
    pub findings: Vec<Finding>,
    /// What taking over the states comes to, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationReport>,
    /// What would have been decided otherwise, where history was replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowReport>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The workflow.
    pub workflow: String,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// SHA-256 of the manifest, in hex.
    pub manifest: String,
    /// The gates, up to the first that was not passed.
    pub steps: Vec<Step>,
    /// Whose next step would be another one, where that was asked for in place of the swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<RadiusReport>,
    /// The generation that it has come into force as.
    pub generation: Option<u64>,
    /// Hosts that go on under it.
    pub hosts: Vec<String>,
    /// Hosts that have not taken it up yet.
    pub missing: Vec<String>,
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    place: &'a str,
    cause: &'a str,
    help: &'a str,
}

fn findings<S: Serializer>(findings: &[Finding], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(findings.iter().map(|Finding { code, place, cause, help }| Told { code, place, cause, help }))
}
