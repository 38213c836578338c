//! Log lines as JSON.

use std::fmt::{self, Debug, Write};

use chrono::{SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// One object a line: `timestamp`, `level`, the event's own fields, `target` and, within a span, `span` with the fields and
/// the `name` of the innermost one.
///
/// What `tracing_subscriber::fmt::format::Json` makes of it, flattened and without the list of spans, except that fields of a
/// span keep their order, and that what a record of the `log` crate says about itself is not repeated as fields. That one
/// reads the JSON of a span's fields, and writes it anew, for each event within it and for each field that comes later: with it,
/// logging was a quarter of the instructions of an accept. Here a span's fields are kept as the members of an object, and copied.
#[derive(Clone, Copy)]
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonLines> for JsonLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonLines>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = Members::with_capacity(512);
        line.add("timestamp", &Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true));
        line.add("level", metadata.level().as_str());
        event.record(&mut line);
        line.add("target", metadata.target());
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        if let Some(span) = span {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonLines>>().map_or("", |kept| kept.fields.as_str());
            line.add_object("span", fields, |object| object.add("name", span.name()));
        }
        writer.write_char('{')?;
        writer.write_str(&line.finish()?)?;
        writer.write_str("}\n")
    }
}

impl<'w> FormatFields<'w> for JsonLines {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Members::with_capacity(128);
        fields.record(&mut members);
        writer.write_str(&members.finish()?)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut again = Again { known: &current.fields, found: false };
        fields.record(&mut again);
        let is_again = again.found;
        let mut members = Members { json: current.fields.as_bytes().to_vec(), failed: false };
        fields.record(&mut members);
        let members = members.finish()?;
        current.fields = if is_again { latest(&members).map_err(|_| fmt::Error)? } else { members };
        Ok(())
    }
}

/// Whether a field is recorded that has been recorded before.
struct Again<'k> {
    known: &'k str,
    found: bool,
}

impl Visit for Again<'_> {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        self.found |= self.known.contains(&format!("\"{}\":", name(field)));
    }
}

/// Of members with the same name the last.
fn latest(members: &str) -> serde_json::Result<String> {
    let object: Map<String, Value> = serde_json::from_str(&format!("{{{members}}}"))?;
    let json = serde_json::to_string(&object)?;
    let members = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
    Ok(members.unwrap_or_default().to_owned())
}

/// Members of a JSON object, without its braces.
struct Members {
    json: Vec<u8>,
    failed: bool,
}

impl Members {
    fn with_capacity(bytes: usize) -> Self {
        Self { json: Vec::with_capacity(bytes), failed: false }
    }

    fn add_field<V: Serialize + ?Sized>(&mut self, field: &Field, value: &V) {
        // What a record of the `log` crate says about itself is in the metadata.
        if !field.name().starts_with("log.") {
            self.add(name(field), value);
        }
    }

    fn add<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) {
        self.begin(name);
        self.write(value);
    }

    fn add_object(&mut self, name: &str, members: &str, more: impl FnOnce(&mut Self)) {
        self.begin(name);
        self.json.push(b'{');
        self.json.extend_from_slice(members.as_bytes());
        more(self);
        self.json.push(b'}');
    }

    fn begin(&mut self, name: &str) {
        if !matches!(self.json.last(), None | Some(b'{')) {
            self.json.push(b',');
        }
        self.write(name);
        self.json.push(b':');
    }

    fn write<V: Serialize + ?Sized>(&mut self, value: &V) {
        self.failed |= serde_json::to_writer(&mut self.json, value).is_err();
    }

    fn finish(self) -> Result<String, fmt::Error> {
        if self.failed { Err(fmt::Error) } else { String::from_utf8(self.json).map_err(|_| fmt::Error) }
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add_field(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_field(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_field(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_field(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_field(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add_field(field, &Shown(value));
    }
}

/// `r#type` is `type`.
fn name(field: &Field) -> &'static str {
    field.name().trim_start_matches("r#")
}

/// As text. One that cannot be shown to its end must not cost the line, nor, as serde_json's `collect_str` has it, a panic.
struct Shown<'v>(&'v dyn Debug);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        if write!(text, "{:?}", self.0).is_err() {
            text.push_str("… (its `Debug` failed)");
        }
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;
