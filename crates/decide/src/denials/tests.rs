use model::{
    Body, Contract, Decoding, Headers, Host, HttpRequest, NoMetadata, Pairs, Peer, RequestPath, Version,
};
use serde_json::json;

use super::*;
use crate::problem::Place;

fn settings(settings: Value) -> DenialSettings {
    serde_json::from_value(settings).unwrap()
}

/// As Backstage answers.
fn backstage() -> Value {
    json!({
        "texts": {"credential_missing": "Missing credentials"},
        "body": {
            "error": {"name": "{name}", "message": "{text}"},
            "request": {"method": "{method}", "url": "{path}"},
            "response": {"statusCode": "{status}"},
        },
        "names": {"401": "AuthenticationError", "403": "NotAllowedError"},
    })
}

fn denial(status: u16, reason: Reason, caller: Cow<'static, str>) -> Denial {
    Denial {
        status,
        reason,
        caller,
        log: "the whole truth".to_owned(),
        challenge: None,
        redirect: None,
        headers: [].into(),
    }
}

/// The type and text of the body of that denial to somebody who asked for `path`.
fn body(
    denials: &Denials,
    mut denial: Denial,
    method: &str,
    path: &str,
    content_type: &str,
) -> (String, String) {
    let (path, query) = RequestPath::parse_target(path.as_bytes(), Decoding::Raw).unwrap();
    let mut headers = Headers::default();
    headers.push("content-type", content_type.as_bytes());
    let check = Check {
        contract: Contract::EnvoyGrpc,
        target: Target::Http(HttpRequest {
            method,
            scheme: "https",
            host: Host::parse("api.example.test").unwrap(),
            path,
            query,
            headers,
            body: Body::Absent,
        }),
        peer: Peer::default(),
        context_extensions: Pairs::new(),
        metadata: &NoMetadata,
        timeout: None,
        traceparent: None,
        listener: model::ListenerOptions::default(),
    };
    denials.say(&mut denial);
    let decision = Decision::deny(denial, Vec::new(), Version("v".into()));
    let decision = denials.dress(decision, Some(&check));
    let id = decision.id().to_string();
    let model::Reply::Deny { body, headers, .. } = decision.reply(&id) else {
        panic!("a denial");
    };
    let types: Vec<&str> = headers
        .iter()
        .filter(|(name, _)| *name == "content-type")
        .map(|(_, value)| *value)
        .collect();
    (types.concat(), body.replace(&id, "<id>"))
}

#[test]
fn a_denial_looks_as_the_configuration_says() {
    let problem = json!({
        "body": {"type": "about:blank", "title": "{text} ({class}, {status})", "status": "{status}", "instance": "{decision_id}",
                 "list": ["{name}", 1, null, true]},
        "content_type": "application/problem+json",
    });
    let long = format!("/{}", "a".repeat(2000));
    let missing = || denial(401, Reason::CredentialMissing, "a credential is needed".into());
    let said = |text: &str| denial(403, Reason::Forbidden, Cow::Owned(text.to_owned()));
    let json = "application/json";
    for (configured, denial, method, path, content_type, expected) in [
        (
            backstage(),
            missing(),
            "GET",
            "/api/catalog/entities?access_token=secret",
            "",
            (
                json,
                json!({
                    "error": {"name": "AuthenticationError", "message": "Missing credentials"},
                    "request": {"method": "GET", "url": "/api/catalog/entities"},
                    "response": {"statusCode": 401},
                }),
            ),
        ),
        (
            backstage(),
            said("\"quoted\" {text} \\ </script>"),
            "DELETE",
            "/a",
            "text/plain",
            (
                json,
                json!({
                    "error": {"name": "NotAllowedError", "message": "\"quoted\" {text} \\ </script>"},
                    "request": {"method": "DELETE", "url": "/a"},
                    "response": {"statusCode": 403},
                }),
            ),
        ),
        (
            problem,
            missing(),
            "GET",
            "/a",
            "",
            (
                "application/problem+json",
                json!({
                    "type": "about:blank", "title": "a credential is needed (credential_missing, 401)", "status": 401,
                    "instance": "<id>", "list": ["credential_missing", 1, null, true],
                }),
            ),
        ),
        (
            json!({"body": {"path": "{path}"}}),
            missing(),
            "GET",
            &long,
            "",
            (
                json,
                json!({
                    "path": format!("/{}…", "a".repeat(MAX_TEXT_BYTES - 4)),
                }),
            ),
        ),
    ] {
        let denials = compiled(&configured);
        let (kind, text) = body(&denials, denial, method, path, content_type);
        let got: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((kind.as_str(), got), expected);
    }
}

#[test]
fn one_line_where_nothing_else_is_configured_or_wanted() {
    let plain = "text/plain; charset=utf-8";
    let texts = json!({"texts": {"credential_missing": "Missing credentials"}});
    for (configured, content_type, expected) in [
        (json!({}), "", "a credential is needed"),
        (texts, "", "Missing credentials"),
        (backstage(), "application/grpc", "Missing credentials"),
        (backstage(), "Application/gRPC+proto", "Missing credentials"),
    ] {
        let denials = compiled(&configured);
        let missing = denial(401, Reason::CredentialMissing, "a credential is needed".into());
        let got = body(&denials, missing, "POST", "/a", content_type);
        assert_eq!(
            got,
            (plain.to_owned(), expected.to_owned()),
            "{configured} {content_type}"
        );
    }
}

#[test]
fn what_a_route_or_a_policy_says_stands() {
    let denials = compiled(&json!({"texts": {"forbidden": "no"}}));
    for (caller, expected) in [
        (Cow::Borrowed("access denied"), "no"),
        (Cow::Owned("said".to_owned()), "said"),
    ] {
        let mut denial = denial(403, Reason::Forbidden, caller);
        denials.say(&mut denial);
        assert_eq!(denial.caller, expected);
    }
}

#[test]
fn an_unreadable_request_has_a_body_too() {
    let denials = compiled(&backstage());
    let denial = denial(
        400,
        Reason::AmbiguousPath,
        "the path can be read in more than one way".into(),
    );
    let decision = denials.dress(Decision::deny(denial, Vec::new(), Version("v".into())), None);
    let got: Value = serde_json::from_str(&decision.body().unwrap().text).unwrap();
    assert_eq!(got["error"]["name"], "ambiguous_path");
    assert_eq!(got["request"], json!({"method": "", "url": ""}));
}

fn compiled(configured: &Value) -> Denials {
    let mut problems = Vec::new();
    let denials = Denials::new(&settings(configured.clone()), &mut problems);
    assert_eq!(problems, [], "{configured}");
    denials
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    let many = vec!["{text}"; MAX_PLACES + 1];
    for (configured, expected) in [
        (
            json!({"texts": {"credential_mising": "x"}}),
            "/texts/credential_mising: no denial has a reason of the class",
        ),
        (
            json!({"texts": {"permitted": "x"}}),
            "/texts/permitted: no denial",
        ),
        (
            json!({"texts": {"forbidden": "a\nb"}}),
            "/texts/forbidden: this must be one line",
        ),
        (
            json!({"texts": {"forbidden": ""}}),
            "/texts/forbidden: this must be one line",
        ),
        (
            json!({"body": {}, "names": {"200": "x"}}),
            "/names/200: `200` is no status",
        ),
        (
            json!({"body": {}, "names": {"forbidden": "x"}}),
            "/names/forbidden: `forbidden` is no status",
        ),
        (json!({"names": {"403": "x"}}), ": without a `body`"),
        (
            json!({"body": {"a/b": ["{txt}"]}}),
            "/body/a~1b/0: `{txt}`: nothing captures `{txt}`",
        ),
        (
            json!({"body": {"a": "{text"}}),
            "/body/a: `{text`: a `{` without its `}`",
        ),
        (json!({"body": {"a": many}}), "/body: the body is too large"),
        (
            json!({"body": {"a": "x".repeat(MAX_BODY_BYTES)}}),
            "/body: the body is too large",
        ),
        (
            json!({"body": {}, "content_type": "json"}),
            "/content_type: `json` is no media type",
        ),
        (
            json!({"body": {}, "content_type": "application/json\r\nx: y"}),
            "/content_type: ",
        ),
    ] {
        let mut problems = Vec::new();
        Denials::new(&settings(configured.clone()), &mut problems);
        let said: Vec<String> = problems
            .iter()
            .map(|problem| match &problem.at {
                Place::Setting(pointer) => {
                    format!("{}: {}", pointer.trim_start_matches("/denials"), problem.message)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(
            said.len() == 1 && said[0].starts_with(expected),
            "{configured}: {said:?}"
        );
    }
}
