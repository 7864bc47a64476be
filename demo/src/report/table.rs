//! A table in plain text.

/// Characters of a cell that are shown.
const CELL_MOST: usize = 120;

/// Rows under headings, columns as wide as they must be, numbers to the right.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Prints at most `most` rows and says how many it left out.
    pub(crate) fn print(&self, most: usize) {
        print!("{}", self.text(most));
    }

    fn text(&self, most: usize) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().take(most).filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.headings[column].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let numeric: Vec<bool> =
            (0..widths.len()).map(|column| self.rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell)))).collect();
        let line = |cells: &[&str]| {
            let padded = cells
                .iter()
                .zip(&widths)
                .zip(&numeric)
                .map(|((cell, width), numeric)| if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
            format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        let mut text = line(&self.headings);
        for row in self.rows.iter().take(most) {
            text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if let Some(left) = self.rows.len().checked_sub(most).filter(|left| *left > 0) {
            text += &format!("… and {left} more (--all shows them)\n");
        }
        text
    }
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|character| character.is_ascii_digit())
}

/// A cell that cannot steer the terminal, whatever somebody wrote into an event, and is not too long for it.
fn printable(cell: &str) -> String {
    let mut text: String = cell.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if let Some((end, _)) = text.char_indices().nth(CELL_MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["service", "nodes"]);
        for (service, nodes) in [("onex-effect", "17"), ("onex-compute", "4"), ("x\u{1b}[2J", "1")] {
            table.row([service.to_owned(), nodes.to_owned()]);
        }
        assert_eq!(table.text(2), "service       nodes\nonex-effect      17\nonex-compute      4\n… and 1 more (--all shows them)\n");
        assert!(!table.text(9).contains('\u{1b}'));
    }
}
