use super::*;

fn environment(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn flags_count_more_than_the_environment_and_both_more_than_the_file() {
    let set = environment(&[
        ("PORTCULLIS_ADMIN", "127.0.0.1:2"),
        ("PORTCULLIS_THREADS", ""),
        ("PORTCULLIS_GRACE_SECONDS", "3"),
    ]);
    let overrides = Overrides::of(&[("admin", "127.0.0.1:1".to_owned())], set);
    let mut value = serde_json::json!({ "admin": "127.0.0.1:3", "threads": 2 });
    overrides.put(&mut value);
    assert_eq!(
        value,
        serde_json::json!({ "admin": "127.0.0.1:1", "threads": 2, "grace_seconds": "3" })
    );
    let by: Vec<&By> = overrides.places().map(|(_, by)| by).collect();
    assert_eq!(
        by,
        [
            &By::Flag("--admin".to_owned()),
            &By::Variable("PORTCULLIS_GRACE_SECONDS".to_owned())
        ]
    );
}

#[test]
fn variables_that_nothing_reads_are_problems() {
    let referenced = BTreeSet::from(["PORTCULLIS_MY_HOST".to_owned()]);
    for (name, help) in [
        ("PORTCULLIS_ADMN", Some("did you mean `PORTCULLIS_ADMIN`?")),
        (
            "PORTCULLIS_LISTEN_ENVOYGRPC",
            Some("did you mean `PORTCULLIS_LISTEN_ENVOY_GRPC`?"),
        ),
        ("PORTCULLIS_SOMETHING_ELSE", Some("there are: PORTCULLIS_ADMIN, ")),
        ("PORTCULLIS_LOG", None),
        ("PORTCULLIS_TOKEN", None),
        ("PORTCULLIS_MY_HOST", None),
        ("PATH", None),
        // What Kubernetes sets for services called `portcullis` and `portcullis-admin`.
        ("PORTCULLIS_SERVICE_HOST", None),
        ("PORTCULLIS_SERVICE_PORT", None),
        ("PORTCULLIS_SERVICE_PORT_GRPC", None),
        ("PORTCULLIS_PORT", None),
        ("PORTCULLIS_PORT_9191_TCP", None),
        ("PORTCULLIS_PORT_9191_TCP_ADDR", None),
        ("PORTCULLIS_ADMIN_SERVICE_HOST", None),
        ("PORTCULLIS_ADMIN_PORT_9192_TCP_PROTO", None),
    ] {
        let overrides = Overrides::of(&[], environment(&[(name, "s3cret")]));
        let problems = overrides.unknown(&referenced);
        match (help, problems.as_slice()) {
            (None, []) => {}
            (Some(help), [problem]) => {
                assert!(problem.help.starts_with(help), "{name}: {}", problem.help);
                assert!(!overrides.text().contains("s3cret"), "{name}");
            }
            (_, problems) => panic!("{name}: {problems:?}"),
        }
    }
}
