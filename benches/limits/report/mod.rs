//! The table of what was reached, and the same as JSON.

mod lines;

use serde_json::{Value, json};

use crate::arguments::Extent;
use crate::build::Build;
use crate::figures::{Figure, Figures, Query};
use crate::machine;
use crate::statistics::median;
use lines::{Line, Target, lines};

pub struct Report<'a> {
    pub machine: Vec<(&'static str, String)>,
    pub builds: &'a [Build],
    pub extent: &'a Extent,
    pub figures: &'a Figures,
}

/// What was measured of a line, for one build.
#[derive(Clone)]
struct Row {
    line: Line,
    build: &'static str,
    figures: Vec<f64>,
    ratios: Vec<f64>,
    /// Compared with the first build's.
    to_first: Vec<f64>,
}

impl Row {
    /// What the target is for.
    fn judged(&self) -> f64 {
        median(if self.line.against.is_some() { &self.ratios } else { &self.figures })
    }
}

impl Report<'_> {
    /// What was measured, the two builds side by side.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for line in lines() {
            for build in self.builds {
                let row = self.row(&line, build.name);
                if !row.figures.is_empty() && (line.against.is_none() || !row.ratios.is_empty()) {
                    rows.push(row);
                }
            }
            if line.figure == Figure::Large(Query::LAST) {
                rows.extend(worst_of_large(&rows));
            }
        }
        rows
    }

    fn row(&self, line: &Line, build: &'static str) -> Row {
        let against = line.against.map(|(_, against)| (build, against));
        let ratios = against.map(|against| self.figures.ratios((build, line.figure), against)).unwrap_or_default();
        let first = self.builds[0].name;
        let mut to_first = self.figures.ratios((build, line.figure), (first, line.figure));
        // Compared with nothing, everything is infinite.
        to_first.retain(|ratio| ratio.is_finite());
        Row {
            line: line.clone(),
            build,
            figures: self.figures.of(build, line.figure),
            ratios,
            to_first: if build == first { Vec::new() } else { to_first },
        }
    }

    /// With one build or two, for people.
    pub fn table(&self) -> String {
        let is_comparison = self.builds.len() > 1;
        let mut heads = vec!["what", "figure", "min..max", "compared with", "ratio", "at least", "aim", "met?"];
        if is_comparison {
            heads.insert(1, "build");
            heads.insert(4, "b / a");
        }
        let mut cells = vec![heads.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for row in self.rows() {
            cells.push(self.cells(&row, is_comparison));
        }
        let mut text = String::new();
        for (name, value) in &self.machine {
            text += &format!("{name}: {value}\n");
        }
        for build in self.builds {
            text += &format!("build {}: {}\n", build.name, build.path.display());
        }
        let Extent { runs, waiting, rows, small_rows, .. } = self.extent;
        text += &format!("median of {runs}; {waiting} messages waiting; tables of {rows} and {small_rows} rows\n\n");
        text + &aligned(&cells)
    }

    fn cells(&self, row: &Row, is_comparison: bool) -> Vec<String> {
        let mut cells = vec![row.line.what.clone()];
        if is_comparison {
            cells.push(row.build.to_owned());
        }
        cells.push(format!("{} {}", number(median(&row.figures)), row.line.unit).trim().to_owned());
        cells.push(spread(&row.figures));
        if is_comparison {
            let ratio = (!row.to_first.is_empty()).then(|| number(median(&row.to_first)));
            cells.push(ratio.unwrap_or_default());
        }
        let against = row.line.against.map(|(name, figure)| {
            (format!("{name}, {}", number(median(&self.figures.of(row.build, figure)))), number(median(&row.ratios)))
        });
        let (compared, ratio) = against.unwrap_or_default();
        cells.extend([compared, ratio]);
        let target = row.line.target.map(|target| {
            let (sign, asked, hoped) = target.sides();
            [format!("{sign} {asked}"), format!("{sign} {hoped}"), target.verdict(row.judged()).to_owned()]
        });
        cells.extend(target.unwrap_or_default());
        cells
    }

    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows()
            .iter()
            .map(|row| {
                let target = row.line.target.map(Target::sides);
                json!({
                    "what": row.line.what,
                    "build": row.build,
                    "unit": row.line.unit,
                    "figure": median(&row.figures),
                    "figures": row.figures,
                    "against": row.line.against.map(|(name, _)| name),
                    "ratio": row.line.against.map(|_| median(&row.ratios)),
                    "ratios": row.ratios,
                    "toFirstBuild": row.to_first,
                    "limit": target.map(|(sign, asked, _)| format!("{sign} {asked}")),
                    "aim": target.map(|(sign, _, hoped)| format!("{sign} {hoped}")),
                    "met": row.line.target.map(|target| target.verdict(row.judged())),
                })
            })
            .collect();
        let builds: Vec<Value> =
            self.builds.iter().map(|build| json!({ "name": build.name, "path": build.path })).collect();
        json!({ "machine": machine::as_json(&self.machine), "builds": builds, "rows": rows })
    }
}

/// The query that suffers most from a large table, once more.
fn worst_of_large(rows: &[Row]) -> Option<Row> {
    let large = rows.iter().filter(|row| matches!(row.line.figure, Figure::Large(_)));
    let worst = large.max_by(|a, b| a.judged().total_cmp(&b.judged()))?;
    Some(Row { line: Line { what: "the worst of these".to_owned(), ..worst.line.clone() }, ..worst.clone() })
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn spread(values: &[f64]) -> String {
    let (least, most) =
        values.iter().fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(*value), most.max(*value)));
    if values.len() > 1 { format!("{}..{}", number(least), number(most)) } else { String::new() }
}

fn aligned(cells: &[Vec<String>]) -> String {
    let columns = cells[0].len();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in cells.iter().enumerate() {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += &format!("| {} |\n", padded.join(" | "));
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text += &format!("| {} |\n", rules.join(" | "));
        }
    }
    text
}
