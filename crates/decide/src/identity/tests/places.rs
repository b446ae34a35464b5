//! Tokens in other places than the `Authorization` header.

use super::*;

/// Issuer A in every place, issuer B only in the `Authorization` header, and a static token in a cookie.
fn house() -> Ours {
    of(json!({
        "issuers": [
            {"name": "a", "issuer": ISSUER_A, "audiences": [OURS], "credentials": [
                "bearer", {"header": "x-token"}, {"cookie": "session"}, {"query": "access_token"}
            ]},
            {"name": "b", "issuer": ISSUER_B, "audiences": [OURS]},
        ],
        "static_tokens": {
            "tokens": [{"token": "0123456789abcdef-static", "subject": "ci"}],
            "credentials": [{"cookie": "session"}, {"header": "x-key"}],
        },
    }))
}

const STATIC: &str = "0123456789abcdef-static";
const SEVERAL: &str = "several credentials were sent";
const ELSEWHERE: &str = "the token is not where tokens of its issuer may be";
const A: &str = "User a/user-1";

#[test]
fn headers_cookies_and_queries() {
    let house = house();
    let a = good().mint();
    let b = token(&KEYS.b_ec).claim("iss", ISSUER_B).mint();
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let header = |token: &str| ("X-Token", token.to_owned());
    let cookie = |text: String| ("cookie", text);
    let session = |token: &str| cookie(format!("session={token}"));
    type Row<'r> = (&'r str, Vec<(&'r str, String)>, Option<String>, &'r str);
    let query = |token: &str| Some(format!("access_token={token}"));
    let rows: Vec<Row<'_>> = vec![
        ("nowhere", vec![], None, "anonymous"),
        ("bearer", vec![bearer(&a)], None, A),
        ("header", vec![header(&a)], None, A),
        (
            "header, with blanks around",
            vec![header(&format!(" {a}\t"))],
            None,
            A,
        ),
        (
            "header, with a scheme",
            vec![header(&format!("Bearer {a}"))],
            None,
            "the token has the byte 0x20",
        ),
        ("header, empty", vec![header("")], None, "there is no token"),
        (
            "header, twice",
            vec![header(&a), header(&a)],
            None,
            "2 Authorization headers",
        ),
        (
            "header, junk",
            vec![header("junk")],
            None,
            "the token is not a JWT",
        ),
        ("cookie", vec![session(&a)], None, A),
        (
            "cookie, among others",
            vec![cookie(format!("x=1; session={a}; y=2"))],
            None,
            A,
        ),
        (
            "cookie, in the second header",
            vec![cookie("x=1".into()), session(&a)],
            None,
            A,
        ),
        (
            "cookie, twice",
            vec![cookie(format!("session={a}; session={a}"))],
            None,
            SEVERAL,
        ),
        (
            "cookie, in two headers",
            vec![session(&a), session(&a)],
            None,
            SEVERAL,
        ),
        (
            "cookie, once empty",
            vec![cookie(format!("session=; session={a}"))],
            None,
            SEVERAL,
        ),
        ("cookie, empty", vec![session("")], None, "anonymous"),
        (
            "cookie, empty, and a bearer",
            vec![session(""), bearer(&a)],
            None,
            A,
        ),
        (
            "cookie, without value",
            vec![cookie("session".into())],
            None,
            "anonymous",
        ),
        (
            "cookie, name in capitals",
            vec![cookie(format!("Session={a}"))],
            None,
            "anonymous",
        ),
        (
            "cookie, longer name",
            vec![cookie(format!("xsession={a}; session2={a}"))],
            None,
            "anonymous",
        ),
        (
            "cookie, in quotes",
            vec![cookie(format!("session=\"{a}\""))],
            None,
            "the token is not a JWT",
        ),
        (
            "cookie, with a control",
            vec![cookie(format!("session={a}\x01"))],
            None,
            "the token has the byte 0x01",
        ),
        ("query", vec![], query(&a), A),
        (
            "query, among others",
            vec![],
            Some(format!("x=1&access_token={a}&y")),
            A,
        ),
        (
            "query, name encoded",
            vec![],
            Some(format!("access%5Ftoken={a}")),
            A,
        ),
        ("query, value encoded", vec![], query(&a.replace('.', "%2e")), A),
        (
            "query, encoded twice",
            vec![],
            query(&a.replace('.', "%252e")),
            "the token is not a JWT",
        ),
        ("query, empty", vec![], query(""), "there is no token"),
        (
            "query, a blank",
            vec![],
            query(&format!("{a}+")),
            "the token has the byte 0x20",
        ),
        (
            "query, twice",
            vec![],
            Some(format!("access_token={a}&access_token={a}")),
            "the query may have a token",
        ),
        (
            "query, with a semicolon",
            vec![],
            Some(format!("x=1;access_token={a}")),
            "the query may have a token",
        ),
        (
            "query, with a semicolon, beside a bearer",
            vec![bearer(&a)],
            Some("x=1;y=2".into()),
            "the query may have a token",
        ),
        (
            "query, not well-formed",
            vec![],
            Some("access_token=%ff".into()),
            "the query may have a token",
        ),
        (
            "query, other names",
            vec![],
            Some(format!("token={a}")),
            "anonymous",
        ),
        ("bearer and header", vec![bearer(&a), header(&a)], None, SEVERAL),
        ("bearer and cookie", vec![bearer(&a), session(&a)], None, SEVERAL),
        ("bearer and query", vec![bearer(&a)], query(&a), SEVERAL),
        ("header and cookie", vec![header(&a), session(&a)], None, SEVERAL),
        ("cookie and query", vec![session(&a)], query(&a), SEVERAL),
        ("good and junk", vec![bearer(&a), header("junk")], None, SEVERAL),
        ("B in its place", vec![bearer(&b)], None, "User b/user-1"),
        ("B in a header", vec![header(&b)], None, ELSEWHERE),
        ("B in a cookie", vec![session(&b)], None, ELSEWHERE),
        ("B in a query", vec![], query(&b), ELSEWHERE),
        (
            "static in a cookie",
            vec![session(STATIC)],
            None,
            "Robot static/ci",
        ),
        (
            "static in a header",
            vec![("X-Key", STATIC.into())],
            None,
            "Robot static/ci",
        ),
        ("static as a bearer", vec![bearer(STATIC)], None, ELSEWHERE),
        ("static in a query", vec![], query(STATIC), ELSEWHERE),
        (
            "A where only static ones are",
            vec![("x-key", a.clone())],
            None,
            ELSEWHERE,
        ),
    ];
    for (id, headers, query, expected) in rows {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = ask_with(&house, &headers, query.as_deref());
        let expected = match &answer {
            Identified::Refused(Refused {
                issuer: Some(name), ..
            }) => format!("issuer {name:?}: {expected}"),
            _ => expected.to_owned(),
        };
        expect(id, &answer, &expected);
    }
}

/// A token in a query is looked for only where the settings say so.
#[test]
fn queries_are_ignored_unless_an_issuer_looks_there() {
    let minted = good().mint();
    let query = format!("access_token={minted}");
    let default = with_keys(&under(json!({})), &jwks_a());
    expect("tp-query", &ask_with(&default, &[], Some(&query)), "anonymous");
    let bearer = format!("Bearer {minted}");
    let both = ask_with(&default, &[("authorization", &bearer)], Some(&query));
    expect("a bearer with a query that is none of our business", &both, A);
    let places = json!({"credentials": [{"query": "access_token"}]});
    let looking = with_keys(&under(places), &jwks_a());
    expect(
        "tp-query, where it is looked for",
        &ask_with(&looking, &[], Some(&query)),
        A,
    );
    let elsewhere = ask_with(&looking, &[("authorization", &bearer)], None);
    expect(
        "a bearer where only queries count",
        &elsewhere,
        &format!("issuer \"a\": {ELSEWHERE}"),
    );
}

/// The verdict from the cache is one about the place, too.
#[test]
fn a_cached_token_is_refused_in_other_places() {
    let house = house();
    let b = token(&KEYS.b_ec).claim("iss", ISSUER_B).mint();
    let bearer = format!("Bearer {b}");
    for round in ["first", "from the cache"] {
        let good = ask_with(&house, &[("authorization", &bearer)], None);
        expect(round, &good, "User b/user-1");
        let bad = ask_with(&house, &[("x-token", &b)], None);
        expect(round, &bad, &format!("issuer \"b\": {ELSEWHERE}"));
    }
    for round in ["first", "from the cache"] {
        let good = ask_with(&house, &[("x-key", STATIC)], None);
        expect(round, &good, "Robot static/ci");
        let bad = ask_with(&house, &[("x-token", STATIC)], None);
        expect(round, &bad, ELSEWHERE);
    }
}
