use model::PathRefusal as P;

use super::*;

type Reader = fn(&[String], &str) -> Result<Capabilities, TokenRefusal>;

fn read(by: Reader, scopes: &str, base: &str) -> Result<Capabilities, TokenRefusal> {
    let scopes: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
    by(&scopes, base)
}

/// The names of what is granted at `path`.
#[track_caller]
fn at(by: Reader, scopes: &str, base: &str, path: &str) -> String {
    let capabilities = read(by, scopes, base).unwrap();
    capabilities.at(path).names().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_wlcg_scopes_grant() {
    let (read, modify) = (
        "storage.read storage.stat",
        "storage.create storage.modify storage.stat",
    );
    let stage = "storage.stage storage.poll storage.stat";
    for (what, scopes, path, expected) in [
        ("W1, W2: no capability", "openid profile offline_access", "/", ""),
        ("W6: read is not create", "storage.read:/", "/x", read),
        ("W7: modify is not read", "storage.modify:/", "/x", modify),
        (
            "W8: create is not read",
            "storage.create:/",
            "/x",
            "storage.create storage.stat",
        ),
        ("W12: read in it", "storage.read:/tests", "/tests/x", read),
        ("W12: read outside of it", "storage.read:/tests", "/x", ""),
        ("W13: modify in it", "storage.modify:/tests", "/tests/x", modify),
        (
            "W13: modify outside of it",
            "storage.modify:/tests",
            "/testing/x",
            "",
        ),
        ("W14: whole segments", "storage.read:/x/foo", "/x/foobar/file", ""),
        (
            "W15: create in it",
            "storage.create:/d/base",
            "/d/base/foobar",
            "storage.create storage.stat",
        ),
        (
            "W16: half a segment",
            "storage.create:/d/bas",
            "/d/base/foobar",
            "",
        ),
        ("W22: beside it", "storage.create:/foo/bar", "/foo/bargain", ""),
        (
            "W23: a directory only",
            "storage.create:/foo/bar/",
            "/foo/bar",
            "",
        ),
        ("W27: jobs", "compute.create", "/x", "compute.create"),
        ("W28: stage is not read", "storage.stage:/x", "/x/f", stage),
        ("W31b: a name", "storage.read:/john", "/john/file", read),
        ("W31b: a longer name", "storage.read:/john", "/johnny", ""),
        ("W31c: above it", "storage.read:/john/file", "/john", ""),
        (
            "paths meet in canonical form",
            "storage.read:/%6aohn/%c3%a4",
            "/john/%C3%A4",
            read,
        ),
        ("several of a name", "storage.read:/a storage.read:/b", "/b", read),
        (
            "all of compute",
            "compute.read compute.modify compute.cancel",
            "/",
            "compute.read compute.modify compute.cancel",
        ),
        (
            "a scope that names groups",
            "wlcg.groups wlcg.groups:/cms wlcg.capabilityset:/cms",
            "/cms",
            "",
        ),
        ("a host's scope", "host.auth", "/", ""),
        ("stat has no scope", "storage.stat:/", "/", ""),
        ("an unknown storage verb", "storage.list:/ storage.:/", "/", ""),
        ("an unknown compute verb", "compute.list compute.", "/", ""),
        (
            "names are case-sensitive",
            "Storage.read:/ STORAGE.READ:/ storage.Read:/",
            "/",
            "",
        ),
        ("what SciTokens call it", "read:/ write:/ condor:/READ", "/", ""),
        (
            "a longer name than ours",
            "storages.read:/ storage.read.x:/ xstorage.read",
            "/",
            "",
        ),
    ] {
        assert_eq!(at(wlcg, scopes, "", path), expected, "{what}");
    }
}

#[test]
fn scopes_are_relative_to_the_path_of_the_issuer() {
    let scopes = "storage.read:/ storage.create:/stageout";
    let both = "storage.read storage.create storage.stat";
    for (what, path, expected) in [
        ("W24: read below it", "/vo/f", "storage.read storage.stat"),
        ("W24: both", "/vo/stageout/f", both),
        ("W25: read outside of it", "/f", ""),
        ("the scope's path outside of it", "/stageout/f", ""),
        ("the base as a directory", "/vo/", "storage.read storage.stat"),
        ("the base as a file", "/vo", ""),
        ("a longer base", "/vo2/f", ""),
        ("the root", "/", ""),
    ] {
        assert_eq!(at(wlcg, scopes, "/vo", path), expected, "{what}");
    }
    assert_eq!(at(scitokens, "read", "/vo", "/vo/f"), "storage.read storage.stat");
    assert_eq!(at(scitokens, "read", "/vo", "/f"), "");
    // A base that is not canonical grants nothing to anybody.
    for base in ["vo", "/vo/", "/vo/..", "/vo?"] {
        assert!(read(wlcg, "storage.read:/x", base).is_err(), "{base}");
    }
}

#[test]
fn w21_leading_directories() {
    let capabilities = read(wlcg, "storage.create:/foo/bar", "").unwrap();
    assert!(capabilities.below("/foo").contains(Operation::StorageCreate));
    assert!(capabilities.at("/foo").is_empty());
}

#[test]
fn what_scitokens_scopes_grant() {
    let (read, write) = (
        "storage.read storage.stat",
        "storage.create storage.modify storage.stat",
    );
    for (what, scopes, path, expected) in [
        ("read", "read:/john", "/john/file", read),
        ("read a longer name", "read:/john", "/johnathan", ""),
        ("read above it", "read:/john/file", "/john", ""),
        ("read everything", "read", "/x", read),
        ("write", "write:/data", "/data/x", write),
        ("write everything", "write", "/x", write),
        ("write is not read", "write:/", "/x", write),
        ("look at jobs", "condor:/READ", "/x", "compute.read"),
        (
            "run jobs",
            "condor:/WRITE",
            "/x",
            "compute.create compute.modify compute.cancel",
        ),
        (
            "anything else of condor",
            "condor condor:/ADMIN condor:/READ/x condor:/read",
            "/",
            "",
        ),
        (
            "WLCG's names",
            "storage.read:/a compute.read",
            "/a",
            "storage.read storage.stat compute.read",
        ),
        ("unknown ones", "openid execute:/ reader:/ readx", "/", ""),
    ] {
        assert_eq!(at(scitokens, scopes, "", path), expected, "{what}");
    }
}

#[test]
fn one_scope_spoils_the_token() {
    use ScopeFault as F;
    for (what, scope, by, fault) in [
        ("W26: no path", "storage.read", wlcg as Reader, F::NoPath),
        ("W26: an empty path", "storage.modify:", wlcg, F::NoPath),
        ("W26: no path, unknown verb", "storage.list", wlcg, F::NoPath),
        ("W26: in a SciToken", "storage.read", scitokens, F::NoPath),
        ("an empty path of a SciToken", "read:", scitokens, F::NoPath),
        ("compute has no paths", "compute.create:/x", wlcg, F::StrayPath),
        ("not even empty ones", "compute.create:", wlcg, F::StrayPath),
        ("nor unknown verbs", "compute.list:/", wlcg, F::StrayPath),
        (
            "W30: escaped dots",
            "storage.read:/foo/%2e%2e/bar",
            wlcg,
            F::Path(P::DotSegment),
        ),
        (
            "W30: one escaped dot",
            "storage.read:/foo/.%2e/bar",
            wlcg,
            F::Path(P::DotSegment),
        ),
        (
            "W30: the other one",
            "storage.read:/foo/%2e./bar",
            wlcg,
            F::Path(P::DotSegment),
        ),
        (
            "W30: twice encoded",
            "storage.read:/foo/%252e%252e/bar",
            wlcg,
            F::Path(P::Escaped(b'%')),
        ),
        (
            "W30: of a SciToken",
            "read:/foo/%2e%2e/bar",
            scitokens,
            F::Path(P::DotSegment),
        ),
        (
            "W30: twice encoded, of a SciToken",
            "write:/foo/%252e%252e/bar",
            scitokens,
            F::Path(P::Escaped(b'%')),
        ),
        (
            "W31d: two slashes",
            "storage.read://john",
            wlcg,
            F::Path(P::EmptySegment),
        ),
        (
            "W31d: of a SciToken",
            "read://john",
            scitokens,
            F::Path(P::EmptySegment),
        ),
        (
            "W31e: dots",
            "storage.read:/home/user1/..",
            wlcg,
            F::Path(P::DotSegment),
        ),
        (
            "W31e: of a SciToken",
            "read:/home/user1/..",
            scitokens,
            F::Path(P::DotSegment),
        ),
        ("one dot", "storage.read:/.", wlcg, F::Path(P::DotSegment)),
        ("relative", "storage.read:foo", wlcg, F::Path(P::NotOriginForm)),
        (
            "a URI",
            "storage.read:https://x/y",
            wlcg,
            F::Path(P::AbsoluteForm),
        ),
        ("a wildcard", "storage.read:*", wlcg, F::Path(P::AsteriskForm)),
        ("a query", "storage.read:/x?y", wlcg, F::Query),
        ("an empty query", "storage.read:/x?", wlcg, F::Query),
        ("a backslash", "storage.read:/x\\y", wlcg, F::Path(P::Backslash)),
        (
            "an escaped slash",
            "storage.read:/x%2Fy",
            wlcg,
            F::Path(P::Escaped(b'/')),
        ),
        (
            "an escaped NUL",
            "storage.read:/x%00",
            wlcg,
            F::Path(P::Escaped(0)),
        ),
        ("half an escape", "storage.read:/x%2", wlcg, F::Path(P::BadEscape)),
        (
            "a path parameter",
            "storage.read:/x;y",
            wlcg,
            F::Path(P::Semicolon),
        ),
        (
            "a bad path, unknown verb",
            "storage.list:/..",
            wlcg,
            F::Path(P::DotSegment),
        ),
    ] {
        // The others are good, in front of it and behind it.
        for base in ["", "/vo"] {
            let refusal =
                read(by, &format!("openid storage.read:/a {scope} compute.read"), base).unwrap_err();
            let scope = Quoted::new(scope);
            assert_eq!(refusal, TokenRefusal::Scope { scope, fault }, "{what}");
        }
    }
}

#[test]
fn what_outweighs_groups() {
    for (scopes, expected) in [
        ("", false),
        (
            "openid wlcg wlcg:1.0 wlcg.groups wlcg.groups:/cms wlcg.capabilityset:/cms host.auth",
            false,
        ),
        ("Storage.read:/ storages.x computer.y", false),
        ("openid compute.create", true),
        ("storage.poll:/nowhere", true),
        ("storage.list:/ openid", true),
        ("compute.list", true),
    ] {
        let split: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
        assert_eq!(outweigh_groups(&split), expected, "{scopes}");
    }
}
