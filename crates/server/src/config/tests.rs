use decide::problem::Place;
use serde_json::json;

use super::schema;
use super::yaml::Document;

const YAML: &str = r#"# Ein Kommentar mit Umlauten: äöü
listen: { envoy_grpc: 127.0.0.1:9191, "quoted key": 'ein ü', after: x }
routes:
  - path: /a
    hosts: [ä.example, "b, c", d]   # trailing
    on_deny: { status: 418, headers: [[a, "ü"], [b, 2]] }
  - path: /ü/x
    methods:
      - GET
      - POST
empty:
block: |
  one
  two
a/b: { ~x: 1 }
last: end"#;

/// Line, column (both from 1, in characters) and text of what is marked.
fn marked((start, length): (usize, usize)) -> (usize, usize, &'static str) {
    let before = &YAML[..start];
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column, &YAML[start..start + length])
}

#[test]
fn every_value_is_found_where_it_stands() {
    let document = Document::parse("test.yaml", YAML).expect("YAML");
    for (pointer, line, column, text) in [
        (
            "/listen",
            2,
            9,
            "{ envoy_grpc: 127.0.0.1:9191, \"quoted key\": 'ein ü', after: x }",
        ),
        ("/listen/envoy_grpc", 2, 23, "127.0.0.1:9191"),
        ("/listen/quoted key", 2, 53, "'ein ü'"),
        ("/listen/after", 2, 69, "x"),
        ("/routes/0", 4, 5, "path: /a"),
        ("/routes/0/path", 4, 11, "/a"),
        ("/routes/0/hosts", 5, 12, "[ä.example, \"b, c\", d]"),
        ("/routes/0/hosts/0", 5, 13, "ä.example"),
        ("/routes/0/hosts/1", 5, 24, "\"b, c\""),
        ("/routes/0/hosts/2", 5, 32, "d"),
        ("/routes/0/on_deny/status", 6, 24, "418"),
        ("/routes/0/on_deny/headers", 6, 38, "[[a, \"ü\"], [b, 2]]"),
        ("/routes/0/on_deny/headers/0/1", 6, 43, "\"ü\""),
        ("/routes/0/on_deny/headers/1", 6, 49, "[b, 2]"),
        ("/routes/1/path", 7, 11, "/ü/x"),
        ("/routes/1/methods", 9, 7, "- GET"),
        ("/routes/1/methods/1", 10, 9, "POST"),
        ("/a~1b", 15, 6, "{ ~x: 1 }"),
        ("/a~1b/~0x", 15, 12, "1"),
        ("/last", 16, 7, "end"),
        // What is not there is shown as the nearest part around it.
        ("/routes/1/hosts/7", 7, 5, "path: /ü/x"),
        ("/routes/0/on_deny/status/more", 6, 24, "418"),
        (
            "/nowhere",
            2,
            1,
            "listen: { envoy_grpc: 127.0.0.1:9191, \"quoted key\": 'ein ü', after: x }",
        ),
    ] {
        assert_eq!(
            marked(document.locate(pointer)),
            (line, column, text),
            "{pointer}"
        );
    }
}

#[test]
fn every_name_is_found_where_it_stands() {
    let document = Document::parse("test.yaml", YAML).expect("YAML");
    for (pointer, line, column, text) in [
        ("/listen", 2, 1, "listen"),
        ("/listen/quoted key", 2, 39, "\"quoted key\""),
        ("/routes/0/on_deny/headers", 6, 29, "headers"),
        ("/routes/1/methods", 8, 5, "methods"),
        ("/a~1b", 15, 1, "a/b"),
        ("/a~1b/~0x", 15, 8, "~x"),
        // Entries of a list have no name.
        ("/routes/0/hosts/0", 5, 13, "ä.example"),
    ] {
        assert_eq!(
            marked(document.locate_key(pointer)),
            (line, column, text),
            "{pointer}"
        );
    }
}

#[test]
fn the_value_is_what_yaml_says() {
    let value = Document::parse("test.yaml", YAML).expect("YAML").value().clone();
    assert_eq!(value["routes"][0]["hosts"], json!(["ä.example", "b, c", "d"]));
    assert_eq!(
        value["routes"][0]["on_deny"]["headers"],
        json!([["a", "ü"], ["b", 2]])
    );
    assert_eq!(value["block"], "one\ntwo\n");
    assert_eq!(value["empty"], json!(null));
    let words = Document::parse("test.yaml", "[off, yes, true, 1, -1, 1.5, '1', null]").expect("YAML");
    assert_eq!(*words.value(), json!(["off", "yes", true, 1, -1, 1.5, "1", null]));
}

#[test]
fn what_is_no_yaml_is_said_with_its_place() {
    for (text, message, place) in [
        ("a: [1", "this is not YAML", "t.yaml:1:"),
        ("ü: 1\nü: 2", "`ü` is there twice", "t.yaml:2:1"),
        ("a: 1\n  b: 2", "this is not YAML", "t.yaml:2:"),
        ("a: \"x", "this is not YAML", "t.yaml:1:"),
        ("a: *nobody", "this is not YAML", "t.yaml:1:"),
        ("a: [${B}]", "a reference needs quotes: \"${NAME}\"", "t.yaml:1:"),
        ("a: { b: ${B} }", "a reference needs quotes", "t.yaml:1:"),
        ("a: [x, a${B}c]", "a reference needs quotes", "t.yaml:1:"),
    ] {
        let shown = Document::parse("t.yaml", text).expect_err(text).to_string();
        assert!(
            shown.contains(message) && shown.contains(place),
            "{text}:\n{shown}"
        );
        for internal in ["Options", "DuplicateKeyPolicy", " column "] {
            assert!(!shown.contains(internal), "{text}:\n{shown}");
        }
    }
}

#[test]
fn what_the_schema_does_not_allow_is_said_in_words() {
    let valid = || json!({ "policies": { "schema": [], "files": [] } });
    assert_eq!(schema::check(&valid()), []);
    let issuer = |name: &str, value| {
        let mut issuer = json!({ "name": "main", "issuer": "https://id.test", "audiences": ["a"] });
        issuer[name] = value;
        json!([issuer])
    };
    for (key, value, place, message, help) in [
        (
            "isuers",
            json!([]),
            "/isuers",
            "there is no setting `isuers` here",
            "did you mean `issuers`?",
        ),
        (
            "a/b~c",
            json!(1),
            "/a~1b~0c",
            "there is no setting `a/b~c` here",
            "here are known: listen, admin,",
        ),
        (
            "limits",
            json!({ "max_stream": 1 }),
            "/limits/max_stream",
            "there is no setting `max_stream`",
            "did you mean `max_streams`?",
        ),
        (
            "policies",
            json!({ "schema": [] }),
            "/policies",
            "`files` is missing",
            "`files`: Policies in Cedar's syntax.",
        ),
        (
            "threads",
            json!("many"),
            "/threads",
            "this should be a whole number, and is text",
            "Threads that answer.",
        ),
        (
            "threads",
            json!(-1),
            "/threads",
            "-1 is less than the minimum of 0",
            "Threads that answer.",
        ),
        (
            "trusted_hops",
            json!(256),
            "/trusted_hops",
            "256 is greater than the maximum of 255",
            "How many proxies",
        ),
        (
            "routes",
            json!({}),
            "/routes",
            "this should be a list, and is a group of settings",
            "What can be asked for.",
        ),
        (
            "admin",
            json!("localhost:1"),
            "/admin",
            "\"localhost:1\" is no address to listen on",
            "names are not looked up",
        ),
        (
            "decision_log",
            json!("sdtout"),
            "/decision_log",
            "\"sdtout\" is not one of the known values",
            "did you mean `stdout`? Known are `stdout`, `stderr`, `otlp`, `off`",
        ),
        (
            "decision_log",
            json!({ "fil": "x" }),
            "/decision_log/fil",
            "there is no setting `fil` here",
            "did you mean `file`?",
        ),
        (
            "cors_preflight",
            json!(true),
            "/cors_preflight",
            "true is not one of the known values",
            "known are `deny`, `allow`",
        ),
        (
            "client_certificates",
            json!({ "trust_domains": ["cluster.local"] }),
            "/client_certificates",
            "`name` is missing",
            "The short name in ids",
        ),
        (
            "issuers",
            issuer("algorithms", json!(["none"])),
            "/issuers/0/algorithms/0",
            "\"none\" is not one of",
            "`EdDSA`",
        ),
        (
            "issuers",
            issuer("trust_roles", json!(1)),
            "/issuers/0/trust_roles",
            "this should be `true` or `false`, and is a number",
            "Whether roles",
        ),
    ] {
        let mut config = valid();
        config[key] = value.clone();
        let problems = schema::check(&config);
        let [problem] = problems.as_slice() else {
            panic!("{key}: {value}: {problems:#?}");
        };
        let (Place::Setting(pointer) | Place::Name(pointer)) = &problem.at else {
            panic!("{problem:?}");
        };
        assert_eq!(pointer, place, "{key}: {value}");
        assert!(
            problem.message.contains(message),
            "{key}: {value}: {}",
            problem.message
        );
        assert!(problem.help.contains(help), "{key}: {value}: {}", problem.help);
    }
}

#[test]
fn an_unknown_setting_hides_nothing_else() {
    let text = "policies: { schema: [], files: [] }\ncolour: red\nroutes: [{ path: a, methods: [GET], resource: { type: X } }]";
    let invalid = super::load_with_sources("t.yaml", text, decide::policy::Sources::default());
    let problems: Vec<String> = invalid
        .expect_err("must not load")
        .problems()
        .iter()
        .map(|p| p.message.clone())
        .collect();
    for expected in [
        "there is no setting `colour` here",
        "a path pattern begins with `/`",
        "no schema file declares the entity type `X`",
    ] {
        assert!(
            problems.iter().any(|p| p == expected),
            "{expected}: {problems:#?}"
        );
    }
}

#[test]
fn debug_output_has_no_value_of_a_reference() {
    let mut document = Document::parse("t.yaml", "a: ${A}\nb: { $env: A }").expect("YAML");
    let problems = document.resolve(
        std::path::Path::new(""),
        &|_| Ok("s3cr3t".to_owned()),
        &super::reads::Reader::default(),
    );
    assert_eq!(problems, []);
    assert_eq!(*document.value(), json!({ "a": "s3cr3t", "b": "s3cr3t" }));
    let invalid = super::Invalid::new(
        document,
        decide::policy::Sources::default(),
        vec![decide::problem::Problem::setting("/a", "`s3cr3t` is wrong", "")],
    );
    for printed in [format!("{invalid:?}"), invalid.to_string()] {
        assert!(
            printed.contains("${A}") && !printed.contains("s3cr3t"),
            "{printed}"
        );
    }
}

/// What stands in Backstage's `app-config.yaml`, as it stands there.
const APP_CONFIG: &str = r#"
    backend:
      baseUrl: http://localhost:7007
      listen:
        port: 7007
      csp:
        connect-src: ["'self'", 'http:', 'https:']
      cors:
        origin: http://localhost:3000
        methods: [GET, HEAD, PATCH, POST, PUT, DELETE]
        credentials: true
      database:
        client: better-sqlite3
        connection: ':memory:'
      cache:
        store: memory
      auth:
        dangerouslyDisableDefaultAuthPolicy: false
        keys:
          - secret: ${OLD:-zEdpLX7mLpDEBrMuBYXrR4rTyEFhkkDDXz3ZkVBLu2s=}
        externalAccess:
          # Systems that cannot sign.
          - type: static
            options:
              token: ${CICD_TOKEN:-a58f1e0c7be94f2a8d06}
              subject: cicd-system-completion-events
            # Restrict access to see below
            accessRestrictions:
              - plugin: events
          - type: legacy
            options:
              secret: ${ADMIN_SECRET:-P6mJ5ZyzS9XRXcUk0GyIOgkBWEEyyhFzlVWCnSY1BrM=}
              subject: admin-curl-access
          - type: jwks
            options:
              url: https://example.com/.well-known/jwks.json
              issuer: https://example.com
              algorithm: RS256
              audience:
                - example
                - examples, samples
              subjectPrefix: custom-prefix
              claims:
                repository: [org/one, org/two]
                run_attempt: 1
            accessRestrictions:
              - plugin: catalog
                permission: catalog.entity.read, catalog.entity.refresh
                permissionAttribute:
                  action: [read, update]
      reading:
        allow:
          - host: example.com
"#;

#[test]
fn a_block_of_backstage_is_taken_as_it_is() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/broken");
    let text = |app_config: &str| {
        format!(
            "policies: {{ schema: [house.cedarschema], files: [house.cedar] }}\n\
             routes: [{{ path: /pages, methods: [GET], resource: {{ type: Page }} }}]\n\
             backstage:{app_config}"
        )
    };
    let load = |text: &str| super::load_text("t.yaml", text, std::path::Path::new(folder));
    let loaded = load(&text(APP_CONFIG)).unwrap_or_else(|invalid| panic!("{invalid}"));
    let advice: Vec<_> = loaded
        .advice
        .problems()
        .iter()
        .map(|p| p.message.as_str())
        .collect();
    assert_eq!(
        advice,
        ["`backend.auth.keys` is deprecated in Backstage; its callers are `external:backstage-plugin`"]
    );
    let printed = format!("{:?}", loaded.config);
    for secret in ["zEdpLX7mLpDE", "a58f1e0c7be9", "P6mJ5ZyzS9XR"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    for known in [
        "cicd-system-completion-events",
        "custom-prefix",
        "catalog.entity.refresh",
    ] {
        assert!(printed.contains(known), "{known}: {printed}");
    }

    // Whatever is wrong is in the words of one who knows, and only once.
    for (from, to, place, message) in [
        (
            "externalAccess:",
            "externalAccess: {}",
            "/backstage/backend/auth/externalAccess",
            "this should be a list",
        ),
        (
            "type: static",
            "type: 1",
            "/backstage/backend/auth/externalAccess/0/type",
            "`type` must be text",
        ),
    ] {
        let broken = match from {
            "externalAccess:" => "\n    backend: { auth: { externalAccess: {} } }".to_owned(),
            from => APP_CONFIG.replacen(from, to, 1),
        };
        let invalid = load(&text(&broken)).expect_err(to);
        let problems = invalid
            .problems()
            .iter()
            .filter(|p| p.severity == decide::problem::Severity::Error);
        let problems: Vec<_> = problems.collect();
        let [problem] = problems.as_slice() else {
            panic!("{problems:#?}");
        };
        assert_eq!(problem.at, Place::Setting(place.to_owned()));
        assert!(problem.message.starts_with(message), "{}", problem.message);
    }
}
