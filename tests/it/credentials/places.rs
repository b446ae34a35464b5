//! A session in the browser: tokens in a cookie, or wherever else the settings of an issuer say.

use bytes::Bytes;
use portcullis::demo::envoy::{EnvoyOptions, HeaderForm};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;

use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{passed, record_of, refused};
use crate::house::TestHouse;

/// The issuer of the house takes its tokens as APIs and browsers send them. `portal` takes them from the cookie only, and
/// `batch` from places that only old clients use.
fn settings(portal: &LocalIssuer, batch: &LocalIssuer) -> impl FnOnce(String) -> String {
    let more = format!(
        "  - name: portal
    issuer: {}
    audiences: [workspace-api]
    trust_roles: true
    credentials: [cookie: session]
  - name: batch
    issuer: {}
    audiences: [workspace-api]
    trust_roles: true
    credentials: [header: x-access-token, query: access_token]
",
        portal.issuer(),
        batch.issuer()
    );
    move |text| {
        let name = "  - name: main ";
        assert!(text.contains(name), "the default configuration has changed");
        let first = "  - credentials: [bearer, cookie: session]\n    name: main ";
        text.replacen(name, first, 1)
            .replacen("\n\n# What can be asked for", &format!("\n{more}\n# What"), 1)
    }
}

const ALICES: &str = "/workspaces/ws-alice";

#[tokio::test]
async fn a_token_is_taken_from_the_places_of_its_issuer_and_no_other() {
    let portal = LocalIssuer::start().await.expect("an issuer");
    let batch = LocalIssuer::start().await.expect("an issuer");
    let house = TestHouse::with(settings(&portal, &batch), &[]).await;
    let of = |issuer: &LocalIssuer| people::alice(issuer).token;
    let (main, portal, batch) = (of(&house.issuer), of(&portal), of(&batch));
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let session = |token: &str| ("cookie", format!("session={token}"));
    let header = |token: &str| ("x-access-token", token.to_owned());
    let query = |token: &str| format!("{ALICES}?access_token={token}");
    let alices = || ALICES.to_owned();

    // Headers, target, and the issuer of who passes, or why nobody does.
    let rows = [
        (vec![bearer(&main)], alices(), Ok("main")),
        (vec![session(&main)], alices(), Ok("main")),
        (vec![session(&portal)], alices(), Ok("portal")),
        (vec![header(&batch)], alices(), Ok("batch")),
        (vec![], query(&batch), Ok("batch")),
        (vec![], format!("{}&page=2", query(&batch)), Ok("batch")),
        (
            vec![(
                "cookie",
                format!("theme=dark; session={main}; session2=x; Session=y"),
            )],
            alices(),
            Ok("main"),
        ),
        // An empty cookie is how a browser is logged out.
        (vec![session(""), bearer(&main)], alices(), Ok("main")),
        (vec![bearer(&portal)], alices(), Err("may be")),
        (vec![header(&portal)], alices(), Err("may be")),
        (vec![], query(&main), Err("may be")),
        (vec![header(&main)], alices(), Err("may be")),
        (vec![session(&batch)], alices(), Err("may be")),
        (vec![bearer(&batch)], alices(), Err("may be")),
        (
            vec![("cookie", format!("session={main}; session={main}"))],
            alices(),
            Err("several"),
        ),
        (
            vec![("cookie", format!("session={main}; theme=dark; session="))],
            alices(),
            Err("several"),
        ),
        (vec![session(&main), bearer(&main)], alices(), Err("several")),
        (vec![session(&portal), bearer(&main)], alices(), Err("several")),
        (vec![session(&main), header(&batch)], alices(), Err("several")),
        (vec![session(&main)], query(&batch), Err("several")),
        (vec![header(&batch)], query(&batch), Err("several")),
        (
            vec![],
            format!("{}&access_token={batch}", query(&batch)),
            Err("more than one way"),
        ),
        (vec![], format!("{ALICES}?access%5Ftoken={batch}"), Ok("batch")),
        (
            vec![],
            format!("{}&access%5Ftoken={batch}", query(&batch)),
            Err("more than one way"),
        ),
        (
            vec![],
            format!("{ALICES}?page=2;access_token={batch}"),
            Err("more than one way"),
        ),
        (vec![], format!("{ALICES}?access_token="), Err("no token")),
        (vec![header("")], alices(), Err("no token")),
        (
            vec![session(&main), ("authorization", "Basic YTpi".to_owned())],
            alices(),
            Err("Bearer scheme"),
        ),
        (vec![session("junk")], alices(), Err("segments")),
        (vec![session(&format!("\"{main}\""))], alices(), Err("")),
    ];
    for form in [HeaderForm::Joined, HeaderForm::Raw] {
        let front = house.envoy(|options| EnvoyOptions {
            headers: form,
            ..options
        });
        let Some(front) = front.await else { return };
        for (number, (headers, target, expected)) in rows.iter().enumerate() {
            let row = format!("row {number} {form:?}");
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let got = front.send("GET", target, &headers, Bytes::new()).await;
            match expected {
                Ok(issuer) => {
                    let principal = format!("{issuer}/{}", people::ALICE);
                    let told = [("x-auth-principal", principal.as_str()), ("x-auth-type", "User")];
                    passed(&got, &told, &row);
                }
                Err(why) => refused(&house, &got, why, &row),
            }
        }
        logged_out(&house, &front).await;
    }
}

/// Without a token in the cookie there is nobody.
async fn logged_out(house: &TestHouse, front: &crate::house::Front) {
    for cookie in [
        "session=",
        "theme=dark; session=",
        "Session=x",
        "session",
        "xsession=x",
    ] {
        let headers = [("cookie", cookie)];
        let got = front.send("GET", "/public/hello", &headers, Bytes::new()).await;
        passed(&got, &[("x-auth-type", "Anonymous")], cookie);
        assert_eq!(got.at_upstream("x-auth-principal"), [""; 0], "{cookie}");
        let got = front.send("GET", ALICES, &headers, Bytes::new()).await;
        assert_eq!((got.status, got.seen.is_some()), (401, false), "{cookie}");
        assert_eq!(record_of(house, &got)["reason"], "credential_missing", "{cookie}");
    }
}

/// HTTP/1.1 has one `Cookie` header (RFC 6265 section 5.4). Envoy joins two by a comma unless it sends them raw, and then
/// the second has no name: nobody may become somebody else by that.
#[tokio::test]
async fn a_second_cookie_header_opens_nothing() {
    let (portal, batch) = (LocalIssuer::start().await, LocalIssuer::start().await);
    let (portal, batch) = (portal.expect("an issuer"), batch.expect("an issuer"));
    let house = TestHouse::with(settings(&portal, &batch), &[]).await;
    let session = |token: String| format!("session={token}");
    let alices = session(people::alice(&house.issuer).token);
    let admins = session(people::admin(&house.issuer).token);
    for (form, second) in [(HeaderForm::Joined, 401), (HeaderForm::Raw, 200)] {
        let front = house.envoy(|options| EnvoyOptions {
            headers: form,
            ..options
        });
        let Some(front) = front.await else { return };
        for (first, then, status) in [
            (&alices, &alices, 401),
            (&alices, &admins, 401),
            (&admins, &alices, 401),
            (&alices, &"session=".to_owned(), 401),
            (&"theme=dark".to_owned(), &alices, second),
        ] {
            let headers = [("cookie", first.as_str()), ("cookie", then.as_str())];
            let got = front.send("GET", ALICES, &headers, Bytes::new()).await;
            let row = format!("{form:?}: {:.12} and {:.12}", first, then);
            assert_eq!((got.status, got.seen.is_some()), (status, status == 200), "{row}");
            if status == 200 {
                passed(&got, &[("x-auth-name", "alice")], &row);
            }
        }
    }
}

/// Over HTTP/2 browsers send each cookie as a header of its own (RFC 9113 section 8.2.3). Any HTTP/2 request will do, and a
/// client for gRPC is at hand.
#[tokio::test]
async fn cookies_that_a_browser_split_are_one_header() {
    let (portal, batch) = (LocalIssuer::start().await, LocalIssuer::start().await);
    let (portal, batch) = (portal.expect("an issuer"), batch.expect("an issuer"));
    let house = TestHouse::with(settings(&portal, &batch), &[]).await;
    let session = format!("session={}", people::admin(&portal).token);
    for form in [HeaderForm::Joined, HeaderForm::Raw] {
        let front = house.envoy(|options| EnvoyOptions {
            headers: form,
            ..options
        });
        let Some(front) = front.await else { return };
        let address = format!("http://{}", front.envoy.address());
        for (cookies, passes) in [
            (vec!["theme=dark", &session, "lang=en"], true),
            (vec!["theme=dark", "lang=en", &session], true),
            (vec![&session, "theme=dark", &session], false),
            (vec![&session, "theme=dark", "session="], false),
        ] {
            let row = format!("{} cookies, {form:?}, passes: {passes}", cookies.len());
            let before = front.echo.requests();
            let endpoint = Endpoint::from_shared(address.clone()).expect("an address");
            let origin = format!("{address}/workspaces/ws-alice")
                .parse()
                .expect("an origin");
            let channel = endpoint.connect().await.expect("a connection");
            let mut request = tonic::Request::new(CheckRequest::default());
            for cookie in cookies {
                let cookie = cookie.parse().expect("a value");
                request.metadata_mut().append("cookie", cookie);
            }
            // The upstream answers with what it saw, which is no gRPC.
            let answer = AuthorizationClient::with_origin(channel, origin)
                .check(request)
                .await;
            let code = answer.expect_err(&row).code();
            assert_eq!(code == Code::Unauthenticated, !passes, "{row}: {code:?}");
            assert_eq!(front.echo.requests() - before, usize::from(passes), "{row}");
            let record = house.memory.last().expect("a record");
            let admin = format!("User::\"portal/{}\"", people::ADMIN);
            assert_eq!(record["principal"] == admin, passes, "{row}: {record}");
        }
    }
}
