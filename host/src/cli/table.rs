//! Aligned columns for a terminal. Nothing in a cell can reach the terminal as a control sequence.

use std::io::{self, IsTerminal, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Rows that are looked at to find the columns' widths; later ones are written as they come, so that a long listing
/// takes bounded memory.
const ROWS_MEASURED: usize = 1000;

/// Columns of the terminal that one cell may take; longer text is cut.
const CELL_COLUMNS_MOST: usize = 100;

/// Whether the reader is a person at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    pub(crate) fn of_stdout() -> Self {
        Style::of(io::stdout().is_terminal())
    }

    pub(crate) fn of_stderr() -> Self {
        Style::of(io::stderr().is_terminal())
    }

    /// `NO_COLOR`, set to anything, turns colours off (no-color.org).
    fn of(terminal: bool) -> Self {
        Style { colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.sequence("1", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.sequence("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.sequence("32", text)
    }

    fn sequence(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Characters that have a terminal show text in another order than it is in (Unicode, annex 9).
const TURNS_TEXT: [char; 9] = ['\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];

/// Text without control characters: whoever wrote an event must not write to the operator's terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let shown = if character.is_control() || TURNS_TEXT.contains(&character) {
                character.escape_default().collect()
            } else {
                vec![character]
            };
            shown.into_iter()
        })
        .collect()
}

/// On which side a column's cells meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Text.
    Left,
    /// Text that other commands take: never cut.
    Whole,
    /// Numbers.
    Right,
}

/// A table that is written while it is filled.
pub(crate) struct Table<'w> {
    out: &'w mut dyn Write,
    style: Style,
    columns: Vec<(String, Side)>,
    widths: Vec<usize>,
    /// Rows that wait for the widths to be known.
    waiting: Vec<Vec<String>>,
    begun: bool,
}

impl<'w> Table<'w> {
    /// A table with these headings, written to `out`.
    pub(crate) fn new(out: &'w mut dyn Write, style: Style, columns: &[(&str, Side)]) -> Self {
        let columns: Vec<(String, Side)> = columns.iter().map(|(heading, side)| ((*heading).to_owned(), *side)).collect();
        let widths = columns.iter().map(|(heading, _)| heading.width()).collect();
        Table { out, style, columns, widths, waiting: Vec::new(), begun: false }
    }

    /// Adds a row of as many cells as there are columns.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) -> io::Result<()> {
        let shown = |(cell, (_, side)): (S, &(String, Side))| {
            let text = visible(cell.as_ref());
            if *side == Side::Whole { text } else { cut(&text) }
        };
        let mut row: Vec<String> = cells.into_iter().zip(&self.columns).map(shown).collect();
        row.resize(self.columns.len(), String::new());
        if self.begun {
            return self.write(&row);
        }
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.width());
        }
        self.waiting.push(row);
        if self.waiting.len() == ROWS_MEASURED { self.begin() } else { Ok(()) }
    }

    /// Writes what is still waiting; a table without rows is its headings.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.begun { Ok(()) } else { self.begin() }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.begun = true;
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| heading.clone()).collect();
        let line = self.line(&headings);
        writeln!(self.out, "{}", self.style.bold(&line))?;
        for row in std::mem::take(&mut self.waiting) {
            self.write(&row)?;
        }
        Ok(())
    }

    fn write(&mut self, row: &[String]) -> io::Result<()> {
        let line = self.line(row);
        writeln!(self.out, "{line}")
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, ((cell, width), (_, side))) in row.iter().zip(&self.widths).zip(&self.columns).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match side {
                Side::Left | Side::Whole => line.extend([cell.as_str(), padding.as_str()]),
                Side::Right => line.extend([padding.as_str(), cell.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn cut(text: &str) -> String {
    if text.width() <= CELL_COLUMNS_MOST {
        return text.to_owned();
    }
    let mut width = 0;
    let kept = text.chars().take_while(|character| {
        width += character.width().unwrap_or(0);
        width < CELL_COLUMNS_MOST
    });
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn plain(columns: &[(&str, Side)], rows: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Style { colour: false }, columns);
        for row in rows {
            table.row(*row).unwrap();
        }
        table.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = plain(
            &[("entity", Side::Left), ("sequence", Side::Right), ("phase", Side::Left)],
            &[&["a", "1", "active"], &["größe", "100", "x"]],
        );
        assert_eq!(text, "entity  sequence  phase\na              1  active\ngröße        100  x\n");
    }

    #[test]
    fn a_cell_cannot_reach_the_terminal() {
        assert_eq!(visible("a\x1b[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(visible("a\u{202e}b"), "a\\u{202e}b");
        assert!(!plain(&[("x", Side::Left)], &[&["\x1b]0;title\x07"]]).contains('\x1b'));
    }

    #[test]
    fn a_long_cell_is_cut_and_many_rows_are_streamed() {
        assert_eq!(cut(&"x".repeat(500)).width(), CELL_COLUMNS_MOST);
        let (key, reason) = ("k".repeat(256), "r".repeat(256));
        let text = plain(&[("key", Side::Whole), ("reason", Side::Left)], &[&[&key, &reason]]);
        assert!(text.contains(&key) && !text.contains(&reason), "what is copied into commands is whole");
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Style { colour: false }, &[("n", Side::Right)]);
        for n in 0..ROWS_MEASURED + 5 {
            table.row([n.to_string()]).unwrap();
            assert!(table.waiting.len() < ROWS_MEASURED);
        }
        table.finish().unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), ROWS_MEASURED + 6);
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(Style { colour: false }.bold("a"), "a");
        assert_eq!(Style { colour: true }.red("a"), "\x1b[31ma\x1b[0m");
    }
}
