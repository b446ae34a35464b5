use model::{Body, Headers};

use super::*;

fn read(headers: &[(&'static str, &'static str)], third_party: bool) -> Result<String, String> {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(name, value.as_bytes());
    }
    let request = HttpRequest {
        method: "COPY",
        scheme: "https",
        host: Host::parse("dav.example.test").unwrap(),
        path: RequestPath::parse_target(b"/from", Decoding::Raw).unwrap().0,
        query: None,
        headers: all,
        body: Body::Absent,
    };
    let shown = |name: &str, end: &End<'_>| {
        let path = end.path.as_ref().map_or(" elsewhere", RequestPath::as_str);
        format!("{name} {}{path}", end.host.as_str())
    };
    let ends = Ends::read(
        &request,
        third_party,
        &[HostPattern::parse("alias.test").unwrap()],
    )?;
    let ends = [("to", ends.destination), ("from", ends.source)];
    let ends = ends
        .iter()
        .filter_map(|(name, end)| Some(shown(name, end.as_ref()?)));
    Ok(ends.collect::<Vec<_>>().join(", "))
}

/// What `local` and `third_party` make of each: the ends, or a part of the complaint.
#[test]
fn the_other_end_is_read_in_one_way_or_not_at_all() {
    let own = "to dav.example.test/b%20c";
    let elsewhere = Err("on another host");
    for (headers, local, third_party) in [
        (&[("destination", "/b%20c")][..], Ok(own), Ok(own)),
        (
            &[("Destination", "https://dav.example.test/b%20c")],
            Ok(own),
            Ok(own),
        ),
        (
            &[("destination", "HTTP://DAV.example.test.:8443/b%20c")],
            Ok(own),
            Ok(own),
        ),
        (&[("destination", "/%62%20c")], Ok(own), Ok(own)),
        (
            &[("destination", "https://other.test//eos/x?y=1")],
            elsewhere,
            Ok("to other.test elsewhere"),
        ),
        (
            &[("destination", "davs://other.test")],
            elsewhere,
            Ok("to other.test elsewhere"),
        ),
        (
            &[("source", "https://other.test/x")],
            Err("has a `Source`"),
            Ok("from other.test elsewhere"),
        ),
        (
            &[("source", "https://dav.example.test/x")],
            Err("has a `Source`"),
            Err("on this server"),
        ),
        (&[("source", "/x")], Err("has a `Source`"), Err("on this server")),
        (
            &[("source", "https://other.test/x"), ("destination", "/b")],
            Err("has a `Source`"),
            Err("a `Destination` and a `Source`"),
        ),
        // Another name of the same server.
        (
            &[("destination", "https://Alias.test/b")],
            Ok("to alias.test/b"),
            Ok("to alias.test/b"),
        ),
        (
            &[("destination", "https://alias.test/../b")],
            Err("cannot be read"),
            Err("cannot be read"),
        ),
        (
            &[("source", "https://alias.test/b")],
            Err("has a `Source`"),
            Err("on this server"),
        ),
        (&[], Err("without `Destination`"), Err("without `Destination`")),
        (
            &[("destination", "/a"), ("destination", "/a")],
            Err("2 times"),
            Err("2 times"),
        ),
    ] {
        for (third_party, expected) in [(false, local), (true, third_party)] {
            match (read(headers, third_party), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{headers:?} {third_party}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{headers:?} {third_party}: {why}"),
                (got, _) => panic!("{headers:?} {third_party}: {got:?}"),
            }
        }
    }
    for value in [
        "",
        "b",
        "b/c",
        "//other.test/b",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a//b",
        "/a%2Fb",
        "/a;x",
        "/a?x",
        "/a#x",
        "/a\\b",
        "/a b",
        " /a",
        "/a,/b",
        "/\u{e9}",
        "https://dav.example.test",
        "https://dav.example.test?x",
        "https://dav.example.test/a?x",
        "https://dav.example.test/a,https://other.test/b",
        "https://other.test/a,https://dav.example.test/b",
        "https://user@dav.example.test/a",
        "https://other.test\\@dav.example.test/a",
        "https:///a",
        "https:/dav.example.test/a",
        "://dav.example.test/a",
        "ht tp://dav.example.test/a",
    ] {
        for third_party in [false, true] {
            let got = read(&[("destination", value)], third_party);
            assert!(got.is_err(), "{value:?} {third_party}: {got:?}");
        }
    }
}
