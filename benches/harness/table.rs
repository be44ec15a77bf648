//! One table, written twice: aligned for a terminal, and as Markdown.

#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Columns aligned, the first `left` of them to the left, the others to the right.
    pub fn text(&self, left: usize) -> String {
        let mut out = String::new();
        for row in std::iter::once(&self.head).chain(&self.rows) {
            out.push_str(self.line(row, left, "  ").trim_end());
            out.push('\n');
        }
        out
    }

    pub fn markdown(&self, left: usize) -> String {
        let mut out = format!("| {} |\n", self.line(&self.head, left, " | "));
        let rules: Vec<&str> = (0..self.head.len()).map(|column| if column < left { "---" } else { "--:" }).collect();
        out.push_str(&format!("| {} |\n", rules.join(" | ")));
        for row in &self.rows {
            out.push_str(&format!("| {} |\n", self.line(row, left, " | ")));
        }
        out
    }

    fn line(&self, row: &[String], left: usize, between: &str) -> String {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = self.width(column);
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join(between)
    }

    fn width(&self, column: usize) -> usize {
        let rows = std::iter::once(&self.head).chain(&self.rows);
        rows.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}
