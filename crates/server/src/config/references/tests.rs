use std::env::VarError;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use decide::problem::{Place, Problem};
use serde_json::{Value, json};

use super::template::{Malformed, Part, parts};
use super::{MAX_FILE_BYTES, Resolved, resolve};

fn environment(name: &str) -> Result<String, VarError> {
    match name {
        "HOST" => Ok("id.example.test".to_owned()),
        "SECRET" => Ok("s3cr3t-${HOST}".to_owned()),
        "LINES" => Ok("one\ntwo\r\n\n".to_owned()),
        "EMPTY" => Ok(String::new()),
        "FOLDER" => Ok("below".to_owned()),
        "a.b" => Ok("dotted".to_owned()),
        "BYTES" => Err(VarError::NotUnicode(OsString::from("bytes"))),
        _ => Err(VarError::NotPresent),
    }
}

/// A folder with the files that the rows name.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portcullis-references-{name}-{}", std::process::id()));
    fs::create_dir_all(folder.join("below")).expect("the folder");
    let large = usize::try_from(MAX_FILE_BYTES).expect("a size");
    for (file, text) in [
        ("password", b"hunter2-${HOST}\r\n\n".to_vec()),
        ("empty", Vec::new()),
        ("bytes", vec![0xff, 0xfe]),
        ("large", vec![b'x'; large + 1]),
        ("largest", vec![b'x'; large]),
        (
            "values.json",
            br#"{"a": {"b": [1, "two"], "c": null}, "top": true}"#.to_vec(),
        ),
        (
            "values.yaml",
            b"host: ${HOST}\nnested: { $include: below/inner.yaml#key }\nmissing: ${NOWHERE}\n".to_vec(),
        ),
        ("below/inner.yaml", b"key: { $file: beside }\n".to_vec()),
        ("below/beside", b"from beside\n".to_vec()),
        ("circle.yaml", b"again: { $include: circle.yaml }\n".to_vec()),
        ("broken.yaml", b"a: 1\nsecret: \"not closed".to_vec()),
    ] {
        fs::write(folder.join(file), text).expect("a file");
    }
    folder
}

fn resolved(value: Value, name: &str) -> Resolved {
    let folder = folder(name);
    let resolved = resolve(value, &folder, &environment, &super::Reader::default());
    fs::remove_dir_all(folder).expect("the folder was there");
    resolved
}

#[test]
fn references_are_replaced() {
    for (before, after) in [
        (
            json!("plain $HOST {rest..} $ {}"),
            json!("plain $HOST {rest..} $ {}"),
        ),
        (json!("${HOST}"), json!("id.example.test")),
        (
            json!("https://${HOST}/${ HOST }?"),
            json!("https://id.example.test/id.example.test?"),
        ),
        (json!("${a.b}"), json!("dotted")),
        (json!("${LINES}"), json!("one\ntwo")),
        // What came from a variable is final.
        (json!("${SECRET}"), json!("s3cr3t-${HOST}")),
        (json!("${EMPTY}"), json!("")),
        (json!("${EMPTY:-a b}"), json!("a b")),
        (
            json!("${NOWHERE:-http://localhost:1}"),
            json!("http://localhost:1"),
        ),
        (json!("${NOWHERE:-}"), json!("")),
        (json!("${HOST:-other}"), json!("id.example.test")),
        (json!("$${HOST}"), json!("${HOST}")),
        (json!("a$${"), json!("a${")),
        (json!("$$${HOST}$"), json!("$${HOST}$")),
        (json!("$${a}${HOST}"), json!("${a}id.example.test")),
        (json!({ "$env": "SECRET" }), json!("s3cr3t-${HOST}")),
        (json!({ "$env": "LINES" }), json!("one\ntwo")),
        (json!({ "$file": "password" }), json!("hunter2-${HOST}")),
        (json!({ "$file": "${FOLDER}/beside" }), json!("from beside")),
        (json!({ "$file": "empty" }), json!("")),
        (json!({ "$include": "values.json#a.b" }), json!([1, "two"])),
        (json!({ "$include": "values.json#a.c" }), json!(null)),
        (json!({ "$include": "values.json#top" }), json!(true)),
        (
            json!({ "$include": "below/inner.yaml" }),
            json!({ "key": "from beside" }),
        ),
        (
            json!({ "$include": "values.yaml#host" }),
            json!("id.example.test"),
        ),
        (json!({ "$include": "values.yaml#nested" }), json!("from beside")),
        // Names stay, and so does everything that is no text.
        (
            json!({ "${HOST}": ["${HOST}", 1, null, { "a/b": true }] }),
            json!({ "${HOST}": ["id.example.test", 1, null, { "a/b": true }] }),
        ),
        (
            json!({ "$schema": "x", "a": 1 }),
            json!({ "$schema": "x", "a": 1 }),
        ),
    ] {
        let Resolved { value, problems, .. } = resolved(before.clone(), "replaced");
        assert_eq!(problems, [], "{before}");
        assert_eq!(value, after, "{before}");
    }
    let largest = resolved(json!({ "$file": "largest" }), "replaced");
    assert_eq!(largest.value.as_str().map(str::len), Some(1024 * 1024));
}

#[test]
fn what_has_no_value_is_a_problem_at_its_place() {
    for (before, message, help) in [
        (
            json!("x${NOWHERE}"),
            "the environment variable `NOWHERE` is not set",
            "`${NOWHERE:-…}`",
        ),
        (
            json!("${A1}${B1}"),
            "`A1` is not set, and the environment variable `B1` is not set",
            "`${B1:-…}`",
        ),
        (
            json!("${BYTES}"),
            "the value of the environment variable `BYTES` is not UTF-8",
            "base64",
        ),
        (
            json!("${BYTES:-x}"),
            "the value of the environment variable `BYTES` is not UTF-8",
            "base64",
        ),
        (json!("${"), "a `${` is not closed", "`$${`"),
        (json!("a ${HOST"), "a `${` is not closed", "`$${`"),
        (json!("${}"), "names no environment variable", "`$${`"),
        (json!("${:-x}"), "names no environment variable", "`$${`"),
        (json!("${a b}"), "is not the name", "`${NAME}`"),
        (json!("${HOST-x}"), "is not the name", "`${NAME:-default}`"),
        (json!("${1A}"), "is not the name", "`${NAME}`"),
        (json!("${A:-${HOST}}"), "there is a `{` within", "`${NAME}`"),
        (
            json!({ "$env": "NOWHERE" }),
            "`NOWHERE` is not set",
            "instead of `$env`",
        ),
        (
            json!({ "$env": "a b" }),
            "`$env` is not followed by the name",
            "digits",
        ),
        (
            json!({ "$env": ["HOST"] }),
            "`$env` is followed by a text",
            "`$env: NAME`",
        ),
        (
            json!({ "$env": "HOST", "more": 1 }),
            "has others beside it",
            "only one",
        ),
        (json!({ "$flie": "x" }), "`$flie` is no reference", "`$file`"),
        (
            json!({ "$file": "nowhere" }),
            "/nowhere: No such file",
            "relative to the folder",
        ),
        (
            json!({ "$file": "below" }),
            "cannot read",
            "relative to the folder",
        ),
        (json!({ "$file": "bytes" }), "/bytes is not UTF-8", "base64"),
        (
            json!({ "$file": "large" }),
            "/large is larger than 1048576 bytes",
            "right file",
        ),
        (
            json!({ "$file": "${NOWHERE}/x" }),
            "`NOWHERE` is not set",
            "set it",
        ),
        (
            json!({ "$include": "nowhere.yaml#a" }),
            "/nowhere.yaml: No such file",
            "relative",
        ),
        (
            json!({ "$include": "values.json#a.x" }),
            "there is no `a.x` in ",
            "after `#`",
        ),
        (
            json!({ "$include": "values.json#top.x" }),
            "there is no `top.x` in ",
            "after `#`",
        ),
        (
            json!({ "$include": "broken.yaml#a" }),
            "/broken.yaml is neither YAML nor JSON (line 2, column ",
            "",
        ),
        (json!({ "$include": "large" }), "/large is larger than", ""),
        (
            json!({ "$include": "values.yaml#missing" }),
            "/values.yaml: the environment variable `NOWHERE` is not set",
            "set it",
        ),
    ] {
        let Resolved { value, problems, .. } = resolved(json!({ "a": [before.clone()] }), "problems");
        let [problem] = problems.as_slice() else {
            panic!("{before}: {problems:?}");
        };
        assert_eq!(problem.at, Place::Setting("/a/0".to_owned()), "{before}");
        assert!(problem.message.contains(message), "{before}: {problem}");
        assert!(problem.help.contains(help), "{before}: {}", problem.help);
        assert!(!problem.message.contains("not closed\""), "{before}: {problem}");
        assert_eq!(value, json!({ "a": [""] }), "{before}");
    }
    let circle = resolved(json!({ "$include": "circle.yaml" }), "problems").problems;
    assert!(
        matches!(circle.as_slice(), [one] if one.message.contains("more than 8 deep")),
        "{circle:?}"
    );
}

#[test]
fn texts_are_taken_apart() {
    let variable = |name, default| Part::Variable { name, default };
    for (text, expected) in [
        ("", Ok(vec![Part::Text("")])),
        (
            "a${B}",
            Ok(vec![Part::Text("a"), variable("B", None), Part::Text("")]),
        ),
        (
            "${B:- c }d",
            Ok(vec![Part::Text(""), variable("B", Some("c")), Part::Text("d")]),
        ),
        (
            "ü${B:-:-}",
            Ok(vec![Part::Text("ü"), variable("B", Some(":-")), Part::Text("")]),
        ),
        (
            "$${B}",
            Ok(vec![Part::Text(""), Part::Text("${"), Part::Text("B}")]),
        ),
        ("${ü}", Err(Malformed::Name)),
        ("${A=1}", Err(Malformed::Name)),
        ("${ }", Err(Malformed::Empty)),
        ("${A} ${B", Err(Malformed::Open)),
        ("${${A}}", Err(Malformed::Brace)),
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn no_message_shows_what_came_from_a_reference() {
    let value = json!({
        "a": "${SECRET}",
        "host": "https://${HOST}/x",
        "lines": { "$env": "LINES" },
        "file": { "$file": "password" },
        "all": { "$include": "values.json#a" },
        "default": "${NOWHERE:-shown}",
    });
    let Resolved {
        references, problems, ..
    } = resolved(value, "hidden");
    assert_eq!(problems, []);
    for (pointer, message, shown) in [
        (
            "/a",
            "\"s3cr3t-${HOST}\" is no address",
            "\"${SECRET}\" is no address",
        ),
        (
            "/a",
            "xs3cr3t-${HOST}y is no address",
            "x${SECRET}y is no address",
        ),
        // A part of it, quoted.
        ("/a", "`S3CR3T` is no address", "`…` is no address"),
        // Somewhere else, and by the settings around it.
        (
            "/b",
            "another is called `s3cr3t-${HOST}`",
            "another is called `${SECRET}`",
        ),
        (
            "",
            "invalid type: string \"s3cr3t-${HOST}\"",
            "invalid type: string \"${SECRET}\"",
        ),
        (
            "/host",
            "`https://id.example.test/x` is no URL",
            "`https://${HOST}/x` is no URL",
        ),
        (
            "/host",
            "cannot read /etc/id.example.test.pem",
            "cannot read /etc/${HOST}.pem",
        ),
        (
            "/b",
            "the host id.example.test is there twice",
            "the host ${HOST} is there twice",
        ),
        // With line breaks, as JSON and Debug have them.
        (
            "",
            "{\"lines\":\"one\\ntwo\"} is not one",
            "{\"lines\":\"$env: LINES\"} is not one",
        ),
        ("/lines", "one\ntwo", "$env: LINES"),
        ("/file", "`hunter2-${HOST}`", "`$file: password`"),
        (
            "/all/b/1",
            "`two`, two and 1",
            "`$include: values.json#a`, $include: values.json#a and $include: values.json#a (at `b/1` in `$include: values.json#a`)",
        ),
        // What is short or a word of the message is not taken for a value elsewhere.
        ("/b", "two are 1 too many", "two are 1 too many"),
        ("/default", "`shown` is no address", "`shown` is no address"),
        ("/allows", "this is fine", "this is fine"),
    ] {
        let problem = references.hide_in(Problem::setting(pointer, message, message));
        assert_eq!(problem.message, shown, "{pointer}: {message}");
        for secret in ["s3cr3t", "hunter2"] {
            assert!(!problem.help.contains(secret), "{}", problem.help);
        }
    }
    let printed = format!("{references:?}");
    assert!(
        !printed.contains("s3cr3t") && !printed.contains("hunter2"),
        "{printed}"
    );
}

#[test]
fn a_reference_without_a_value_explains_the_problems_at_its_place() {
    let references = resolved(json!({ "a": { "b": "${NOWHERE}", "bc": 1 } }), "explains").references;
    for (pointer, explained, near) in [
        ("/a/b", true, true),
        ("/a/b/c", true, true),
        ("/a", false, true),
        ("", false, true),
        ("/a/bc", false, false),
        ("/c", false, false),
    ] {
        let problem = Problem::setting(pointer, "wrong", "");
        assert_eq!(references.explains(&problem), explained, "{pointer}");
        assert_eq!(references.failed_near(pointer), near, "{pointer}");
        // A name that is wrong is wrong with every value.
        assert!(
            !references.explains(&Problem::name(pointer, "wrong", "")),
            "{pointer}"
        );
    }
}

#[test]
fn what_a_variable_says_becomes_what_the_setting_is() {
    let text = r#"{"policies": {"schema": [], "files": []}, "threads": "T", "grace_seconds": "T", "cors_preflight": "T"}"#;
    for (value, threads) in [
        ("4", json!(4)),
        ("-1", json!(-1)),
        ("4.0", json!("4.0")),
        ("0x4", json!("0x4")),
        ("", json!("")),
        ("four", json!("four")),
        ("true", json!("true")),
    ] {
        let mut config: Value =
            serde_json::from_str(&text.replace("\"T\"", &json!(value).to_string())).expect("JSON");
        crate::config::schema::convert(
            &mut config,
            &["/threads".to_owned(), "/cors_preflight".to_owned()],
        );
        assert_eq!(config["threads"], threads, "{value}");
        // What stands there as a text, and what may be a text, stays one.
        assert_eq!(config["grace_seconds"], value);
        assert_eq!(config["cors_preflight"], value);
    }
    for (value, expected) in [
        ("true", json!(true)),
        ("false", json!(false)),
        ("yes", json!("yes")),
    ] {
        let mut config = json!({ "issuers": [{ "trust_roles": value }] });
        crate::config::schema::convert(&mut config, &["/issuers/0/trust_roles".to_owned()]);
        assert_eq!(config["issuers"][0]["trust_roles"], expected);
    }
}
