//! Requests, row by row.

use super::*;

const GOOD: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=t\
     &subject_token_type=urn:ietf:params:oauth:token-type:access_token";

fn read(more: &str) -> Result<Form, Refusal> {
    Form::read(format!("{GOOD}{more}").as_bytes())
}

#[test]
fn what_is_asked_for_is_read() {
    let form = read(
        "&audience=a&audience=b&resource=https://c.test/x%20y&audience=a&scope=openid+profile++openid\
         &workspace=ws-alice&workspace=ws-b%C3%B6b&action=read&lifetime=60&client_id=jobs\
         &actor_token=u&actor_token_type=urn:ietf:params:oauth:token-type:jwt\
         &requested_token_type=urn:ietf:params:oauth:token-type:jwt&unknown=1&unknown=2",
    );
    assert!(form.is_err(), "a blank in a resource");
    let form = read(
        "&audience=a&audience=b&resource=https://c.test/x&audience=a&scope=openid+profile++openid\
         &workspace=ws-alice&workspace=ws-b%C3%B6b&action=read&lifetime=60&client_id=jobs\
         &actor_token=u&actor_token_type=urn:ietf:params:oauth:token-type:jwt\
         &requested_token_type=urn:ietf:params:oauth:token-type:jwt&unknown=1&unknown=2",
    )
    .unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = Form {
        subject_token: "t".to_owned(),
        actor_token: Some("u".to_owned()),
        client_id: Some("jobs".to_owned()),
        audiences: names(&["a", "b", "https://c.test/x"]),
        scopes: Some(names(&["openid", "profile"])),
        workspaces: Some(names(&["ws-alice", "ws-böb"])),
        actions: Some(names(&["read"])),
        lifetime_seconds: Some(60),
        issued_token_type: JWT,
    };
    assert_eq!(form, expected);
    let least = read("&scope=&audience=&workspace=").unwrap();
    assert_eq!(least.issued_token_type, ACCESS_TOKEN);
    assert_eq!(
        (least.scopes, least.workspaces, least.audiences.len()),
        (None, None, 0)
    );
}

#[test]
fn what_is_wrong_is_told() {
    let check = |body: &str, code: Code, expected: &str| {
        let refusal = Form::read(body.as_bytes()).expect_err(body);
        assert_eq!(refusal.code, code, "{body}");
        assert!(
            refusal.description.contains(expected),
            "{body}: {}",
            refusal.description
        );
    };
    let more = |more: &str, code, expected| check(&format!("{GOOD}{more}"), code, expected);
    let bad = Code::InvalidRequest;
    check("", bad, "grant_type is missing");
    check(
        "grant_type=client_credentials",
        Code::UnsupportedGrantType,
        "token-exchange",
    );
    check(
        &GOOD.replace("subject_token=t", ""),
        bad,
        "subject_token is missing",
    );
    check(
        &GOOD.replace("subject_token=t", "subject_token="),
        bad,
        "subject_token is missing",
    );
    check(
        &GOOD.replace("&subject_token_type=", "&x="),
        bad,
        "subject_token_type is missing",
    );
    check(
        &GOOD.replace(":access_token", ":id_token"),
        bad,
        "subject_token_type must be",
    );
    check(
        &GOOD.replace(":access_token", ":refresh_token"),
        bad,
        "subject_token_type must be",
    );
    more("&grant_type=x", bad, "grant_type is there more than once");
    more("&subject_token=u", bad, "subject_token is there more than once");
    more("&scope=a&scope=b", bad, "scope is there more than once");
    more("&lifetime=1&lifetime=2", bad, "lifetime is there more than once");
    more("&actor_token=u", bad, "actor_token_type is missing");
    more(
        "&actor_token_type=urn:ietf:params:oauth:token-type:jwt",
        bad,
        "without actor_token",
    );
    more(
        "&actor_token=u&actor_token_type=saml2",
        bad,
        "actor_token_type must be",
    );
    more(
        "&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token",
        bad,
        "requested_token_type must be",
    );
    more(
        "&client_secret=s",
        Code::InvalidClient,
        "client_secret is not known here",
    );
    more(
        "&client_assertion=s",
        Code::InvalidClient,
        "client_assertion is not known here",
    );
    more("&resource=%2Fpath", Code::InvalidTarget, "absolute URI");
    more(
        "&resource=https://a.test/%23f",
        Code::InvalidTarget,
        "absolute URI",
    );
    more(
        "&scope=a%22b",
        Code::InvalidScope,
        "a character that no scope has",
    );
    more(
        "&scope=%C3%B6",
        Code::InvalidScope,
        "a character that no scope has",
    );
    for lifetime in ["0", "-1", "1.5", "+1", "1e3", "99999999999", "ten"] {
        more(
            &format!("&lifetime={}", lifetime.replace('+', "%2B")),
            bad,
            "not a number of seconds",
        );
    }
    more("&workspace=a%0Ab", bad, "workspace has a value that is no name");
    more("&action=+read", bad, "action has a value that is no name");
    more(
        &format!("&audience={}", "a".repeat(1025)),
        bad,
        "audience has a value that is no name",
    );
    more("&workspace=%F", bad, "not application/x-www-form-urlencoded");
    more("&workspace=%FF", bad, "in UTF-8");
    more(&"&workspace=a".repeat(300), bad, "more than 300 parameters");
}
