//! Spans of decisions, made from their records after the answer: one for the check, one for each step that was measured.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};

use crate::decision_log::{Line, SinkCount};
use crate::otlp::{Environment, Exporter, Exporting, Sampler};

/// The name of the span of a check.
const CHECK: &str = "check";

/// Where a request belongs: the span that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    /// The trace.
    pub(crate) trace_id: TraceId,
    /// The span in it.
    pub(crate) span_id: SpanId,
    /// Whether whoever asked sends the trace.
    pub(crate) is_sampled: bool,
}

/// Where spans go.
pub(crate) struct Traces {
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    pub(crate) exporting: Exporting<SpanData>,
}

impl Parent {
    /// Reads a `traceparent`; `None` if it is none. <https://www.w3.org/TR/trace-context/#traceparent-header>
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &str| part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version, trace, span, flags].map(str::len);
        // Versions to come may have more parts.
        let too_much = version == "00" && parts.next().is_some();
        if lengths != [2, 32, 16, 2]
            || version == "ff"
            || too_much
            || ![version, trace, span, flags].into_iter().all(is_hex)
        {
            return None;
        }
        let parent = Self {
            trace_id: TraceId::from_hex(trace).ok()?,
            span_id: SpanId::from_hex(span).ok()?,
            is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (parent.trace_id != TraceId::INVALID && parent.span_id != SpanId::INVALID).then_some(parent)
    }
}

impl Traces {
    /// As the environment says; `None` if no spans are to be sent.
    ///
    /// # Errors
    /// The settings in the environment cannot be.
    pub(crate) fn start(
        environment: &Environment,
    ) -> Result<Option<(Self, Exporter, Arc<SinkCount>)>, String> {
        let sampler = environment.sampler();
        if !environment.wants_traces() || sampler.takes_none() {
            return Ok(None);
        }
        let count = Arc::new(SinkCount::of("traces"));
        let (exporting, exporter) = Exporting::spans(environment, Arc::clone(&count))?;
        let traces = Self {
            sampler,
            ids: RandomIdGenerator::default(),
            scope: InstrumentationScope::builder("portcullis")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
            exporting,
        };
        Ok(Some((traces, exporter, count)))
    }

    /// The spans of a decision, that of the check first; none if its trace is not sent. A trace that begins here is put into
    /// the line.
    pub(crate) fn spans(&self, line: &mut Line<'_>) -> Vec<SpanData> {
        let parent = line.parent;
        let trace_id = parent.map_or_else(|| self.ids.new_trace_id(), |parent| parent.trace_id);
        if !self.sampler.takes(trace_id, parent.as_ref()) {
            return Vec::new();
        }
        line.trace_id = Some(trace_id.to_string());
        let context = || {
            let span = self.ids.new_span_id();
            SpanContext::new(trace_id, span, TraceFlags::SAMPLED, false, TraceState::default())
        };
        let begun = line.at.checked_sub(line.took).unwrap_or(line.at);
        let check = SpanData {
            span_context: context(),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| parent.span_id),
            parent_span_is_remote: parent.is_some(),
            span_kind: SpanKind::Server,
            name: CHECK.into(),
            start_time: begun,
            end_time: line.at,
            attributes: attributes(line),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match line.reason {
                "internal" | "timeout" | "policy_error" => Status::error(line.reason.to_owned()),
                _ => Status::Unset,
            },
            instrumentation_scope: self.scope.clone(),
        };
        let mut spans = vec![check];
        let (parent, mut from) = (spans[0].span_context.span_id(), begun);
        for (step, took) in &line.timed {
            spans.push(SpanData {
                span_context: context(),
                parent_span_id: parent,
                parent_span_is_remote: false,
                span_kind: SpanKind::Internal,
                name: (*step).to_owned().into(),
                start_time: from,
                end_time: from + *took,
                attributes: Vec::new(),
                status: Status::Unset,
                ..spans[0].clone()
            });
            from += *took;
        }
        spans
    }
}

/// What the span of a check tells.
fn attributes(line: &Line<'_>) -> Vec<KeyValue> {
    let text = |name: &'static str, value: &str| KeyValue::new(name, value.to_owned());
    let policies = line.policies.iter();
    let policies: Vec<StringValue> = policies.map(|policy| policy.to_string().into()).collect();
    let mut all = vec![
        text("portcullis.verdict", line.verdict),
        text("portcullis.reason", line.reason),
        text("portcullis.decision_id", line.decision_id),
        text("portcullis.contract", line.contract),
        text("portcullis.version", line.version),
        KeyValue::new("portcullis.policies", Value::Array(Array::String(policies))),
    ];
    let optional = [
        ("portcullis.route", line.route.as_deref()),
        ("portcullis.token_cache", line.token_cache),
    ];
    all.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some(text(name, value?))),
    );
    let status = line
        .status
        .map(|status| KeyValue::new("portcullis.status", i64::from(status)));
    all.extend(status);
    all
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
