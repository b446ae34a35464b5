use super::*;
use crate::Decoding;

/// Capabilities from lines like `storage.read:/foo`.
fn granted(grants: &str) -> Capabilities {
    let mut capabilities = Capabilities::default();
    for grant in grants.split_whitespace() {
        let (name, path) = match grant.split_once(':') {
            Some((name, path)) => (name, Some(path)),
            None => (grant, None),
        };
        let operation = Operation::ALL.into_iter().find(|o| o.as_str() == name).unwrap();
        let path = path.map(|path| {
            let (path, _) = RequestPath::parse_target(path.as_bytes(), Decoding::Raw).unwrap();
            path
        });
        capabilities.grant(operation, path.as_ref());
    }
    capabilities
}

fn names(operations: Operations) -> String {
    operations.names().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_granted_at_a_path() {
    for (what, grants, path, expected) in [
        ("nothing", "", "/", ""),
        // Paths.
        ("all", "storage.poll:/", "/", "storage.poll"),
        ("all, a file", "storage.poll:/", "/x", "storage.poll"),
        ("all, deep", "storage.poll:/", "/x/y/", "storage.poll"),
        ("the path itself", "storage.poll:/foo", "/foo", "storage.poll"),
        (
            "the path as a directory",
            "storage.poll:/foo",
            "/foo/",
            "storage.poll",
        ),
        ("below it", "storage.poll:/foo", "/foo/x", "storage.poll"),
        ("far below it", "storage.poll:/foo", "/foo/x/y/z", "storage.poll"),
        ("same letters, longer segment", "storage.poll:/foo", "/foobar", ""),
        ("the same, below", "storage.poll:/x/foo", "/x/foobar/file", ""),
        ("the same with a dot", "storage.poll:/foo", "/foo.txt", ""),
        ("above it", "storage.poll:/john/file", "/john", ""),
        ("the root above it", "storage.poll:/foo", "/", ""),
        ("beside it", "storage.poll:/foo", "/bar/foo", ""),
        ("other case", "storage.poll:/foo", "/FOO", ""),
        ("directory, itself", "storage.poll:/foo/", "/foo/", "storage.poll"),
        ("directory, below", "storage.poll:/foo/", "/foo/x", "storage.poll"),
        ("directory, as a file", "storage.poll:/foo/", "/foo", ""),
        ("directory, longer segment", "storage.poll:/foo/", "/foobar", ""),
        (
            "canonical forms meet",
            "storage.poll:/%66oo/%c3%a4",
            "/foo/%C3%A4/x",
            "storage.poll",
        ),
        // Several grants.
        (
            "one name, two paths",
            "storage.poll:/a storage.poll:/b",
            "/b/x",
            "storage.poll",
        ),
        (
            "every grant that covers it counts",
            "storage.poll:/ storage.read:/a storage.stage:/b",
            "/a/x",
            "storage.read storage.poll storage.stat",
        ),
        (
            "two grants of one path",
            "storage.poll:/a storage.read:/a",
            "/a",
            "storage.read storage.poll storage.stat",
        ),
        // What comes with what.
        ("read", "storage.read:/", "/x", "storage.read storage.stat"),
        ("create", "storage.create:/", "/x", "storage.create storage.stat"),
        (
            "modify, without read",
            "storage.modify:/",
            "/x",
            "storage.create storage.modify storage.stat",
        ),
        (
            "stage, without read",
            "storage.stage:/",
            "/x",
            "storage.stage storage.poll storage.stat",
        ),
        ("poll, without stat", "storage.poll:/", "/x", "storage.poll"),
        // Jobs have no paths.
        ("compute", "compute.create", "/any/where", "compute.create"),
        (
            "compute implies nothing",
            "compute.modify compute.cancel",
            "/",
            "compute.modify compute.cancel",
        ),
        (
            "compute beside storage",
            "compute.read storage.read:/a",
            "/b",
            "compute.read",
        ),
    ] {
        assert_eq!(names(granted(grants).at(path)), expected, "{what}");
    }
}

#[test]
fn what_is_granted_below_a_path() {
    let create = "storage.create storage.stat";
    for (what, grants, path, expected) in [
        ("nothing", "", "/", ""),
        ("a leading directory", "storage.create:/foo/bar", "/foo", create),
        (
            "the same with a slash",
            "storage.create:/foo/bar",
            "/foo/",
            create,
        ),
        ("the root", "storage.create:/foo/bar", "/", create),
        ("not the path itself", "storage.create:/foo/bar", "/foo/bar", ""),
        (
            "not the path as a directory",
            "storage.create:/foo/bar",
            "/foo/bar/",
            "",
        ),
        ("not below it", "storage.create:/foo/bar", "/foo/bar/x", ""),
        ("not beside it", "storage.create:/foo/bar", "/foobar", ""),
        ("not half a segment", "storage.create:/foo/bar", "/fo", ""),
        (
            "the directory of a grant for a directory",
            "storage.create:/foo/bar/",
            "/foo/bar",
            create,
        ),
        (
            "but not when it says so itself",
            "storage.create:/foo/bar/",
            "/foo/bar/",
            "",
        ),
        ("everything is not below anything", "storage.create:/", "/", ""),
        (
            "several",
            "storage.create:/a/b storage.poll:/a/c",
            "/a",
            "storage.create storage.poll storage.stat",
        ),
        ("jobs are nowhere", "compute.create", "/", ""),
    ] {
        assert_eq!(names(granted(grants).below(path)), expected, "{what}");
    }
}

#[test]
fn empty_is_only_what_grants_nothing() {
    for (grants, expected) in [("", true), ("compute.read", false), ("storage.poll:/x", false)] {
        assert_eq!(granted(grants).is_empty(), expected, "{grants}");
    }
    assert_eq!(granted(""), Capabilities::default());
}

#[test]
fn operations_are_a_set() {
    let two: Operations = [Operation::ComputeCancel, Operation::StorageRead]
        .into_iter()
        .collect();
    assert!(two.contains(Operation::StorageRead) && !two.contains(Operation::StorageStat));
    assert_eq!(format!("{two:?}"), r#"{"storage.read", "compute.cancel"}"#);
    let all: Operations = Operation::ALL.into_iter().collect();
    assert_eq!(all.iter().collect::<Vec<_>>(), Operation::ALL);
    assert!(!all.is_empty() && Operations::default().is_empty());
}
