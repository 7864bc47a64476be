//! Every code that an operator may meet has a page, and every page belongs to a code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::repository::{root, rust_files};

/// Where codes come from.
const SOURCES: &[&str] = &["wit/src", "effects/src", "host/src", "xtask/src"];

/// What stands before a code where one is made.
const MAKERS: &[&str] = &["Finding::new(", "code: "];

/// A page of fewer lines explains nothing.
const PAGE_LINES_LEAST: usize = 4;

#[test]
fn every_code_has_a_page() {
    let pages = pages();
    let missing: Vec<String> = codes()
        .into_iter()
        .filter(|(code, _)| !pages.contains_key(code))
        .map(|(code, path)| format!("docs/errors/{code}.md ({path})"))
        .collect();
    assert!(missing.is_empty(), "codes without a page:\n{}", missing.join("\n"));
}

#[test]
fn every_page_is_about_a_code() {
    let text: String = SOURCES.iter().flat_map(|folder| rust_files(folder)).map(|source| source.text).collect();
    let orphans: Vec<String> =
        pages().into_keys().filter(|page| !text.contains(&format!("\"{page}\"")) && !text.contains(&format!("\"{page}: "))).collect();
    assert!(orphans.is_empty(), "pages of codes that nothing gives: {orphans:?}");
}

#[test]
fn pages_begin_with_their_code_and_say_something() {
    let wrong: Vec<String> = pages()
        .into_iter()
        .filter(|(code, text)| !text.starts_with(&format!("# {code}\n")) || text.lines().count() < PAGE_LINES_LEAST)
        .map(|(code, _)| code)
        .collect();
    assert!(wrong.is_empty(), "pages without their code as the title, or with fewer than {PAGE_LINES_LEAST} lines: {wrong:?}");
}

#[test]
fn codes_are_found_where_they_are_made() {
    let text = "Finding::new(\n    \"no-route\", place, ..)\nFault { code: \"trap\", reason }\nFinding::new(code, \"not-me\")\ncode: \"Not a code\"";
    assert_eq!(codes_in(text), BTreeSet::from(["no-route".to_owned(), "trap".to_owned()]));
}

/// The pages by their code.
fn pages() -> BTreeMap<String, String> {
    let folder = root().join("docs/errors");
    let entries = fs::read_dir(&folder).expect("there are error pages");
    let paths = entries
        .map(|entry| entry.expect("the error pages can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "README"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The codes by the file that makes them.
fn codes() -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for source in SOURCES.iter().flat_map(|folder| rust_files(folder)).filter(|source| !source.is_test()) {
        let text: String = source.lines_without_tests().flat_map(|(_, line)| [line, "\n"]).collect();
        codes.extend(codes_in(&text).into_iter().map(|code| (code, source.path.clone())));
    }
    codes
}

fn codes_in(text: &str) -> BTreeSet<String> {
    let literals =
        MAKERS.iter().flat_map(|maker| text.split(maker).skip(1)).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let is_code = |literal: &&str| {
        !literal.is_empty()
            && literal.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-')
    };
    literals.filter(is_code).map(str::to_owned).collect()
}
