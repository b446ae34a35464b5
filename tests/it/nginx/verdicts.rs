//! Who gets through, as whom, and what nothing changes.

use super::{front, house};
use crate::proxies;

const ROWS: &str = "
    alice          GET     /workspaces/ws-alice                        200 permitted
    alice          GET     /workspaces/ws-alice?a=/../b&c=%2f          200 permitted
    alice          PUT     /workspaces/ws-alice                        200 permitted
    client         GET     /catalogue/x                                200 permitted
    nobody         GET     /public/hello                               200 permitted
    nobody         GET     /public/caf%C3%A9                           200 permitted
    nobody         GET     /public/café                                403 ambiguous_path
    nobody         GET     /public/%61                                 200 permitted
    nobody         GET     /workspaces/ws-alice                        401 credential_missing
    nobody         HEAD    /workspaces/ws-alice                        401 credential_missing
    expired        GET     /public/hello                               401 credential_refused
    forged         GET     /workspaces/ws-alice                        401 credential_refused
    alg:none       GET     /workspaces/ws-alice                        401 credential_refused
    alice          GET     /workspaces/ws-bob                          403 no_permit
    alice          DELETE  /workspaces/ws-alice                        403 no_permit
    alice          PURGE   /workspaces/ws-alice                        403 no_method
    alice          GET     /unknown                                    403 no_route
    # The door itself is not one for clients: it is a path like others, and nginx says 404.
    alice          GET     /portcullis                                 404 -
    alice          GET     /nginx                                      403 no_route
";

#[tokio::test(flavor = "multi_thread")]
async fn verdicts() {
    let house = house(&[]).await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_verdicts(&house, &proxy, "nginx", ROWS).await;
    proxies::check_bodies(&house, &proxy).await;
}

/// nginx refuses some of these itself, with 400 and without asking; whatever it asks about is refused with 403.
const HOSTILE: &str = "
    alice          GET     /public/../workspaces/ws-bob                403 ambiguous_path
    alice          GET     /public/%2e%2e/workspaces/ws-bob            403 ambiguous_path
    alice          GET     /public/..%2fworkspaces                     403 ambiguous_path
    alice          GET     /public/..%2Fworkspaces                     403 ambiguous_path
    alice          GET     /public/..%5cworkspaces                     403 ambiguous_path
    alice          GET     /public/..\\workspaces                      403 ambiguous_path
    alice          GET     /public/..;/workspaces                      403 ambiguous_path
    alice          GET     /public/a;b                                 403 ambiguous_path
    alice          GET     //workspaces/ws-alice                       403 ambiguous_path
    alice          GET     /workspaces//ws-alice                       403 ambiguous_path
    alice          GET     /./workspaces/ws-alice                      403 ambiguous_path
    alice          GET     /workspaces/ws-alice%252fx                  403 ambiguous_path
    nobody         GET     /public/#/workspaces                        403 ambiguous_path
    alice          GET     /public/../../workspaces                    400 -
    alice          GET     /public/%00                                 400 -
    alice          GET     /public/%zz                                 400 -
    alice          GET     /workspaces/ws-bob%2f..%2fws-alice          403 ambiguous_path
    # What nginx would take for its own door, and for the path in front of it.
    alice          GET     /portcullis/../public/hello                 403 ambiguous_path
    alice          GET     /public/../portcullis                       404 -
    alice          GET     /%70ortcullis                               404 -
";

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_gets_around() {
    let house = house(&[]).await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_verdicts(&house, &proxy, "nginx", HOSTILE).await;
    proxies::check_authorities(&proxy).await;
    proxies::check_whole_urls(&house, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = house(&[]).await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_spoofing(&house, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_other_contracts_change_nothing() {
    let house = house(&[]).await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_foreign_headers(&house, &proxy).await;
}
