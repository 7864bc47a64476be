//! `purefold new`: a reducer's project that builds, tests and passes the gates.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::Exit;
use super::report;

/// Where the crate that reducers link is had from.
const GUEST_REPOSITORY: &str = "https://github.com/purefold/purefold";

/// The longest name.
const NAME_BYTES_MOST: usize = 64;

/// Names that WIT or Rust keep for themselves.
const KEPT: [&str; 40] = [
    "as",
    "async",
    "await",
    "bool",
    "box",
    "char",
    "const",
    "crate",
    "domain",
    "else",
    "enum",
    "export",
    "flags",
    "fn",
    "func",
    "future",
    "if",
    "impl",
    "import",
    "interface",
    "let",
    "list",
    "loop",
    "match",
    "mod",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "use",
    "variant",
    "with",
    "world",
];

/// The project's files: `NAME` stands for its name, `SNAKE` for that with underscores, `GUEST` for where the guest crate is.
const FILES: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.txt")),
    (".gitignore", include_str!("new/gitignore.txt")),
    ("README.md", include_str!("new/README.md.txt")),
    ("NAME.toml", include_str!("new/manifest.toml.txt")),
    ("events.jsonl", include_str!("new/events.jsonl.txt")),
    ("src/lib.rs", include_str!("new/lib.rs.txt")),
    ("wit/NAME.wit", include_str!("new/contract.wit.txt")),
    ("scenarios/NAME.yaml", include_str!("new/scenarios.yaml.txt")),
];

/// Copied as they are.
const COPIES: [(&str, &str); 2] =
    [("wit/deps/purefold/reducer.wit", purefold_wit::standard::WIT), ("clippy.toml", include_str!("../../../reducers/clippy.toml"))];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The project's name, in kebab case; a folder of that name is made here
    name: String,
    /// The folder of the crate `purefold-guest` in a clone; without it the crate is had from the repository
    #[arg(long, value_name = "FOLDER")]
    guest: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let name = arguments.name.as_str();
    if let Err(wrong) = check(name) {
        eprintln!("error: {name:?} is no name for a project: {wrong}");
        return Ok(Exit::Wrong);
    }
    let guest = match &arguments.guest {
        None => format!("git = \"{GUEST_REPOSITORY}\""),
        Some(folder) => {
            let folder = folder.canonicalize().with_context(|| format!("cannot find the folder {}", folder.display()))?;
            format!("path = {}", toml::Value::from(folder.display().to_string()))
        }
    };
    let folder = Path::new(name);
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            eprintln!("error: there is something called {name} here already; remove it, or choose another name");
            return Ok(Exit::Wrong);
        }
        made => made.with_context(|| format!("cannot make the folder {name}"))?,
    }
    let fill = |text: &str| text.replace("NAME", name).replace("SNAKE", &name.replace('-', "_")).replace("GUEST", &guest);
    for (path, text) in FILES {
        write(&folder.join(fill(path)), &fill(text))?;
    }
    for (path, text) in COPIES {
        write(&folder.join(path), text)?;
    }
    report::line(&format!("made {name}; {name}/README.md has the commands that build, test and run it"))?;
    Ok(Exit::Well)
}

/// A name that WIT, Rust and a manifest all take.
fn check(name: &str) -> Result<(), &'static str> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if name.len() > NAME_BYTES_MOST {
        return Err("it is too long");
    }
    if !name.split('-').all(is_word) {
        return Err("use words of small letters and digits with `-` between them, each beginning with a letter");
    }
    if KEPT.contains(&name) {
        return Err("WIT and Rust keep that word for themselves");
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_everybody_takes() {
        for name in ["a", "loans", "node2", "to-do"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "-", "a-", "2a", "a-2", "Loans", "a_b", "../a", "record", &"a".repeat(65)] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
