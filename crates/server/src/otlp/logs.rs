//! A decision record as a log record of OpenTelemetry: its body is the object of the JSON line.

use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::TraceFlags;
use opentelemetry::{InstrumentationScope, Key, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use serde_json::Value;

use crate::decision_log::Line;

/// The name that log records have.
const EVENT: &str = "portcullis.decision";

/// Makes log records.
#[derive(Debug)]
pub(crate) struct LogRecords(SdkLogger);

impl LogRecords {
    /// Makes of each line a record.
    pub(crate) fn new() -> Self {
        Self(SdkLoggerProvider::builder().build().logger("portcullis"))
    }

    /// The record of a line; `span` is the span of this decision, if one is sent.
    pub(crate) fn of(&self, line: &Line<'_>, span: Option<SpanId>) -> SdkLogRecord {
        let mut record = self.0.create_log_record();
        record.set_event_name(EVENT);
        record.set_timestamp(line.at);
        record.set_observed_timestamp(SystemTime::now());
        let (severity, text) = match line.verdict {
            "allow" => (Severity::Info, "INFO"),
            _ => (Severity::Warn, "WARN"),
        };
        record.set_severity_number(severity);
        record.set_severity_text(text);
        if let Ok(value) = serde_json::to_value(line) {
            record.set_body(any(value));
        }
        let parent = line.parent.as_ref();
        if let Some(trace) = line.trace()
            && let Some(span) = span.or(parent.map(|parent| parent.span_id))
        {
            let sampled = parent.is_none_or(|parent| parent.is_sampled);
            let flags = if sampled {
                TraceFlags::SAMPLED
            } else {
                TraceFlags::default()
            };
            record.set_trace_context(trace, span, Some(flags));
        }
        record
    }
}

/// Sends records.
pub(super) async fn export(exporter: &impl LogExporter, records: &[SdkLogRecord]) -> OTelSdkResult {
    let scope = InstrumentationScope::builder("portcullis")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    let records: Vec<_> = records.iter().map(|record| (record, &scope)).collect();
    exporter.export(LogBatch::new(&records)).await
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Null => AnyValue::String("".into()),
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AnyValue::Int(number),
            None => AnyValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AnyValue::String(text.into()),
        Value::Array(values) => AnyValue::ListAny(Box::new(values.into_iter().map(any).collect())),
        Value::Object(members) => {
            let members = members
                .into_iter()
                .map(|(name, value)| (Key::from(name), any(value)));
            AnyValue::Map(Box::new(members.collect::<HashMap<_, _>>()))
        }
    }
}
