//! Request bodies that Envoy sends along: large ones are answered, cut ones are not believed.

use bytes::Bytes;
use portcullis::demo::envoy::{BodyForm, CheckBody, EnvoyOptions, LongerBody};

use super::{counted, record_of, token};
use crate::house::{Front, Got, TestHouse};

const MIB: usize = 1 << 20;
const FORMS: [BodyForm; 2] = [BodyForm::Text, BodyForm::Bytes];

/// What it is about, more headers, the body, the status.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16);

/// Whoever may not make workspaces otherwise may make one that is called so.
const BY_BODY: &str = r#"
    @id("make-by-name")
    permit (principal is User, action == Action::"POST", resource is Workspaces)
    when { context has body && context.body has name && context.body.name == "ws-new" };
"#;

async fn front(house: &TestHouse, body: Option<CheckBody>) -> Option<Front> {
    house.envoy(|options| EnvoyOptions { body, ..options }).await
}

async fn post(house: &TestHouse, front: &Front, who: &str, headers: &[(&str, &str)], body: Bytes) -> Got {
    let bearer = format!("Bearer {}", token(house, who).expect("a token"));
    let headers = [headers, &[("authorization", &bearer)]].concat();
    front.send("POST", "/workspaces", &headers, body).await
}

#[tokio::test]
async fn five_mebibytes_are_answered() {
    let house = TestHouse::start().await;
    for form in FORMS {
        let body = CheckBody {
            max_bytes: 10 << 20,
            longer: LongerBody::Refused,
            form,
        };
        let Some(front) = front(&house, Some(body)).await else {
            return;
        };
        for (who, size, status) in [
            ("admin", 5 * MIB, 200),
            ("alice", 5 * MIB, 403),
            ("admin", 0, 200),
        ] {
            // Not UTF-8, so that `Text` has something to replace.
            let got = post(&house, &front, who, &[], vec![0xF0; size].into()).await;
            assert_eq!(got.status, status, "{who} {size} {form:?}: {got:?}");
            let sent = got.seen.as_ref().map(|seen| seen.body_bytes);
            assert_eq!(
                sent,
                (status == 200).then_some(size as u64),
                "{who} {size} {form:?}"
            );
            record_of(&house, &got);
        }
        assert_eq!(counted(&front, "error").await, 0, "{form:?}");
    }
}

#[tokio::test]
async fn a_policy_believes_only_a_whole_body() {
    let house = TestHouse::with(
        |text| text + "\nexpose: { body: [name] }\n",
        &[("by-body.cedar", BY_BODY)],
    )
    .await;
    let small = r#"{"name":"ws-new"}"#.to_owned();
    // The part that is sent is all there is to see, and well-formed.
    let cut_well = small.clone() + &" ".repeat(4000);
    let cut_short = format!(r#"{{"name":"ws-new","more":"{}"}}"#, "x".repeat(4000));
    let just_fits = format!("{small}{}", " ".repeat(1024 - small.len()));
    let no_longer_fits = format!("{just_fits} ");
    let deep = "[".repeat(1000);
    let claims_whole = [("x-envoy-auth-partial-body", "false")];
    let claims_cut = [("x-envoy-auth-partial-body", "true")];
    let rows: [Row<'_>; 17] = [
        ("whole", &[], &small, 200),
        (
            "other members",
            &[],
            r#"{"a":[1,{"name":"x"}],"name":"ws-new","b":null}"#,
            200,
        ),
        ("just fits", &[], &just_fits, 200),
        ("one byte more", &[], &no_longer_fits, 403),
        ("cut, still JSON", &[], &cut_well, 403),
        ("cut", &[], &cut_short, 403),
        ("cut, says whole", &claims_whole, &cut_well, 403),
        ("whole, says cut", &claims_cut, &small, 200),
        ("another name", &[], r#"{"name":"ws-old"}"#, 403),
        ("no name", &[], r#"{"Name":"ws-new"}"#, 403),
        ("not a string", &[], r#"{"name":["ws-new"]}"#, 403),
        ("two names", &[], r#"{"name":"ws-new","name":"ws-new"}"#, 403),
        ("not an object", &[], r#""ws-new""#, 403),
        ("not JSON", &[], "name=ws-new", 403),
        ("more behind it", &[], r#"{"name":"ws-new"}{}"#, 403),
        ("deep", &[], &deep, 403),
        ("nothing", &[], "", 403),
    ];
    for form in FORMS {
        let body = CheckBody {
            max_bytes: 1024,
            longer: LongerBody::Truncated,
            form,
        };
        let Some(front) = front(&house, Some(body)).await else {
            return;
        };
        for (what, headers, text, status) in rows {
            let got = post(
                &house,
                &front,
                "alice",
                headers,
                Bytes::copy_from_slice(text.as_bytes()),
            )
            .await;
            assert_eq!(got.status, status, "{what} {form:?}: {}", record_of(&house, &got));
            // Whatever was sent along, the upstream gets all of it.
            let sent = got.seen.as_ref().map(|seen| seen.body_bytes);
            assert_eq!(
                sent,
                (status == 200).then_some(text.len() as u64),
                "{what} {form:?}"
            );
        }
        assert_eq!(counted(&front, "error").await, 0, "{form:?}");
    }
    // An Envoy that sends no bodies.
    let Some(front) = front(&house, None).await else {
        return;
    };
    for headers in [&[][..], &claims_whole, &claims_cut] {
        let got = post(&house, &front, "alice", headers, small.clone().into()).await;
        assert_eq!((got.status, got.seen.is_some()), (403, false), "{headers:?}");
    }
}
