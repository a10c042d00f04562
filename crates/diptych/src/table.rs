//! Plain tables for people: columns aligned, figures to the right.

use std::fmt::Write as _;

/// Rows of text under a heading; columns whose cells are all figures stand to the right.
pub fn render(heading: &[&str], rows: &[Vec<String>]) -> String {
    let columns = heading.len();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([heading[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let figures: Vec<bool> = (0..columns)
        .map(|column| {
            rows.iter().all(|row| {
                let cell = row[column].trim_end_matches('%').trim();
                cell.is_empty() || cell == "–" || cell.parse::<f64>().is_ok()
            })
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = widths[column] - cell.chars().count();
            let (before, after) = if figures[column] { (pad, 0) } else { (0, pad) };
            let _ = write!(line, "{:before$}{cell}{:after$}  ", "", "");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&heading.iter().map(ToString::to_string).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_stand_to_the_right() {
        let rows = [vec!["dev".to_owned(), "9".to_owned()], vec!["stable".to_owned(), "10".to_owned()]];
        assert_eq!(super::render(&["model", "wins"], &rows), "model   wins\ndev        9\nstable    10\n");
    }
}
