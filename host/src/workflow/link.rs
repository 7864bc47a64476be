//! What can only be checked when all workflows of a host are known: routes from one to another.

use purefold_wit::{Finding, Type, finding};

use super::{RoutePlan, Workflow, deliver};

/// Checks workflows that are to run in one host against each other. Places begin with the workflow's name.
#[must_use]
pub fn link<'a>(workflows: impl IntoIterator<Item = &'a Workflow>) -> Vec<Finding> {
    let workflows: Vec<&Workflow> = workflows.into_iter().collect();
    let mut findings = Vec::new();
    for (index, workflow) in workflows.iter().enumerate() {
        if workflows[..index].iter().any(|earlier| earlier.name == workflow.name) {
            findings.push(Finding::new(
                "workflow-duplicate",
                format!("{}: name", workflow.name),
                format!("two workflows are called `{}`", workflow.name),
                "give each manifest a name of its own",
            ));
        }
        for (case, route) in workflow.contract.intent.cases.iter().zip(&*workflow.routes) {
            let (RoutePlan::Deliver(route), Some(Type::Record(intent))) = (route, &case.payload) else { continue };
            if route.workflow == workflow.name {
                continue;
            }
            let case = case.name.kebab();
            let found = match workflows.iter().find(|other| other.name == route.workflow) {
                None => vec![unknown(case, &route.workflow, &workflows)],
                Some(target) if target.manifest.store.location != workflow.manifest.store.location => vec![Finding::new(
                    "deliver-store",
                    format!("intents.{case}.workflow"),
                    format!("`{}` keeps its journal in another store, a delivery is committed in one transaction", route.workflow),
                    "name the same file, or the same database and schema, under `[store]` in both manifests",
                )],
                Some(target) => deliver::check_target(case, intent, &route.input, &target.contract),
            };
            findings.extend(found.into_iter().map(|found| Finding { place: format!("{}: {}", workflow.name, found.place), ..found }));
        }
    }
    findings
}

fn unknown(case: &str, name: &str, workflows: &[&Workflow]) -> Finding {
    let near = finding::nearest(name, workflows.iter().map(|workflow| &*workflow.name));
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Finding::new(
        "deliver-workflow-unknown",
        format!("intents.{case}.workflow"),
        format!("no workflow `{name}` is among those given"),
        format!("give its manifest on the command line too{near}"),
    )
}
