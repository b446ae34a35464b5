//! Rows of requests and of what they need.

use super::*;

mod documents;
mod features;
mod geoserver;
mod maps;
mod processes;
mod random;
mod thredds;

/// `/a/b:read` for a resource, `/a/*:read` for something below it, `/a/**:read` for everything; `400 …` and `denied …` for what is unclear.
fn told(needs: &Result<Needs, Unclear>) -> String {
    let needs = match needs {
        Ok(needs) => needs,
        Err(Unclear::Malformed(why)) => return format!("400 {why}"),
        Err(Unclear::Unknown(why)) => return format!("denied {why}"),
    };
    let told = needs.asked.iter().map(|need| {
        let path: String = need.resource.iter().map(|name| format!("/{name}")).collect();
        let below = match need.reach {
            Reach::Exact => "",
            Reach::Below => "/*",
            Reach::Everything => "/**",
        };
        format!("{path}{below}:{}", need.permission)
    });
    told.collect::<Vec<_>>().join(" ")
}

/// Asks with a method and a target, `GET /path?query`.
fn ask(kind: &ServiceKind, asked: &str, content_type: Option<&str>, body: RequestBody<'_>) -> String {
    let (method, target) = asked.split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    told(&needs(
        kind,
        &ServiceRequest {
            method,
            segments: &segments,
            query,
            content_type,
            body,
        },
    ))
}

/// The answer is `expected`, or, if that ends in `…`, begins like it.
fn check(kind: &ServiceKind, asked: &str, expected: &str) {
    same(&ask(kind, asked, None, RequestBody::Unseen), expected, asked);
}

fn check_body(kind: &ServiceKind, asked: &str, body: &str, expected: &str) {
    let got = ask(kind, asked, Some("text/xml"), RequestBody::Whole(body.as_bytes()));
    same(&got, expected, body);
}

fn same(got: &str, expected: &str, of: &str) {
    match expected.strip_suffix('…') {
        Some(begin) => assert!(got.starts_with(begin), "{of}\n  {got}\n  {expected}"),
        None => assert_eq!(got, expected, "{of}"),
    }
}

fn kind(name: &str) -> ServiceKind {
    ServiceKind::read(name, None).unwrap()
}

fn configured(name: &str, configuration: serde_json::Value) -> ServiceKind {
    ServiceKind::read(name, Some(&configuration)).unwrap()
}

#[test]
fn access_and_api() {
    for (service, asked, expected) in [
        ("access", "GET /", ":access"),
        ("access", "DELETE /a/b?request=GetMap", ":access"),
        ("api", "GET ", ":read"),
        ("api", "GET /", ":read"),
        ("api", "HEAD /R1", "/R1:read"),
        ("api", "GET /R1/r2/?a=1&a=2;%zz", "/R1/r2:read"),
        ("api", "POST /R1", "/R1:write"),
        ("api", "OPTIONS /R1", "/R1:write"),
        ("api", "PUT /R1/R2", "/R1/R2:write"),
        ("api", "DELETE /R1", "/R1:write"),
        // Methods are case-sensitive.
        ("api", "get /R1", "/R1:write"),
        ("api", " /R1", "/R1:write"),
        ("api", "GET /a%20b+c/%C3%BC", "/a b+c/ü:read"),
        ("api", "GET /a//b", "400 the path…"),
        ("api", "GET /a%FF", "400 the path…"),
        ("api", "GET /a%2", "400 the path…"),
    ] {
        check(&kind(service), asked, expected);
    }
}

#[test]
fn names_of_permissions_and_types() {
    for permission in Permission::all() {
        assert_eq!(permission.as_str().parse(), Ok(permission));
    }
    for wrong in ["", "Read", "get", "read-match"] {
        assert!(wrong.parse::<Permission>().is_err(), "{wrong}");
    }
    for (name, configuration, expected) in [
        (
            "WPS",
            "null",
            "`WPS` is no type of service; there are access, api, geoserver…",
        ),
        ("", "null", "`` is no type…"),
        ("api", "{}", "services of type `api` have no configuration"),
        (
            "thredds",
            "[]",
            "the configuration of a service of type `thredds`: …",
        ),
        (
            "thredds",
            r#"{"skip": "x"}"#,
            "the configuration of a service of type `thredds`: unknown field `skip`…",
        ),
        (
            "thredds",
            r#"{"file_patterns": ["("]}"#,
            "`(` is no regular expression: …",
        ),
        (
            "thredds",
            r#"{"file_patterns": ["a)(b"]}"#,
            "`a)(b` is no regular expression: …",
        ),
        (
            "geoserver",
            r#"{"wms": "yes"}"#,
            "the configuration of a service of type `geoserver`: invalid type…",
        ),
    ] {
        let configuration = serde_json::from_str(configuration).unwrap();
        let wrong = ServiceKind::read(name, Some(&configuration)).unwrap_err();
        same(&wrong.concat(), expected, name);
    }
    let both = serde_json::json!({"file_patterns": ["("], "data_type": {"prefixes": ["["]}});
    assert_eq!(ServiceKind::read("thredds", Some(&both)).unwrap_err().len(), 2);
}
