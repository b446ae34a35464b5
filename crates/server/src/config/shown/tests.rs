use super::*;
use crate::config::Config;

/// A folder with a configuration that has a bit of everything.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("portcullis-shown-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("secret"), "not to be seen\n").expect("a file");
    folder
}

const FILE: &str = "\
admin: 127.0.0.1:9000
threads: ${CARGO_PKG_VERSION_MAJOR}
policies: { schema: [schema.cedarschema], files: [policies] }
listen:
  http:
    - address: 127.0.0.1:9001
      doors: [{ contract: nginx }]
issuers:
  - name: main
    issuer: https://${CARGO_PKG_NAME}/realms/demo
    audiences: [a]
    jwks_file: keys.json
static_tokens:
  tokens:
    - { token: plainly-in-the-file-0123456789, subject: ci }
introspection:
  - name: opaque
    url: https://id.example.test/introspect
    client_id: us
    client_secret: { $file: secret }
    audiences: [a]
authority:
  issuer: https://gate.example.test
  store: postgres://user:pass@db.example.test/portcullis
";

fn flags() -> Overrides {
    let environment = [("PORTCULLIS_GRACE_SECONDS".to_owned(), "7".to_owned())];
    Overrides::of(&[("listen.envoy_grpc", "127.0.0.1:1".to_owned())], environment)
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let folder = folder("origin");
    let file = folder.join("portcullis.yaml");
    std::fs::write(&file, FILE).expect("a file");
    let shown = Shown::load(&file, &flags()).unwrap_or_else(|invalid| panic!("{invalid}"));
    let text = shown.yaml(true, Path::new("p.yaml"));
    for (line, origin) in [
        ("admin: \"127.0.0.1:9000\"", "p.yaml:1"),
        ("threads: 0", "p.yaml:2, ${CARGO_PKG_VERSION_MAJOR}"),
        ("  envoy_grpc: \"127.0.0.1:1\"", "--listen-envoy-grpc"),
        ("grace_seconds: 7", "PORTCULLIS_GRACE_SECONDS"),
        ("drain_seconds: 10", "default"),
        ("  max_connections: 1024", "default"),
        ("        - contract: nginx", "p.yaml:7"),
        ("          path: /", "default"),
        (
            "    issuer: \"https://${CARGO_PKG_NAME}/realms/demo\"",
            "p.yaml:10, https://${CARGO_PKG_NAME}/realms/demo",
        ),
        ("    - token: \"(hidden)\"", "p.yaml:15"),
        ("    client_secret: { $file: secret }", "p.yaml:20, $file: secret"),
        ("url_override: refuse", "default"),
    ] {
        let found = text
            .lines()
            .find(|found| found.split("  # ").next().map(str::trim_end) == Some(line));
        let found = found.unwrap_or_else(|| panic!("no line {line:?}:\n{text}"));
        assert!(found.ends_with(&format!("# {origin}")), "{found}");
    }
    for secret in ["plainly", "not to be seen", "pass@"] {
        assert!(!text.contains(secret), "{secret}:\n{text}");
        assert!(!shown.json().to_string().contains(secret), "{secret}");
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}

#[test]
fn what_is_shown_is_a_configuration_that_means_the_same() {
    let folder = folder("again");
    let read = |name: &str, text: &str| -> Config {
        let file = folder.join(name);
        std::fs::write(&file, text).expect("a file");
        crate::config::settings(&file, text).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
    };
    for text in [FILE, "policies: { schema: [], files: [] }\n"] {
        // Without what is hidden.
        let text = text.replace(":pass@", "@");
        let before = read("before.yaml", &text);
        let file = folder.join("before.yaml");
        let shown = Shown::load(&file, &Overrides::default()).unwrap_or_else(|invalid| panic!("{invalid}"));
        for origins in [false, true] {
            let again = read("again.yaml", &shown.yaml(origins, &file));
            assert_eq!(format!("{before:#?}"), format!("{again:#?}"));
        }
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}

#[test]
fn parts_of_secrets_are_secrets() {
    let folder = folder("parts");
    let file = folder.join("portcullis.yaml");
    for (written, shown) in [
        ("plainly-s3cret-0123456789", "token: \"(hidden)\""),
        ("'${CARGO_PKG_NAME}'", "token: \"${CARGO_PKG_NAME}\""),
        ("{ $env: CARGO_PKG_NAME }", "token: { $env: CARGO_PKG_NAME }"),
        ("{ $file: secret }", "token: { $file: secret }"),
        ("'s3cret-${CARGO_PKG_NAME}'", "token: \"(hidden)\""),
        ("'${CARGO_PKG_NAME}-s3cret'", "token: \"(hidden)\""),
        (
            "'${PORTCULLIS_NOT_SET:-s3cret-0123456789}'",
            "token: \"(hidden)\"",
        ),
        (
            "'${CARGO_PKG_NAME}s3cret${CARGO_PKG_NAME}'",
            "token: \"(hidden)\"",
        ),
    ] {
        let text = FILE.replace("plainly-in-the-file-0123456789", written);
        let text = text.replace(
            "postgres://user:pass@db.example.test/portcullis",
            "postgres://u:s3cret@${CARGO_PKG_NAME}/db",
        );
        std::fs::write(&file, text).expect("a file");
        let all = Shown::load(&file, &Overrides::default())
            .unwrap_or_else(|invalid| panic!("{written}: {invalid}"));
        let text = all.yaml(true, Path::new("p.yaml"));
        let line = text
            .lines()
            .find(|line| line.contains("- token: "))
            .expect("the line");
        assert!(line.trim_start().starts_with(&format!("- {shown}")), "{line}");
        for text in [
            text.as_str(),
            &all.json().to_string(),
            &all.json_with_origins(&file).to_string(),
        ] {
            assert!(!text.contains("s3cret"), "{written}:\n{text}");
            assert!(text.contains("(hidden)@${CARGO_PKG_NAME}/db"), "{text}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}
