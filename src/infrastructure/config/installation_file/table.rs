use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Tables by their names, each from a key to a value.
pub type Lookups = BTreeMap<String, BTreeMap<String, String>>;

/// Everything that is wrong with a file.
pub struct Mistakes<'a> {
    text: &'a str,
    variable: &'a dyn Fn(&str) -> Option<String>,
    found: RefCell<BTreeSet<(usize, String)>>,
}

impl<'a> Mistakes<'a> {
    pub fn new(text: &'a str, variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { text, variable, found: RefCell::default() }
    }

    pub fn add(&self, at: Range<usize>, sentence: impl Into<String>) {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.found.borrow_mut().insert((line, sentence.into()));
    }

    pub fn are_none(&self) -> bool {
        self.found.borrow().is_empty()
    }

    pub fn into_lines(self) -> Vec<String> {
        self.found.into_inner().into_iter().map(|(line, sentence)| format!("line {line}: {sentence}")).collect()
    }

    /// With what its `${NAME}`s stand for.
    fn expanded(&self, text: &str, at: &Range<usize>) -> String {
        let (mut expanded, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            expanded.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                self.add(at.clone(), "has a `${` without a `}`");
                return expanded;
            };
            match (self.variable)(name) {
                Some(value) => expanded.push_str(&value),
                None => self.add(at.clone(), format!("the variable `{name}` is not set")),
            }
            rest = behind;
        }
        expanded + rest
    }
}

/// A table that is read member by member; one that is not asked for is a mistake.
pub struct TableReader<'a> {
    table: &'a DeTable<'a>,
    at: Range<usize>,
    pub mistakes: &'a Mistakes<'a>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> TableReader<'a> {
    pub fn new(table: &'a DeTable<'a>, at: Range<usize>, mistakes: &'a Mistakes<'a>) -> Self {
        Self { table, at, mistakes, asked: RefCell::default() }
    }

    pub fn add(&self, sentence: impl Into<String>) {
        self.mistakes.add(self.at.clone(), sentence);
    }

    /// Of a member, or of the table where it is not there.
    pub fn add_at(&self, name: &str, sentence: impl Into<String>) {
        let at = self.value(name).map_or_else(|| self.at.clone(), Spanned::span);
        self.mistakes.add(at, sentence);
    }

    fn value(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    fn text_of(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let Some(text) = value.get_ref().as_str() else {
            self.mistakes.add(value.span(), format!("`{name}` must be a text"));
            return None;
        };
        Some(self.mistakes.expanded(text, &value.span()))
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).and_then(|value| self.text_of(name, value))
    }

    pub fn required_text(&self, name: &str) -> Option<String> {
        if self.value(name).is_none() {
            self.add(format!("`{name}` is required"));
        }
        self.text(name)
    }

    /// One text, or a list of them.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let Some(value) = self.value(name) else { return Vec::new() };
        match value.get_ref().as_array() {
            Some(list) => list.iter().filter_map(|item| self.text_of(name, item)).collect(),
            None => self.text_of(name, value).into_iter().collect(),
        }
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.value(name)?;
        let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
        if number.is_none() {
            self.mistakes.add(value.span(), format!("`{name}` must be a whole number"));
        }
        number
    }

    pub fn table(&self, name: &str) -> Option<TableReader<'a>> {
        let value = self.value(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistakes.add(value.span(), format!("`{name}` must be a table"));
        }
        Some(TableReader::new(table?, value.span(), self.mistakes))
    }

    pub fn tables(&self, name: &str) -> Vec<TableReader<'a>> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.mistakes.add(value.span(), format!("write `[[{name}]]`, once for each"));
            return Vec::new();
        };
        let tables = list.iter().filter_map(|item| {
            let table = item.get_ref().as_table();
            if table.is_none() {
                self.mistakes.add(item.span(), format!("`{name}` must hold tables"));
            }
            Some(TableReader::new(table?, item.span(), self.mistakes))
        });
        tables.collect()
    }

    pub fn names(&self) -> Vec<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Its members that are tables; others are mistakes.
    pub fn entries(&self) -> Vec<(String, TableReader<'a>)> {
        self.names().into_iter().filter_map(|name| Some((name.clone(), self.table(&name)?))).collect()
    }

    /// A member that is not a table, as JSON.
    pub fn constant(&self, name: &str) -> Option<Value> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Value::from(self.mistakes.expanded(text, &value.span()))),
            DeValue::Boolean(flag) => Some(Value::from(*flag)),
            DeValue::Integer(number) => number.as_str().parse::<i64>().ok().map(Value::from),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().map(Value::from),
            DeValue::Table(_) => None,
            _ => {
                self.mistakes
                    .add(value.span(), format!("`{name}` must be a text, a number, true or false, or a table"));
                None
            }
        }
    }

    pub fn is_table(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.get_ref().is_table())
    }

    /// Says which members nobody has asked for.
    pub fn finish(&self) {
        for (key, _) in self.table.iter().filter(|(key, _)| !self.asked.borrow().contains(&**key.get_ref())) {
            self.mistakes.add(key.span(), format!("`{}` is not known here", key.get_ref()));
        }
    }
}
