//! Counts in the text formats of Prometheus and OpenMetrics.

use std::fmt::Write;
use std::time::Duration;

use crate::application::events::reporting::event_tally::{BOUNDS, EventTallySnapshot};
use crate::application::operations::report_metrics::Metrics;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own, version 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// None: JSON, also for who takes anything. Prometheus names both types, the newer first.
    pub fn asked_for(accepted: String) -> Option<Self> {
        let mut types = accepted.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        types.find_map(|one| match one.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Some(Some(Self::OpenMetrics)),
            "text/plain" => Some(Some(Self::Text)),
            "application/json" | "*/*" | "application/*" => Some(None),
            _ => None,
        })?
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

struct Page {
    format: Format,
    text: String,
}

pub fn written(format: Format, metrics: &Metrics, resident: u64, repaired: &[(&str, u64)]) -> String {
    let mut page = Page { format, text: String::with_capacity(2_048) };
    let (tally, kept) = (&metrics.tally, &metrics.kept);
    page.counter("correio_messages_received", "Messages that this process accepted.", &[("", tally.received)]);
    page.counter("correio_messages_sent", "Messages that this process delivered.", &[("", tally.sent)]);
    page.counter("correio_messages_failed", "Messages that failed in this process.", &[("", tally.failed)]);
    page.counter("correio_retries", "Tries that this process put off to a later one.", &[("", tally.retries)]);
    page.counter("correio_dead_letters", "Dead letters that this process made.", &[("", tally.dead_letters)]);
    let repaired: Vec<_> = repaired.iter().map(|(what, count)| (format!("{{what=\"{what}\"}}"), *count)).collect();
    let repaired: Vec<_> = repaired.iter().map(|(labels, count)| (labels.as_str(), *count)).collect();
    page.counter("correio_topics_repaired", "Bodies of records that had to be mended.", &repaired);
    page.events(&metrics.events);
    let states = [
        ("{status=\"pending\"}", kept.pending),
        ("{status=\"sent\"}", kept.sent),
        ("{status=\"failed\"}", kept.failed),
        ("{status=\"dlq\"}", kept.dlq),
        ("{status=\"cancelled\"}", kept.cancelled),
    ];
    page.gauge("correio_outbox_messages", "Messages that the installation keeps, of all tenants.", &states);
    let connected = u64::from(metrics.brokers.connected);
    page.gauge("correio_kafka_connected", "Whether a Kafka broker is connected.", &[("", connected)]);
    page.gauge("correio_uptime_seconds", "Since this process started.", &[("", metrics.uptime.as_secs())]);
    page.gauge("process_resident_memory_bytes", "Memory of this process.", &[("", resident)]);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

impl Page {
    /// By the names that the partners who report events know.
    fn events(&mut self, events: &EventTallySnapshot) {
        self.counter("events_received", "Events that this process stored.", &[("", events.received)]);
        self.counter("events_processed", "Events that this process brought to their end.", &[("", events.processed)]);
        self.counter("events_failed", "Events that failed for good in this process.", &[("", events.failed)]);
        let name = "processing_duration_seconds";
        self.declare(name, "histogram", "From an event's receipt to its end in this process.");
        for (bound, within) in BOUNDS.iter().zip(events.within) {
            let seconds = Duration::from_millis(*bound).as_secs_f64();
            let label = format!("{{le=\"{seconds:?}\"}}");
            self.samples(&format!("{name}_bucket"), &[(label.as_str(), within)]);
        }
        self.samples(&format!("{name}_bucket"), &[("{le=\"+Inf\"}", events.ended)]);
        let took = events.took.as_secs_f64();
        let _ = writeln!(self.text, "{name}_sum {took:?}");
        self.samples(&format!("{name}_count"), &[("", events.ended)]);
    }

    /// OpenMetrics names a counter without the end that its samples have.
    fn counter(&mut self, name: &str, help: &str, samples: &[(&str, u64)]) {
        let declared = match self.format {
            Format::Text => format!("{name}_total"),
            Format::OpenMetrics => name.to_owned(),
        };
        self.declare(&declared, "counter", help);
        self.samples(&format!("{name}_total"), samples);
    }

    fn gauge(&mut self, name: &str, help: &str, samples: &[(&str, u64)]) {
        self.declare(name, "gauge", help);
        self.samples(name, samples);
    }

    fn declare(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn samples(&mut self, name: &str, samples: &[(&str, u64)]) {
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_the_names_that_are_known() {
        let mut page = Page { format: Format::OpenMetrics, text: String::new() };
        let within = std::array::from_fn(|place| place as u64);
        let took = Duration::from_millis(2_500);
        page.events(&EventTallySnapshot { received: 4, processed: 3, failed: 1, within, ended: 20, took });
        for line in [
            "# TYPE events_received counter",
            "events_received_total 4",
            "events_processed_total 3",
            "events_failed_total 1",
            "# TYPE processing_duration_seconds histogram",
            "processing_duration_seconds_bucket{le=\"0.005\"} 0",
            "processing_duration_seconds_bucket{le=\"60.0\"} 12",
            "processing_duration_seconds_bucket{le=\"+Inf\"} 20",
            "processing_duration_seconds_sum 2.5",
            "processing_duration_seconds_count 20",
        ] {
            assert!(page.text.lines().any(|written| written == line), "{line}: {}", page.text);
        }
    }

    #[test]
    fn who_takes_anything_gets_json_and_prometheus_its_own() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accepted, format) in [
            ("", None),
            ("*/*", None),
            ("application/json", None),
            ("application/json, text/plain, */*", None),
            ("text/html", None),
            ("text/plain", Some(Format::Text)),
            (prometheus, Some(Format::OpenMetrics)),
        ] {
            assert_eq!(Format::asked_for(accepted.to_owned()), format, "{accepted}");
        }
    }
}
