//! What the guide's pages on the author's loop show is what the program prints.
//!
//! A block of `console` is commands and what they print, where `…` stands for lines that are left out. A block whose info string
//! names a file after its language (`yaml scenarios/late.yaml`) is written there first; `+FILE` adds to it.

use std::fs;

use super::Desk;
use crate::program::Done;
use crate::repository::root;

/// Plays a page from its beginning to its end, at the desk.
pub(crate) fn page(name: &str, desk: &Desk) {
    let text = fs::read_to_string(root().join("docs/guide").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut lines = text.lines().zip(1..);
    let mut played = 0;
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
        match info.split_once(' ') {
            Some((_, file)) => match file.strip_prefix('+') {
                Some(file) => desk.write(file, &(desk.read(file) + "\n" + &block.join("\n") + "\n")),
                None => desk.write(file, &(block.join("\n") + "\n")),
            },
            None if info == "console" => {
                played += 1;
                console(desk, &block, &format!("{name}:{number}"));
            }
            None => {}
        }
    }
    assert!(played > 0, "{name} shows nothing");
}

fn console(desk: &Desk, block: &[&str], place: &str) {
    let mut lines = block.iter().peekable();
    while let Some(command) = lines.next() {
        let arguments = command.strip_prefix("$ purefold ").unwrap_or_else(|| panic!("{place}: no command: {command}"));
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(*line);
        }
        let arguments = words(arguments);
        let done: Done = desk.purefold(arguments.iter().map(String::as_str)).output().expect("purefold can be started").into();
        // Whoever looks at a terminal sees both.
        let printed = if done.out.is_empty() { done.err.lines().collect::<Vec<_>>() } else { done.out.lines().collect() };
        assert!(fits(&shown, &printed), "{place}: {command}\nshows\n{}\nand prints\n{}\n{}", shown.join("\n"), done.out, done.err);
    }
}

/// The words of a command line; what stands in single quotes is one.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let quoted = |(index, part): (usize, &str)| if index % 2 == 1 { part.replace(' ', "\0") } else { part.to_owned() };
    let joined: String = parts.map(quoted).collect();
    joined.split_whitespace().map(|word| word.replace('\0', " ")).collect()
}

/// Whether `printed` is what is shown, any number of lines for each `…`.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        (Some((shown, rest)), Some((printed, others))) => shown.trim_end() == printed.trim_end() && fits(rest, others),
        _ => false,
    }
}

#[test]
fn the_page_on_exploring() {
    page("exploring.md", &Desk::new());
}

#[test]
fn the_page_on_scenarios() {
    page("testing.md", &Desk::new());
}
