//! What `check` tells of components and workflows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::test_reducer as reducer;
use super::*;
use purefold::signing;

const MANIFEST: &str = include_str!("../../workflow/tests/parcels.toml");

struct Folder {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
}

impl Folder {
    fn new() -> Self {
        Folder { folder: tempfile::tempdir().unwrap(), sandbox: Sandbox::new().unwrap() }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn codes(&self, path: &Path) -> Vec<&'static str> {
        let findings = component(&self.sandbox, path).unwrap().err().unwrap_or_default();
        findings.iter().map(|finding| finding.code).collect()
    }
}

#[test]
fn a_file_is_a_component_by_its_first_bytes_or_its_name() {
    let folder = Folder::new();
    for (name, bytes, expected) in
        [("a.wasm", &b"text"[..], true), ("b", b"\0asm\x0d\0\x01\0", true), ("c.toml", b"name = \"c\"", false), ("d", b"", false)]
    {
        assert_eq!(is_component(&folder.write(name, bytes)).unwrap(), expected, "{name}");
    }
    assert!(!is_component(&folder.folder.path().join("absent")).unwrap());
}

#[test]
fn a_component_is_told_with_contract_and_limits() {
    let folder = Folder::new();
    let path = folder.write("parcels.wasm", reducer::component(reducer::PARCELS));
    let summary = component(&folder.sandbox, &path).unwrap().unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(summary.world, "test:parcels/domain@1.0.0");
    assert_eq!(summary.intents, ["write-note", "ask-price", "tell", "forward", "remind", "forget"]);
    let lines = summary.lines();
    assert!(lines.contains(&("imports", "no function".to_owned())), "{lines:?}");
    let json = serde_json::to_value(Subject::Component(Box::new(summary))).unwrap();
    assert_eq!((&json["kind"], &json["function_imports"]), (&"component".into(), &0.into()));
}

#[test]
fn a_component_that_is_wrong_is_told_by_gate_and_contract_together() {
    let folder = Folder::new();
    let wrong = wat::parse_str("(component (import \"log\" (func)) (core module (memory 1 1 shared)))").unwrap();
    assert_eq!(folder.codes(&folder.write("wrong.wasm", wrong)), ["feature-forbidden", "function-import", "reduce-missing"]);
    assert_eq!(folder.codes(&folder.write("text.wasm", "text")), ["not-a-component"]);
    assert_eq!(folder.codes(&folder.folder.path().join("absent.wasm")), ["component-missing"]);
}

#[test]
fn a_workflow_is_told_with_its_routes() {
    let folder = Folder::new();
    folder.write("parcels.wasm", reducer::component(reducer::PARCELS));
    let path = folder.write("parcels.toml", MANIFEST);
    let workflow = workflow(&folder.sandbox, &path).unwrap().unwrap_or_else(|findings| panic!("{findings:?}"));
    let mut out = Vec::new();
    told("parcels.toml", &workflow).tell(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap().replace(&*workflow.component_digest, "DIGEST");
    insta::assert_snapshot!(text, @r"
    parcels.toml: well
    workflow `parcels`, a declared machine, component DIGEST

    event           input
    parcel.packed   packed
    parcel.scanned  scanned

    intent      effect   input that follows  attempts  on exhausted
    write-note  notes    noted                      8  outcome
    ask-price   prices   priced                     3  outcome
    tell        news                                8  hold
    forward     deliver  parcels: scanned
    remind      timer    due
    forget      timer
    ");
}

#[test]
fn a_component_that_nobody_trusted_signed_is_not_run() {
    let folder = Folder::new();
    let bytes = reducer::component(reducer::PARCELS);
    folder.write("parcels.wasm", &bytes);
    let (public, secret) = signing::new_keys(None).unwrap();
    let (_, stranger) = signing::new_keys(None).unwrap();
    let line = public.lines().nth(1).unwrap();
    let manifest = MANIFEST.replace("[reducer]\n", &format!("[reducer]\ntrusted-keys = [\"{line}\"]\n"));
    let path = folder.write("parcels.toml", &manifest);
    let codes = || workflow::load(&path).err().unwrap_or_default().iter().map(|finding| finding.code).collect::<Vec<_>>();
    assert_eq!(codes(), ["signature-missing"]);
    let sign = |secret: &str, bytes: &[u8]| {
        let key = signing::SigningKey::read(secret, || Err("it has none".into())).unwrap();
        folder.write("parcels.wasm.minisig", key.sign(bytes, "").unwrap());
    };
    sign(&stranger, &bytes);
    assert_eq!(codes(), ["signature-wrong"]);
    sign(&secret, b"something else");
    assert_eq!(codes(), ["signature-wrong"]);
    sign(&secret, &bytes);
    assert_eq!(codes(), [""; 0]);
    for (keys, code) in [("[]", "setting-range"), ("[\"RWQ\"]", "setting-type")] {
        folder.write("parcels.toml", MANIFEST.replace("[reducer]\n", &format!("[reducer]\ntrusted-keys = {keys}\n")));
        assert_eq!(codes(), [code]);
    }
}
