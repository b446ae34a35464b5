//! `Decision` -> `CheckResponse`, read back with the generated types.

use std::sync::Arc;

use model::{HeaderEdits, Reason, RouteEdits};
use prost::Message;
use proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption, QueryParameter};
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use proto::google::protobuf::{ListValue, Struct, Value, value::Kind};

use super::*;
use crate::samples::{allow, deny, named, pairs};
use crate::wire::Fields;

/// The bytes of the answer, and the answer as the proxy reads it.
fn answer(decision: &Decision) -> (Vec<u8>, CheckResponse) {
    let bytes = encode(decision, &[]);
    let response = CheckResponse::decode(&bytes[..]).unwrap();
    // Nothing in it that the definition does not know: written again it is as long, but for the code 0 and the empty
    // values, which prost leaves out (two bytes each).
    let left_out = match &response.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            let headers = ok
                .headers
                .iter()
                .filter(|option| option.header.as_ref().unwrap().value.is_empty());
            let parameters = ok
                .query_parameters_to_set
                .iter()
                .filter(|parameter| parameter.value.is_empty());
            1 + headers.count() + parameters.count()
        }
        Some(HttpResponse::DeniedResponse(_)) | None => 0,
    };
    assert_eq!(bytes.len(), response.encoded_len() + 2 * left_out, "{response:?}");
    (bytes, response)
}

fn ok(decision: &Decision) -> OkHttpResponse {
    match answer(decision).1.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("{other:?}"),
    }
}

fn denied(decision: &Decision) -> DeniedHttpResponse {
    match answer(decision).1.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

fn id(decision: &Decision) -> String {
    decision.id().to_string()
}

fn option(name: &str, value: &str, append: bool, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.into(),
            value: value.into(),
            raw_value: Default::default(),
        }),
        append: Some(append),
        append_action: action.into(),
    }
}

/// The one way to set a header that every Envoy takes for overwriting.
fn set(name: &str, value: &str) -> HeaderValueOption {
    option(name, value, false, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

fn add(name: &str, value: &str) -> HeaderValueOption {
    option(name, value, true, HeaderAppendAction::AppendIfExistsOrAdd)
}

/// The value of `status.code` on the wire; `None` if it is not written.
fn written_code(bytes: &[u8]) -> Option<u64> {
    let status = Fields::of(bytes)
        .map(Result::unwrap)
        .find(|(number, _)| *number == 1)?
        .1
        .bytes()
        .unwrap();
    let code = Fields::of(status)
        .map(Result::unwrap)
        .find(|(number, _)| *number == 1)?
        .1;
    Some(code.varint().unwrap())
}

fn shared(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn boxed(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

#[test]
fn an_allow_sets_overwriting_and_removes() {
    for (sets, removes, removed) in [
        (&[][..], &[][..], &[][..]),
        (
            &[("x-user-id", "main/alice"), ("x-groups", "")],
            &["x-actor"],
            &["x-actor"],
        ),
        (&[("x-user-id", "\u{e9}\"\\,")], &[], &[]),
        (
            &[],
            &["x-user-id", "x-groups", "x-actor"],
            &["x-user-id", "x-groups", "x-actor"],
        ),
        // A proxy removes after it sets.
        (&[("x-user-id", "alice")], &["x-user-id", "x-actor"], &["x-actor"]),
    ] {
        let edits = HeaderEdits::new(named(sets), shared(removes), &Arc::default());
        let decision = allow(edits, RouteEdits::default());
        let (bytes, response) = answer(&decision);
        assert_eq!(written_code(&bytes), Some(0), "an allow is said, not left out");
        assert_eq!(response.status.unwrap().code, 0);

        let ok = ok(&decision);
        let mut expected: Vec<_> = sets.iter().map(|(name, value)| set(name, value)).collect();
        expected.push(set("x-portcullis-decision-id", &id(&decision)));
        assert_eq!(ok.headers, expected);
        assert_eq!(ok.headers_to_remove, removed);
        assert_eq!(
            (ok.response_headers_to_add, ok.query_parameters_to_set),
            (vec![], vec![])
        );
        assert_eq!(ok.query_parameters_to_remove, [""; 0]);
    }
}

#[test]
fn no_name_is_both_set_and_removed() {
    let edits = HeaderEdits::new(
        named(&[("x-a", "1"), ("x-b", "2")]),
        shared(&["x-b", "x-c"]),
        &shared(&["x-a", "x-d"]).into(),
    );
    let ok = ok(&allow(edits, RouteEdits::default()));
    for header in &ok.headers {
        assert!(
            !ok.headers_to_remove
                .contains(&header.header.as_ref().unwrap().key),
            "{header:?}"
        );
    }
    assert_eq!(ok.headers_to_remove, ["x-c", "x-d"]);
}

#[test]
fn the_bytes_of_identity_headers_are_made_once_and_the_same() {
    let edits = HeaderEdits::new(
        named(&[("x-user-id", "alice")]),
        shared(&["x-actor"]),
        &Arc::default(),
    );
    let first = edits.encoded(identity_headers).to_vec();
    let again = edits.encoded(|_| panic!("made twice"));
    assert_eq!(first, again);
    let ok = ok(&allow(edits, RouteEdits::default()));
    assert_eq!(ok.headers.first(), Some(&set("x-user-id", "alice")));
}

#[test]
fn a_route_changes_the_response_and_the_query() {
    let route = RouteEdits::new(
        pairs(&[
            ("x-frame-options", "DENY"),
            ("set-cookie", "a=1"),
            ("x-tier", "gold"),
            ("set-cookie", "b=2"),
        ]),
        pairs(&[("tenant", "a%20b"), ("empty", "")]),
        boxed(&["debug", "trace"]),
    );
    let decision = allow(HeaderEdits::default(), route);
    let parameter = |key: &str, value: &str| QueryParameter {
        key: key.into(),
        value: value.into(),
    };
    let ok = ok(&decision);
    assert_eq!(
        ok.response_headers_to_add,
        [
            set("x-frame-options", "DENY"),
            add("set-cookie", "a=1"),
            set("x-tier", "gold"),
            add("set-cookie", "b=2"),
        ]
    );
    assert_eq!(
        ok.query_parameters_to_set,
        [parameter("tenant", "a%20b"), parameter("empty", "")]
    );
    assert_eq!(ok.query_parameters_to_remove, ["debug", "trace"]);
    assert_eq!(ok.headers, [set("x-portcullis-decision-id", &id(&decision))]);
}

#[test]
fn a_denial_says_so_twice() {
    for (status, reason, code) in [
        (400, Reason::Malformed, 3),
        (401, Reason::CredentialMissing, 16),
        (403, Reason::NoPermit, 7),
        (404, Reason::Forbidden, 5),
        (405, Reason::NoMethod, 7),
        (429, Reason::Forbidden, 8),
    ] {
        let cookies = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-help", "https://help.example.org/?a,b"),
        ];
        let decision = deny(status, reason, &cookies);
        let (bytes, response) = answer(&decision);
        assert_eq!(written_code(&bytes), Some(code), "{status}");
        let rpc = response.status.unwrap();
        assert_eq!(
            (rpc.code, rpc.message.as_str()),
            (i32::try_from(code).unwrap(), reason.as_str())
        );

        let denied = denied(&decision);
        assert_eq!(denied.status.unwrap().code, i32::from(status));
        assert_eq!(denied.body, "you may not");
        let mut expected = vec![
            set("content-type", "text/plain; charset=utf-8"),
            set("cache-control", "no-store"),
            set("x-portcullis-decision-id", &id(&decision)),
        ];
        expected.extend((status == 401).then(|| set("www-authenticate", "Bearer realm=\"test\"")));
        // Envoy drops entries of a denial that append, and keeps all that do not.
        expected.extend(cookies.map(|(name, value)| set(name, value)));
        assert_eq!(denied.headers, expected, "{status}");
    }
}

#[test]
fn every_status_denies() {
    for status in 0..=u16::MAX {
        assert_ne!(code(status), 0, "{status}");
    }
}

#[test]
fn the_proxy_learns_four_things_for_its_log() {
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.into())),
    };
    let list = |names: &[&str]| Value {
        kind: Some(Kind::ListValue(ListValue {
            values: names.iter().map(|name| text(name)).collect(),
        })),
    };
    for (decision, reason, policies) in [
        (
            allow(HeaderEdits::default(), RouteEdits::default()),
            "permitted",
            &["workspace-read", "second"][..],
        ),
        (deny(403, Reason::Forbidden, &[]), "forbidden", &["no-strangers"]),
    ] {
        let expected = Struct {
            fields: [
                ("decision_id".to_owned(), text(&id(&decision))),
                ("reason".to_owned(), text(reason)),
                ("policies".to_owned(), list(policies)),
                ("version".to_owned(), text("v1-abc")),
            ]
            .into(),
        };
        assert_eq!(answer(&decision).1.dynamic_metadata, Some(expected));
        // What is for the log stays with the log.
        let leak = encode(&decision, &[])
            .windows(9)
            .any(|bytes| bytes == b"the whole");
        assert!(!leak, "{reason}");
    }
}

#[test]
fn a_browser_is_sent_to_its_login() {
    let decision = crate::samples::deny_with_login();
    let code = answer(&decision).1.status.map(|status| status.code);
    assert_eq!(code, Some(16));
    let denied = denied(&decision);
    assert_eq!(denied.status.map(|status| status.code), Some(302));
    let headers = denied.headers.into_iter().filter_map(|option| option.header);
    let location: Vec<String> = headers
        .filter(|header| header.key == "location")
        .map(|header| header.value)
        .collect();
    assert_eq!(location, ["https://login.test/?rd=x"]);
}
