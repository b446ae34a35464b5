//! `x-forwarded-client-cert` on its way through Envoy: believed from whom the configuration says, and from nobody else.

use bytes::Bytes;
use portcullis::demo::envoy::{EnvoyOptions, ForwardedCertificates};

use super::{HEADER_FORMS, record_of};
use crate::house::TestHouse;

const HEADER: &str = "x-forwarded-client-cert";
const FORWARDED: &str = "Hash=0a;Subject=\"CN=a, O=x\";URI=spiffe://td.test/ns/x/sa/a;DNS=a.test";

const ROBOT_A: &str = r#"
    @id("robot-a")
    permit (principal == Robot::"mesh/spiffe://td.test/ns/x/sa/a", action in Action::"read", resource is Catalogue);
"#;

async fn house(forwarded_from: &str) -> TestHouse {
    let settings = format!(
        "\nclient_certificates: {{ name: mesh, trust_domains: [td.test], forwarded_from: {forwarded_from} }}\n"
    );
    TestHouse::with(|text| text + &settings, &[("robot.cedar", ROBOT_A)]).await
}

/// What the client sends in the header, once or more often; status and reason.
async fn check(
    house: &TestHouse,
    forwarded_certificates: ForwardedCertificates,
    rows: &[(&[&str], u16, &str)],
) {
    for headers in HEADER_FORMS {
        let front = house
            .envoy(|options| EnvoyOptions {
                headers,
                forwarded_certificates,
                ..options
            })
            .await;
        let Some(front) = front else { return };
        for (values, status, reason) in rows {
            let sent: Vec<_> = values.iter().map(|value| (HEADER, *value)).collect();
            let got = front.send("GET", "/catalogue/x", &sent, Bytes::new()).await;
            let row = format!("{values:?} {forwarded_certificates:?} {headers:?}");
            assert_eq!(
                (got.status, got.seen.is_some()),
                (*status, *status == 200),
                "{row}: {got:?}"
            );
            let record = record_of(house, &got);
            assert_eq!(record["reason"], *reason, "{row}: {record:#}");
        }
    }
}

/// The test is the proxy in front: it connects from loopback.
#[tokio::test]
async fn a_certificate_forwarded_by_a_trusted_proxy() {
    let house = house("[\"127.0.0.0/8\"]").await;
    let other = "Hash=0a;URI=spiffe://other.test/ns/x/sa/a";
    let two = format!("{FORWARDED},{FORWARDED}");
    let rows: [(&[&str], u16, &str); 6] = [
        (&[FORWARDED], 200, "permitted"),
        (&["URI=spiffe://td.test/ns/x/sa/b"], 403, "no_permit"),
        (&[], 401, "credential_missing"),
        (&[other], 401, "credential_refused"),
        (&[&two], 401, "credential_refused"),
        (&[FORWARDED, FORWARDED], 401, "credential_refused"),
    ];
    check(&house, ForwardedCertificates::PassedOn, &rows).await;
    // Envoy's default: what is forged never arrives.
    let rows: [(&[&str], u16, &str); 3] = [
        (&[FORWARDED], 401, "credential_missing"),
        (&[FORWARDED, FORWARDED], 401, "credential_missing"),
        (&[], 401, "credential_missing"),
    ];
    check(&house, ForwardedCertificates::Removed, &rows).await;
}

#[tokio::test]
async fn a_certificate_forwarded_by_anybody_else() {
    let rows: [(&[&str], u16, &str); 3] = [
        (&[FORWARDED], 401, "credential_refused"),
        (&[""], 401, "credential_refused"),
        (&[], 401, "credential_missing"),
    ];
    let house_of_others = house("[192.0.2.0/24, \"spiffe://td.test/ns/in/sa/gw\"]").await;
    check(&house_of_others, ForwardedCertificates::PassedOn, &rows).await;
    // Without forwarders the header is no credential at all.
    let rows: [(&[&str], u16, &str); 2] = [
        (&[FORWARDED], 401, "credential_missing"),
        (&[], 401, "credential_missing"),
    ];
    check(&house("[]").await, ForwardedCertificates::PassedOn, &rows).await;
}
