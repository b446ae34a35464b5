//! What the variables `OTEL_*` say.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::time::Duration;

use opentelemetry::trace::TraceId;
use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::Resource;

use crate::traces::Parent;

/// Looks up a variable.
pub(crate) struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String>;

/// A kind of thing that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

/// Which traces are sent (`OTEL_TRACES_SAMPLER`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// Whether the decision of the caller counts, if there is one.
    asks_parent: bool,
    /// The share of all others.
    share: f64,
}

impl Environment {
    /// That of the process.
    pub(crate) fn of_process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// One in which nothing is said.
    pub(crate) fn none() -> Self {
        Self(Box::new(|_| None))
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &'static [(&'static str, &'static str)]) -> Self {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Self(Box::new(move |name| {
            value(name).map(|(_, value)| (*value).to_owned())
        }))
    }

    /// A variable; an empty one counts as none.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// `OTEL_EXPORTER_OTLP_<signal>_<name>`, or the same for all signals.
    fn of_signal(&self, signal: Signal, name: &str) -> Option<String> {
        let signal = match signal {
            Signal::Traces => "TRACES",
            Signal::Logs => "LOGS",
        };
        self.get(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    /// Whether nothing at all is to be sent.
    pub(crate) fn is_disabled(&self) -> bool {
        self.get("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether spans are to be sent: an endpoint is named, and nothing says otherwise.
    pub(crate) fn wants_traces(&self) -> bool {
        if self.is_disabled() || self.of_signal(Signal::Traces, "ENDPOINT").is_none() {
            return false;
        }
        match self.get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => true,
            Some("none") => false,
            Some(other) => {
                tracing::warn!(
                    "OTEL_TRACES_EXPORTER is {other:?}, and only `otlp` and `none` are known: no traces"
                );
                false
            }
        }
    }

    /// How things are sent.
    pub(super) fn protocol(&self, signal: Signal) -> Result<Protocol, String> {
        let protocol = match self.of_signal(signal, "PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Protocol::HttpBinary,
            Some("grpc") => Protocol::Grpc,
            Some(other) => {
                return Err(format!(
                    "OTEL_EXPORTER_OTLP_PROTOCOL is {other:?}, and only `grpc` and `http/protobuf` are known"
                ));
            }
        };
        let endpoint = self.of_signal(signal, "ENDPOINT").unwrap_or_default();
        if protocol == Protocol::Grpc && endpoint.starts_with("https:") {
            return Err(format!(
                "OTLP over gRPC is sent in plain text only, and the endpoint is {endpoint}; over TLS there is \
                 `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`"
            ));
        }
        Ok(protocol)
    }

    /// How long things gather before they are sent.
    pub(super) fn delay(&self, signal: Signal) -> Duration {
        let (name, usual) = match signal {
            Signal::Traces => ("OTEL_BSP_SCHEDULE_DELAY", 5000),
            Signal::Logs => ("OTEL_BLRP_SCHEDULE_DELAY", 1000),
        };
        let delay = self.get(name).and_then(|delay| delay.parse().ok());
        Duration::from_millis(delay.unwrap_or(usual))
    }

    /// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, which the library reads, with a name of our own where
    /// there is none.
    pub(super) fn resource(&self) -> Resource {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let named = attributes
            .split(',')
            .any(|pair| pair.trim_start().starts_with("service.name="));
        let resource = Resource::builder().with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ));
        match self.get("OTEL_SERVICE_NAME").is_some() || named {
            true => resource.build(),
            false => resource.with_service_name("portcullis").build(),
        }
    }

    /// Which traces are sent.
    pub(crate) fn sampler(&self) -> Sampler {
        let share = || {
            let share = self.get("OTEL_TRACES_SAMPLER_ARG");
            let share = share.and_then(|share| share.parse::<f64>().ok());
            share.filter(|share| (0.0..=1.0).contains(share)).unwrap_or(1.0)
        };
        let name = self.get("OTEL_TRACES_SAMPLER");
        let (asks_parent, share) = match name.as_deref() {
            None | Some("parentbased_always_on") => (true, 1.0),
            Some("parentbased_always_off") => (true, 0.0),
            Some("parentbased_traceidratio") => (true, share()),
            Some("always_on") => (false, 1.0),
            Some("always_off") => (false, 0.0),
            Some("traceidratio") => (false, share()),
            Some(other) => {
                tracing::warn!("OTEL_TRACES_SAMPLER {other:?} is not known: it is `parentbased_always_on`");
                (true, 1.0)
            }
        };
        Sampler { asks_parent, share }
    }
}

impl Sampler {
    /// Whether a trace is sent. The share is taken of the lower half of its id, as others do.
    pub(crate) fn takes(self, trace_id: TraceId, parent: Option<&Parent>) -> bool {
        match parent {
            Some(parent) if self.asks_parent => parent.is_sampled,
            _ => {
                let [_, _, _, _, _, _, _, _, lower @ ..] = trace_id.to_bytes();
                let lot = u64::from_be_bytes(lower) >> 1;
                self.share >= 1.0 || (lot as f64) < self.share * (1u64 << 63) as f64
            }
        }
    }

    /// Whether no trace is ever sent.
    pub(crate) fn takes_none(self) -> bool {
        !self.asks_parent && self.share <= 0.0
    }
}

#[cfg(test)]
mod tests;
