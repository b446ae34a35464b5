use super::*;

/// `/a/b:read` for the resource, `/a/*:read` for something below it.
pub(super) fn told(needs: &Needs) -> String {
    let told = needs.asked.iter().map(|need| {
        let path: String = need.resource.iter().map(|name| format!("/{name}")).collect();
        let below = match need.reach {
            Reach::Exact => "",
            Reach::Below => "/*",
        };
        format!("{path}{below}:{}", need.permission)
    });
    told.collect::<Vec<_>>().join(" ")
}

fn path(kind: &ServiceKind, method: &str, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let request = ServiceRequest {
        method,
        segments: &segments,
        query: None,
        content_type: None,
        body: RequestBody::Unseen,
    };
    match needs(kind, &request) {
        Ok(needs) => told(&needs),
        Err(unclear) => format!("{unclear:?}"),
    }
}

#[test]
fn access_and_api() {
    let (access, api) = (ServiceKind::Access, ServiceKind::Api);
    for (kind, method, asked, expected) in [
        (&access, "GET", "/", ":access"),
        (&access, "DELETE", "/a/b", ":access"),
        (&api, "GET", "", ":read"),
        (&api, "GET", "/", ":read"),
        (&api, "HEAD", "/R1", "/R1:read"),
        (&api, "GET", "/R1/r2/", "/R1/r2:read"),
        (&api, "POST", "/R1", "/R1:write"),
        (&api, "OPTIONS", "/R1", "/R1:write"),
        (&api, "get", "/R1", "/R1:write"),
        (&api, "", "/R1", "/R1:write"),
        (&api, "GET", "/a%20b+c/%C3%BC", "/a b+c/ü:read"),
        (
            &api,
            "GET",
            "/a//b",
            "Malformed(\"the path has no canonical form\")",
        ),
        (
            &api,
            "GET",
            "/a%FF",
            "Malformed(\"the path has no canonical form\")",
        ),
    ] {
        assert_eq!(path(kind, method, asked), expected, "{method} {asked}");
    }
}

#[test]
fn names_of_permissions() {
    for permission in Permission::all() {
        assert_eq!(permission.as_str().parse(), Ok(permission));
    }
    for wrong in ["", "Read", "get", "read-match"] {
        assert!(wrong.parse::<Permission>().is_err(), "{wrong}");
    }
}
