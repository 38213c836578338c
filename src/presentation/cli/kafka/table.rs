//! Columns as Kafka's own tools write them.

/// The least width of a column that has names in it.
const NAMES: usize = 15;

/// A column: its title, and its least width.
pub struct Column(pub &'static str, pub usize);

impl Column {
    pub const fn of_names(title: &'static str) -> Self {
        Self(title, NAMES)
    }
}

/// A blank line, the titles, and the rows; columns of names are as wide as their longest, and the last has no width.
pub fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(place, Column(_, least))| {
            let longest = rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max();
            longest.unwrap_or_default().max(*least)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let last = cells.len().saturating_sub(1);
        let padded = cells.iter().zip(&widths).enumerate().map(|(place, (cell, width))| match place == last {
            true => (*cell).to_owned(),
            false => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join(" ")
    };
    let titles = line(columns.iter().map(|Column(title, _)| *title).collect());
    let mut lines = vec![String::new(), titles];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let columns = [Column::of_names("GROUP"), Column("PARTITION", 10), Column("NEW-OFFSET", 0)];
        let rows = [vec!["rest-probe-g-10484".to_owned(), "0".to_owned(), "7".to_owned()]];
        // As Kafka 4.3's own tool writes it.
        let expected = "\nGROUP              PARTITION  NEW-OFFSET\nrest-probe-g-10484 0          7";
        assert_eq!(table(&columns, &rows), expected);
    }
}
