//! `policies/magpie`: every single test of its suites through a real Envoy, and without bodies through the door of
//! `forward-auth`.

use std::fs;

use portcullis::ask::{self, Question};
use portcullis::demo::envoy::{BodyForm, CheckBody, LongerBody};
use portcullis::demo::issuer::LocalIssuer;

use super::suites::Pack;
use crate::house::until;
use crate::served::Served;

const ISSUER: &str = "https://iam.example.org/realms/birdhouse";

fn pack() -> Pack {
    Pack::read(super::folder("magpie"))
}

#[test]
fn every_row_is_held_somewhere() {
    let documented = (1..=38).map(|row| format!("M{row}"));
    let more = [("T", 6), ("G", 8), ("C", 15), ("K", 4), ("S", 9), ("X", 5)];
    let more = more
        .iter()
        .flat_map(|(letter, last)| (1..=*last).map(move |row| format!("{letter}{row}")));
    super::every_case_is_held_once("magpie", &documented.chain(more).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_through_envoy() {
    let pack = pack();
    let running = pack.run(ISSUER).await;
    let with_bodies = |mut options: portcullis::demo::envoy::EnvoyOptions| {
        options.body = Some(CheckBody {
            max_bytes: 65536,
            longer: LongerBody::Truncated,
            form: BodyForm::Bytes,
        });
        options
    };
    let Some(front) = running.house.envoy(with_bodies).await else {
        return;
    };
    for row in pack.rows.iter().filter(|row| !row.is_head()) {
        row.through_envoy(&running, &front).await;
    }
}

#[tokio::test]
async fn rows_through_forward_auth() {
    let pack = pack();
    let running = pack.run(ISSUER).await;
    for row in pack
        .rows
        .iter()
        .filter(|row| row.is_seen_by_apisix() && !row.has_body())
    {
        row.through_forward_auth(&running).await;
    }
}

async fn allowed(served: &Served, request: &str) -> bool {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "birdhouse.example.org".to_owned(),
        target: format!("/ows/proxy/finch?service=WPS&request={request}"),
        headers: Vec::new(),
    };
    let answer = ask::over_grpc(&served.grpc().to_string(), question).await;
    answer.expect("an answer").allowed
}

#[tokio::test]
async fn permissions_that_change_come_into_force() {
    let read =
        |name: &str| fs::read_to_string(super::folder("magpie").join(name)).expect("a file of the pack");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let mut config = read("portcullis.yaml").replace(ISSUER, issuer.issuer());
    for port in ["9191", "9192", "9193"] {
        config = config.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
    }
    config.push_str("\nreload: { poll_seconds: 0 }\n");
    let permissions = read("permissions.cfg");
    let files = [
        "schema.cedarschema",
        "magpie.cedar",
        "providers.cfg",
        "permissions.cfg",
    ]
    .map(|name| (name, read(name)));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let served = Served::start(&config, &files, &[]).await;
    assert!(allowed(&served, "GetCapabilities").await);
    assert!(!allowed(&served, "Execute&identifier=subset").await);
    let write = |text: &str| {
        let path = served.file("permissions.cfg");
        let new = path.with_extension("new");
        fs::write(&new, text).expect("a file");
        fs::rename(&new, path).expect("renamed");
    };
    // What is wrong changes nothing, although a line before it would.
    let more = "  - { service: finch, permission: execute, group: anonymous }\n";
    write(&format!(
        "{permissions}{more}  - {{ service: fnich, permission: execute, group: anonymous }}\n"
    ));
    until("the mistake is told", async || {
        served.log().contains("did you mean `finch`?")
    })
    .await;
    assert!(!allowed(&served, "Execute&identifier=subset").await);
    write(&format!("{permissions}{more}"));
    until("everybody may execute", async || {
        allowed(&served, "Execute&identifier=subset").await
    })
    .await;
    write(&permissions.replace(
        "permission: getcapabilities, group: anonymous",
        "permission: getcapabilities-deny, group: anonymous",
    ));
    until("nobody may look", async || {
        !allowed(&served, "GetCapabilities").await
    })
    .await;
    assert!(!allowed(&served, "Execute&identifier=subset").await);
}
