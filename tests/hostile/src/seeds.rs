//! What mutations start from: the repository's own good and bad inputs.

use std::path::{Path, PathBuf};

use crate::Target;
use crate::mutate::MOST_BYTES;

/// Lines of a file that are taken as seeds.
const MOST_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The seeds of `target`.
///
/// # Panics
/// Where the repository's files are not where they should be.
#[must_use]
pub fn seeds(target: Target) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        Target::Codec => Vec::new(),
        Target::Event => lines("demo/events.jsonl"),
        Target::Manifest => {
            let mut manifests = vec![file("reducers/registration/registration.toml"), file("reducers/orders/orders.toml")];
            manifests.extend(folder("reducers/fixtures/manifests", "toml"));
            manifests
        }
        Target::Component => components(),
    };
    let own = root().join("tests/hostile/seeds").join(target.name());
    if own.is_dir() {
        seeds.extend(listed(&own).iter().map(|path| read(path)));
    }
    // Of a longer one every mutant would be cut off, and be refused for that alone.
    seeds.retain(|seed| seed.len() <= MOST_BYTES);
    assert!(!seeds.is_empty(), "{} has seeds", target.name());
    seeds
}

/// Components as text, and the built ones where they are there.
fn components() -> Vec<Vec<u8>> {
    let text = folder("reducers/fixtures/components", "wat");
    let mut components: Vec<Vec<u8>> =
        text.iter().map(|text| wat::parse_bytes(text).expect("a fixture is WebAssembly").into_owned()).collect();
    for built in ["target/fixtures", "target/reducers"] {
        if root().join(built).is_dir() {
            components.extend(folder(built, "wasm"));
        }
    }
    components
}

fn lines(path: &str) -> Vec<Vec<u8>> {
    file(path).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(MOST_LINES).map(<[u8]>::to_vec).collect()
}

fn folder(path: &str, extension: &str) -> Vec<Vec<u8>> {
    let files = listed(&root().join(path));
    files.iter().filter(|path| path.extension().is_some_and(|known| known == extension)).map(|path| read(path)).collect()
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn file(path: &str) -> Vec<u8> {
    read(&root().join(path))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
