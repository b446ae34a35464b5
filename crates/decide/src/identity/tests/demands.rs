//! What the settings of an issuer demand of its tokens beyond the rules for all.

use super::*;

const ANY_WLCG: &str = "https://wlcg.cern.ch/jwt/v1/any";
const ANY_SCITOKENS: &str = "ANY";

/// Judges each token by an issuer A with these settings.
fn check(rows: impl IntoIterator<Item = (&'static str, Value, Token, &'static str)>) {
    for (id, settings, token, expected) in rows {
        let ours = with_keys(&under(settings), &jwks_a());
        expect(id, &ask(&ours, &token.mint(), now()), expected);
    }
}

fn wlcg() -> Token {
    good().claim("wlcg.ver", "1.0").claim("client_id", "portal")
}

fn scitoken() -> Token {
    good()
        .claim("ver", "scitoken:2.0")
        .claim("nbf", NOW - 5)
        .claim("client_id", "portal")
}

const GOOD: &str = "User a/user-1";

#[test]
fn required_claims() {
    let require = |path: &str| json!({"required_claims": [path]});
    let realm = || good().claim("realm", json!({"name": "one", "a/b": {"c~d": 0, "list": ["x"]}}));
    check([
        ("there", require("azp"), good(), GOOD),
        ("false is there", require("x"), good().claim("x", false), GOOD),
        ("empty is there", require("x"), good().claim("x", ""), GOOD),
        (
            "missing",
            require("acr"),
            good(),
            "issuer \"a\": claim \"acr\" is missing",
        ),
        (
            "null is missing",
            require("x"),
            good().claim("x", Value::Null),
            "issuer \"a\": claim \"x\" is missing",
        ),
        ("a pointer", require("/realm/name"), realm(), GOOD),
        ("escapes", require("/realm/a~1b/c~0d"), realm(), GOOD),
        ("into an array", require("/realm/a~1b/list/0"), realm(), GOOD),
        (
            "beyond an array",
            require("/realm/a~1b/list/1"),
            realm(),
            "issuer \"a\": claim \"/realm/a~1b/list/1\" is missing",
        ),
        (
            "into a text",
            require("/realm/name/one"),
            realm(),
            "issuer \"a\": claim \"/realm/name/one\" is missing",
        ),
        (
            "a name with a slash in it is no pointer",
            require("https://x.test/y"),
            good().claim("https://x.test/y", 1),
            GOOD,
        ),
        (
            "one of two",
            json!({"required_claims": ["azp", "acr"]}),
            good(),
            "issuer \"a\": claim \"acr\" is missing",
        ),
    ]);
    // RFC 6901 section 4: `~01` is `~1`, not a slash.
    let tilde = good().claim("t", json!({"~1": 1}));
    let slash = good().claim("t", json!({"/": 1}));
    check([
        ("~01", require("/t/~01"), tilde, GOOD),
        (
            "~01 is no slash",
            require("/t/~01"),
            slash,
            "issuer \"a\": claim \"/t/~01\" is missing",
        ),
    ]);
}

#[test]
fn lifetimes() {
    let most = |seconds: u64| json!({"max_lifetime_seconds": seconds});
    let lives = |token: Token, seconds: u64| token.claim("iat", NOW - 5).claim("exp", NOW - 5 + seconds);
    let wlcg_issuer = || json!({"profile": "wlcg"});
    check([
        ("no limit", json!({}), lives(good(), 1_000_000), GOOD),
        ("the limit", most(3600), lives(good(), 3600), GOOD),
        (
            "a second more",
            most(3600),
            lives(good(), 3601),
            "issuer \"a\": the token lives for 3601 s, longer than the 3600 s",
        ),
        (
            "without iat",
            most(3600),
            good().no_claim("iat"),
            "issuer \"a\": claim `iat` is missing",
        ),
        ("without iat and limit", json!({}), good().no_claim("iat"), GOOD),
        ("wlcg, six hours", wlcg_issuer(), lives(wlcg(), 21600), GOOD),
        (
            "wlcg, more",
            wlcg_issuer(),
            lives(wlcg(), 21601),
            "issuer \"a\": the token lives for 21601 s",
        ),
        (
            "wlcg, another limit",
            json!({"profile": "wlcg", "max_lifetime_seconds": 86400}),
            lives(wlcg(), 86400),
            GOOD,
        ),
    ]);
}

#[test]
fn types() {
    let only = |types: Value| json!({"types": types});
    let typ = |typ: &str| good().head("typ", typ);
    let absent = || good().no_head("typ");
    let refused = "issuer \"a\": a token of type";
    // Without `client_id` and `scope` only the type can mark it.
    let unmarked = |t: &str| typ(t).no_claim("scope");
    let oidc = |types: Value| json!({"profile": "oidc", "types": types});
    check([
        ("absent only", only(json!(["absent"])), absent(), GOOD),
        ("absent only, JWT", only(json!(["absent"])), typ("JWT"), refused),
        (
            "absent only, named so",
            only(json!(["absent"])),
            typ("absent"),
            refused,
        ),
        ("at+jwt only", only(json!(["at+jwt"])), typ("at+jwt"), GOOD),
        (
            "at+jwt only, in full",
            only(json!(["at+jwt"])),
            typ("application/AT+JWT"),
            GOOD,
        ),
        ("at+jwt only, JWT", only(json!(["at+jwt"])), typ("JWT"), refused),
        ("at+jwt only, absent", only(json!(["at+jwt"])), absent(), refused),
        (
            "an own type",
            only(json!(["application/vnd.Test"])),
            typ("vnd.test"),
            GOOD,
        ),
        ("an own type, JWT", only(json!(["vnd.test"])), typ("JWT"), refused),
        ("JWT by default", json!({}), typ("jwt"), GOOD),
        ("an own type by default", json!({}), typ("vnd.test"), refused),
        (
            "an own type marks an access token",
            oidc(json!(["vnd.test", "JWT"])),
            unmarked("vnd.test"),
            GOOD,
        ),
        (
            "JWT does not",
            oidc(json!(["vnd.test", "JWT"])),
            unmarked("JWT"),
            "issuer \"a\": nothing marks this as an access token",
        ),
    ]);
}

#[test]
fn audiences_for_everybody() {
    let profile = |profile: &str| json!({"profile": profile});
    let choice = |profile: &str, any: &str| json!({"profile": profile, "any_audience": any});
    let not_ours = "issuer \"a\": the token is for";
    let for_all = |token: Token, any: &str| token.claim("aud", any);
    check([
        ("wlcg", profile("wlcg"), for_all(wlcg(), ANY_WLCG), GOOD),
        (
            "wlcg, accept",
            choice("wlcg", "accept"),
            for_all(wlcg(), ANY_WLCG),
            GOOD,
        ),
        (
            "wlcg, refuse",
            choice("wlcg", "refuse"),
            for_all(wlcg(), ANY_WLCG),
            not_ours,
        ),
        ("wlcg, refuse, ours", choice("wlcg", "refuse"), wlcg(), GOOD),
        (
            "wlcg, that of SciTokens",
            profile("wlcg"),
            for_all(wlcg(), ANY_SCITOKENS),
            not_ours,
        ),
        (
            "scitokens",
            profile("scitokens"),
            for_all(scitoken(), ANY_SCITOKENS),
            GOOD,
        ),
        (
            "scitokens, refuse",
            choice("scitokens", "refuse"),
            for_all(scitoken(), ANY_SCITOKENS),
            not_ours,
        ),
        (
            "scitokens, in lower case",
            profile("scitokens"),
            for_all(scitoken(), "any"),
            not_ours,
        ),
        (
            "scitokens, that of WLCG",
            profile("scitokens"),
            for_all(scitoken(), ANY_WLCG),
            not_ours,
        ),
        (
            "keycloak has none",
            json!({}),
            for_all(good(), ANY_WLCG),
            not_ours,
        ),
        (
            "oidc has none",
            profile("oidc"),
            for_all(good(), ANY_SCITOKENS),
            not_ours,
        ),
    ]);
}

#[test]
fn leeways() {
    let expires = |token: Token, at: u64| token.claim("exp", at);
    let expired = "issuer \"a\": the token expired";
    let wlcg_with = |leeway: u64| json!({"profile": "wlcg", "leeway_seconds": leeway});
    check([
        ("keycloak, 29 s ago", json!({}), expires(good(), NOW - 29), GOOD),
        (
            "keycloak, 30 s ago",
            json!({}),
            expires(good(), NOW - 30),
            expired,
        ),
        (
            "keycloak, none",
            json!({"leeway_seconds": 0}),
            expires(good(), NOW),
            expired,
        ),
        (
            "W33: wlcg, a second ago",
            json!({"profile": "wlcg"}),
            expires(wlcg(), NOW - 1),
            expired,
        ),
        (
            "W33: wlcg, now",
            json!({"profile": "wlcg"}),
            expires(wlcg(), NOW),
            expired,
        ),
        (
            "W33: wlcg, in a second",
            json!({"profile": "wlcg"}),
            expires(wlcg(), NOW + 1),
            GOOD,
        ),
        (
            "wlcg, starts in 30 s",
            json!({"profile": "wlcg"}),
            wlcg().claim("nbf", NOW + 30),
            GOOD,
        ),
        (
            "wlcg, starts in 31 s",
            json!({"profile": "wlcg"}),
            wlcg().claim("nbf", NOW + 31),
            "issuer \"a\": the token starts in 31 s",
        ),
        (
            "wlcg, said otherwise",
            wlcg_with(10),
            expires(wlcg(), NOW - 9),
            GOOD,
        ),
        (
            "wlcg, said otherwise, too late",
            wlcg_with(10),
            expires(wlcg(), NOW - 10),
            expired,
        ),
        (
            "scitokens, 29 s ago",
            json!({"profile": "scitokens"}),
            expires(scitoken().claim("nbf", NOW - 60), NOW - 29),
            GOOD,
        ),
    ]);
}

#[test]
fn no_verdict_of_a_wlcg_issuer_outlives_the_token() {
    let ours = with_keys(&under(json!({"profile": "wlcg"})), &jwks_a());
    let minted = wlcg().claim("exp", NOW + 5).mint();
    for (seconds, expected) in [
        (0, GOOD),
        (4, GOOD),
        (5, "issuer \"a\": the token expired"),
        (4, GOOD),
    ] {
        let answer = ask(&ours, &minted, at(NOW + seconds));
        expect(&format!("{seconds} s later"), &answer, expected);
    }
}
