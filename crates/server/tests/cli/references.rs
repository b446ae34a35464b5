//! Settings from the environment and from files: they count, and nothing says what they are.

use std::path::PathBuf;

use crate::{Ran, portcullis, root};

const TYPE: &str = "Hush4711";

/// A configuration whose entity type is a secret, in a folder of its own.
fn config(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(folder.join("run")).expect("the folder");
    let types = root().join("policies/default/schema.cedarschema");
    let types = std::fs::read_to_string(types).expect("the default types") + "\nentity Hush4711;\n";
    for (file, text) in [
        (
            "portcullis.yaml",
            r#"policies: { schema: [types.cedarschema], files: ["${POLICIES:-empty.cedar}"] }
admin: ${ADMIN:-127.0.0.1:0}
threads: ${THREADS}
issuers:
  - name: main
    issuer: https://${HOST}/realms/demo
    audiences: [{ $file: run/audience }]
    trust_roles: { $include: run/more.yaml#issuer.trust_roles }
routes:
  - path: /pages/{rest..}
    methods: [GET]
    resource: { type: { $env: TYPE } }
"#,
        ),
        ("types.cedarschema", &types),
        ("empty.cedar", ""),
        ("run/audience", "whisper-audience\n"),
        ("run/more.yaml", "issuer: { trust_roles: true }\n"),
    ] {
        std::fs::write(folder.join(file), text).expect("a file");
    }
    folder.join("portcullis.yaml")
}

fn with(words: &[&str], name: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = portcullis(words);
    command.arg("--config").arg(config(name));
    command.envs([("THREADS", "2"), ("HOST", "id.whisper.test"), ("TYPE", TYPE)]);
    command.envs(variables.iter().copied());
    Ran::of(&command.output().expect("the binary starts"))
}

#[test]
fn values_of_the_environment_and_of_files_count() {
    let ran = with(&["validate"], "references-valid", &[]).expect(0);
    assert!(ran.out.contains(TYPE), "{}", ran.out);
    assert!(!ran.out.contains("whisper"), "{}", ran.out);
    // Each of them changes the rules.
    let version = |ran: &Ran| {
        ran.out
            .split_once("version: ")
            .map(|(_, version)| version.to_owned())
    };
    let other = with(&["validate"], "references-other", &[("HOST", "id2.whisper.test")]).expect(0);
    assert!(version(&ran).is_some());
    assert_ne!(version(&ran), version(&other));
}

#[test]
fn no_problem_shows_where_a_value_came_from_elsewhere() {
    for (variables, said) in [
        (
            &[("ADMIN", "whisper:1")][..],
            "\"${ADMIN}\" is no address to listen on",
        ),
        (
            &[("THREADS", "whisper")],
            "this should be a whole number, and is text",
        ),
        (
            &[("THREADS", "-990017")],
            "${THREADS} is less than the minimum of 0",
        ),
        (
            &[("TYPE", "Whisper")],
            "no schema file declares the entity type `$env: TYPE`",
        ),
        (&[("HOST", "whisper whisper")], "the URL"),
        (&[("POLICIES", "whisper.cedar")], "/${POLICIES}: No such file"),
    ] {
        for words in [
            &["validate"][..],
            &["serve"],
            &["check", "GET", "https://a.test/"],
        ] {
            let ran = with(words, "references-problems", variables).expect(4);
            assert!(ran.err.contains(said), "{variables:?}:\n{}", ran.err);
            for secret in ["whisper", "Whisper", "990017"] {
                let shown = format!("{}{}", ran.out, ran.err);
                assert!(!shown.contains(secret), "{variables:?}:\n{shown}");
            }
        }
    }
}
