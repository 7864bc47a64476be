//! Findings, for people and for programs.

use std::io::{self, Write};

use purefold_wit::Finding;
use serde::Serialize;

use super::table::{Style, visible};

/// The page that explains a code, relative to the project's root.
fn page(code: &str) -> String {
    format!("docs/errors/{code}.md")
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    code: &'a str,
    place: &'a str,
    cause: &'a str,
    help: &'a str,
    page: String,
}

/// One JSON object for each finding.
pub(crate) fn json(out: &mut dyn Write, file: &str, findings: &[Finding]) -> io::Result<()> {
    for Finding { code, place, cause, help } in findings {
        json_line(out, &Line { file, code, place, cause, help, page: page(code) })?;
    }
    Ok(())
}

/// A line of results on standard output.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Any value as one line of JSON.
pub(crate) fn json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// The findings under the name of what was checked.
pub(crate) fn text(out: &mut dyn Write, style: Style, file: &str, findings: &[Finding]) -> io::Result<()> {
    let count = match findings.len() {
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    writeln!(out, "{}: {count}", style.bold(&visible(file)))?;
    for finding in findings {
        writeln!(out)?;
        writeln!(out, "  {}  at {}", style.red(finding.code), visible(&finding.place))?;
        writeln!(out, "    {}", visible(&finding.cause))?;
        writeln!(out, "    help: {}", visible(&finding.help))?;
        writeln!(out, "    see {}", page(finding.code))?;
    }
    Ok(())
}

/// Tells on standard error why a command cannot begin.
pub(crate) fn refuse(file: &str, findings: &[Finding]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    text(&mut err, Style::of_stderr(), file, findings)
}
