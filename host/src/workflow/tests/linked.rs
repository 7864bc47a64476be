//! Workflows that deliver to each other.

use super::super::link;
use super::{Folder, MANIFEST, loaded, refused};

fn deliver_to(workflow: &str, input: &str) -> String {
    MANIFEST.replace("input = \"scanned\"", &format!("workflow = \"{workflow}\"\ninput = \"{input}\""))
}

fn other() -> String {
    MANIFEST.replace("name = \"parcels\"", "name = \"depot\"")
}

#[test]
fn a_delivery_to_another_workflow_is_checked_when_both_are_known() {
    let folder = Folder::new();
    let depot = loaded(folder.load(&other()));
    for (workflow, input, expected) in [
        ("depot", "scanned", None),
        ("depott", "scanned", Some(("deliver-workflow-unknown", "did you mean `depot`?"))),
        ("depot", "scannd", Some(("deliver-input-unknown", "did you mean `scanned`?"))),
        ("depot", "packed", Some(("deliver-shape", "same name and type"))),
    ] {
        let parcels = loaded(folder.load(&deliver_to(workflow, input)));
        let findings = link([&parcels, &depot]);
        let found: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, expected.map(|(code, _)| code).into_iter().collect::<Vec<_>>(), "{workflow} {input}");
        if let Some((_, help)) = expected {
            assert!(findings[0].help.contains(help), "{}", findings[0]);
            assert!(findings[0].place.starts_with("parcels: intents.forward."), "{}", findings[0]);
        }
    }
}

#[test]
fn a_delivery_needs_the_same_store() {
    let folder = Folder::new();
    let parcels = loaded(folder.load(&deliver_to("depot", "scanned")));
    let depot = loaded(folder.load(&other().replace("parcels.db", "depot.db")));
    let codes: Vec<&str> = link([&parcels, &depot]).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["deliver-store"]);
}

#[test]
fn two_workflows_have_two_names() {
    let folder = Folder::new();
    let (one, two) = (loaded(folder.load(MANIFEST)), loaded(folder.load(MANIFEST)));
    let codes: Vec<&str> = link([&one, &two]).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["workflow-duplicate"]);
}

#[test]
fn a_delivery_within_the_workflow_is_checked_at_once() {
    let findings = refused(Folder::new().load(&deliver_to("parcels", "packed")));
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["deliver-shape"], "{findings:?}");
    assert!(findings[0].cause.contains("`weight: u32`"), "{}", findings[0]);
}
