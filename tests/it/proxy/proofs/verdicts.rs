//! Who gets through, and what the others are told.

use crate::envoy::DECISION_ID;
use crate::house::{Got, TestHouse};
use crate::proxy::{Denials, Program, Proxy};

/// Rows that are the same behind every proxy.
const EVERYWHERE: &str = "
    alice          GET       /workspaces/ws-alice                      200 permitted
    alice          GET       /workspaces/ws-alice?a=/../b&c=%2f        200 permitted
    alice          GET       /workspaces/ws-alice?a=/b&a=%2F           200 permitted
    alice          PUT       /workspaces/ws-alice                      200 permitted
    alice          PUT       /workspaces/ws-alice/file                 200 permitted
    client         GET       /catalogue/x                              200 permitted
    nobody         GET       /public/hello                             200 permitted
    nobody         GET       /public/caf%C3%A9                         200 permitted
    nobody         GET       /workspaces/ws-alice                      401 credential_missing
    nobody         HEAD      /workspaces/ws-alice                      401 credential_missing
    expired        GET       /public/hello                             401 credential_refused
    expired        GET       /workspaces/ws-alice                      401 credential_refused
    forged         GET       /workspaces/ws-alice                      401 credential_refused
    alg:none       GET       /workspaces/ws-alice                      401 credential_refused
    alg:none       GET       /public/hello                             401 credential_refused
    alice          GET       /workspaces/ws-bob                        403 no_permit
    alice          DELETE    /workspaces/ws-alice                      403 no_permit
    alice          PURGE     /workspaces/ws-alice                      403 no_method
    alice          PROPFIND  /workspaces/ws-alice                      403 no_method
    alice          GET       /nowhere                                  403 no_route
";

/// What a client may read of a denial for this reason, and find in the challenge.
const TOLD: [(&str, &str, &str); 3] = [
    ("credential_missing", "a credential is needed", "Bearer realm"),
    ("credential_refused", "refused", "invalid_token"),
    ("no_permit", "access denied", ""),
];

/// The rows that are the same behind every proxy, and these. A row is who, method, target, status at the client and
/// reason in the record; `-` means that the proxy answered by itself. What passes reaches the upstream byte for byte, and
/// the record is of this proxy's contract.
pub(crate) async fn verdicts(program: &'static Program, rows: &str) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    judged(program, &house, &proxy, EVERYWHERE).await;
    judged(program, &house, &proxy, rows).await;
}

async fn judged(program: &Program, house: &TestHouse, proxy: &Proxy, rows: &str) {
    let rows = rows.lines().map(str::trim);
    for row in rows.filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let [who, method, target, status, reason] = fields[..] else {
            panic!("{row}")
        };
        let got = proxy.send_as(house, who, method, target, &[]).await;
        assert_eq!(got.status.to_string(), status, "{row}: {got:?}");
        let told = got.header(DECISION_ID).map(str::to_owned);
        let id = match &got.seen {
            Some(seen) => seen.headers.get(DECISION_ID).map(|ids| ids.concat()),
            None => told,
        };
        if reason == "-" {
            assert!(id.is_none() && got.seen.is_none(), "{row}: {got:?}");
            continue;
        }
        let id = id.unwrap_or_else(|| panic!("{row}: no decision: {got:?}"));
        let record = house.record(&id);
        assert_eq!(record["reason"], reason, "{row}: {record}");
        assert_eq!(record["contract"], program.contract, "{row}");
        // Of a request that cannot be read there is no more than that.
        if !["ambiguous_path", "malformed"].contains(&reason) {
            assert_eq!(record["client_ip"], "127.0.0.1", "{row}");
        }
        assert_eq!(got.seen.is_some(), status == "200", "{row}: {got:?}");
        let Some(seen) = &got.seen else {
            denial(program, &got, method, reason, row);
            continue;
        };
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            (method, target),
            "{row}"
        );
        assert_eq!(record["host"], "api.example.test", "{row}");
        assert_eq!(got.header("www-authenticate"), None, "{row}: {got:?}");
    }
}

/// The challenge comes with a 401 and with nothing else; where the text is Portcullis', it is all of it.
fn denial(program: &Program, got: &Got, method: &str, reason: &str, row: &str) {
    let told = TOLD.iter().find(|(of, ..)| *of == reason);
    let (_, text, challenge) = told.unwrap_or(&("", "", ""));
    assert_eq!(
        got.header("www-authenticate").is_some(),
        got.status == 401,
        "{row}: {got:?}"
    );
    let got_challenge = got.header("www-authenticate").unwrap_or_default();
    assert!(
        got.status != 401 || got_challenge.starts_with("Bearer "),
        "{row}: {got:?}"
    );
    assert!(got_challenge.contains(challenge), "{row}: {got:?}");
    if program.denials == Denials::OwnPage {
        return;
    }
    assert_eq!(
        got.header("content-type"),
        Some("text/plain; charset=utf-8"),
        "{row}: {got:?}"
    );
    assert_eq!(got.header("cache-control"), Some("no-store"), "{row}: {got:?}");
    let body = String::from_utf8_lossy(&got.body);
    let whole = reason != "credential_refused" && !text.is_empty();
    assert!(
        method == "HEAD" || (body.contains(text) && (!whole || body == *text)),
        "{row}: {body}"
    );
}
