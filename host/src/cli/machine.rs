//! `purefold machine`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use purefold::workflow::Machine;

use super::exit::Exit;
use super::open;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// One line for each phase
    Text,
    /// A Mermaid state diagram, for Markdown
    Mermaid,
    /// A graph for Graphviz
    Dot,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(workflow) = open::workflow_to_read(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let Some(machine) = &workflow.machine else {
        eprintln!("the workflow `{}` declares no [machine]", workflow.name);
        return Ok(Exit::Negative);
    };
    let drawing = match arguments.format {
        Format::Text => text(machine),
        Format::Mermaid => mermaid(machine),
        Format::Dot => dot(&workflow.name, machine),
    };
    std::io::stdout().lock().write_all(drawing.as_bytes())?;
    Ok(Exit::Well)
}

/// Phases that the machine speaks of: those that begin, end, follow or are followed.
fn spoken_of(machine: &Machine) -> impl Iterator<Item = usize> + '_ {
    (0..machine.phases.len()).filter(|phase| {
        machine.start[*phase]
            || machine.end[*phase]
            || machine.allowed[*phase].contains(&true)
            || machine.allowed.iter().any(|allowed| allowed[*phase])
    })
}

fn transitions(machine: &Machine) -> impl Iterator<Item = (&str, &str)> {
    let name = |phase: usize| machine.phases[phase].as_str();
    spoken_of(machine)
        .flat_map(move |from| (0..machine.phases.len()).filter(move |to| machine.allowed[from][*to]).map(move |to| (name(from), name(to))))
}

fn text(machine: &Machine) -> String {
    let mut text = String::new();
    let width = spoken_of(machine).map(|phase| machine.phases[phase].len()).max().unwrap_or(0);
    for from in spoken_of(machine) {
        let to: Vec<&str> =
            (0..machine.phases.len()).filter(|to| machine.allowed[from][*to]).map(|to| machine.phases[to].as_str()).collect();
        let begins = if machine.start[from] { '>' } else { ' ' };
        let ends = if machine.end[from] { "  (may end)" } else { "" };
        let arrow = if to.is_empty() { "" } else { "  ->  " };
        let line = format!("{begins} {:width$}{arrow}{}{ends}", machine.phases[from], to.join(", "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn mermaid(machine: &Machine) -> String {
    // A hyphen is no part of an id in Mermaid.
    let id = |name: &str| name.replace('-', "_");
    let mut text = String::from("stateDiagram-v2\n");
    for phase in spoken_of(machine) {
        let name = &machine.phases[phase];
        let _ = writeln!(text, "    state \"{name}\" as {}", id(name));
    }
    for phase in spoken_of(machine).filter(|phase| machine.start[*phase]) {
        let _ = writeln!(text, "    [*] --> {}", id(&machine.phases[phase]));
    }
    for (from, to) in transitions(machine) {
        let _ = writeln!(text, "    {} --> {}", id(from), id(to));
    }
    for phase in spoken_of(machine).filter(|phase| machine.end[*phase]) {
        let _ = writeln!(text, "    {} --> [*]", id(&machine.phases[phase]));
    }
    text
}

fn dot(workflow: &str, machine: &Machine) -> String {
    let mut text = format!("digraph \"{workflow}\" {{\n    rankdir=LR;\n    node [shape=box, style=rounded];\n");
    for phase in spoken_of(machine) {
        // A double border for where an entity may end, as automata are drawn.
        let ends = if machine.end[phase] { " [peripheries=2]" } else { "" };
        let _ = writeln!(text, "    \"{}\"{ends};", machine.phases[phase]);
    }
    if machine.start.contains(&true) {
        text.push_str("    start [shape=point, label=\"\"];\n");
    }
    for phase in spoken_of(machine).filter(|phase| machine.start[*phase]) {
        let _ = writeln!(text, "    start -> \"{}\";", machine.phases[phase]);
    }
    for (from, to) in transitions(machine) {
        let _ = writeln!(text, "    \"{from}\" -> \"{to}\";");
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// open → paid or cancelled, paid → open; begins open, ends cancelled; `unused` is not spoken of.
    fn machine() -> Machine {
        Machine {
            field: 0,
            phases: ["open", "un-used", "paid-up", "cancelled"].map(str::to_owned).into(),
            start: vec![true, false, false, false],
            end: vec![false, false, false, true],
            allowed: vec![vec![false, false, true, true], vec![false; 4], vec![true, false, false, false], vec![false; 4]],
        }
    }

    #[test]
    fn text_has_a_line_for_each_phase() {
        insta::assert_snapshot!(text(&machine()), @r"
        > open       ->  paid-up, cancelled
          paid-up    ->  open
          cancelled  (may end)
        ");
    }

    #[test]
    fn mermaid_and_dot_name_what_the_machine_speaks_of() {
        insta::assert_snapshot!(mermaid(&machine()), @r#"
        stateDiagram-v2
            state "open" as open
            state "paid-up" as paid_up
            state "cancelled" as cancelled
            [*] --> open
            open --> paid_up
            open --> cancelled
            paid_up --> open
            cancelled --> [*]
        "#);
        insta::assert_snapshot!(dot("orders", &machine()), @r#"
        digraph "orders" {
            rankdir=LR;
            node [shape=box, style=rounded];
            "open";
            "paid-up";
            "cancelled" [peripheries=2];
            start [shape=point, label=""];
            start -> "open";
            "open" -> "paid-up";
            "open" -> "cancelled";
            "paid-up" -> "open";
        }
        "#);
    }
}
