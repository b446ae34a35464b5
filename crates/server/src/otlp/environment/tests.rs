use opentelemetry::trace::SpanId;

use super::*;

type Variables = &'static [(&'static str, &'static str)];
const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

#[test]
fn traces_are_sent_where_an_endpoint_is_named_and_nothing_says_otherwise() {
    let rows: [(Variables, bool); 9] = [
        (&[], false),
        (&[("OTEL_TRACES_EXPORTER", "otlp")], false),
        (&[ENDPOINT], true),
        (
            &[(
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://127.0.0.1:1/v1/traces",
            )],
            true,
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:1/v1/logs")],
            false,
        ),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], false),
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false),
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "zipkin")], false),
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], false),
    ];
    for (variables, expected) in rows {
        assert_eq!(
            Environment::of(variables).wants_traces(),
            expected,
            "{variables:?}"
        );
    }
}

#[test]
fn the_protocol_is_one_that_we_speak() {
    let rows: [(Variables, Result<Protocol, &str>); 6] = [
        (&[], Ok(Protocol::HttpBinary)),
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], Ok(Protocol::Grpc)),
        (
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
            Ok(Protocol::HttpBinary),
        ),
        (
            &[("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")],
            Ok(Protocol::HttpBinary),
        ),
        (
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            Err("only `grpc` and `http/protobuf` are known"),
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                (
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    "https://collector.example.test:4317",
                ),
            ],
            Err("plain text only"),
        ),
    ];
    for (variables, expected) in rows {
        let protocol = Environment::of(variables).protocol(Signal::Traces);
        match (protocol, expected) {
            (Ok(protocol), Ok(expected)) => assert_eq!(protocol, expected, "{variables:?}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{variables:?}: {error}"),
            (protocol, _) => panic!("{variables:?}: {protocol:?}"),
        }
    }
}

#[test]
fn the_service_has_a_name() {
    let rows: [(Variables, &str); 2] = [
        (&[], "portcullis"),
        // The library reads it from the environment of the process, where it is not.
        (&[("OTEL_RESOURCE_ATTRIBUTES", "a=b")], "portcullis"),
    ];
    for (variables, expected) in rows {
        let resource = Environment::of(variables).resource();
        let name = resource.get(&opentelemetry::Key::from_static_str("service.name"));
        assert_eq!(
            name.map(|name| name.to_string()).as_deref(),
            Some(expected),
            "{variables:?}"
        );
    }
}

/// How many of a trace with a low and one with a high number are taken: of itself, of a caller who sends, and of one who does not.
#[test]
fn samplers_do_what_they_are_called() {
    let traces = [1u64 << 60, 7 << 61].map(|lower| TraceId::from(u128::from(lower)));
    let parent = |is_sampled| Parent {
        trace_id: traces[0],
        span_id: SpanId::from(1u64),
        is_sampled,
    };
    let rows: [(Variables, [usize; 3]); 10] = [
        (&[], [2, 2, 0]),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_always_on")], [2, 2, 0]),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")], [0, 2, 0]),
        (&[("OTEL_TRACES_SAMPLER", "always_on")], [2, 2, 2]),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], [0, 0, 0]),
        (&[("OTEL_TRACES_SAMPLER", "traceidratio")], [2, 2, 2]),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ],
            [1, 1, 1],
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ],
            [1, 2, 0],
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "7"),
            ],
            [2, 2, 2],
        ),
        (&[("OTEL_TRACES_SAMPLER", "sometimes")], [2, 2, 0]),
    ];
    for (variables, expected) in rows {
        let sampler = Environment::of(variables).sampler();
        let parents = [None, Some(parent(true)), Some(parent(false))];
        let taken = parents.map(|parent| {
            let taken = traces
                .iter()
                .filter(|trace| sampler.takes(**trace, parent.as_ref()));
            taken.count()
        });
        assert_eq!(taken, expected, "{variables:?}");
        assert_eq!(sampler.takes_none(), expected == [0, 0, 0], "{variables:?}");
    }
}
