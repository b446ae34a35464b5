//! Browsers without a session are sent to their login instead of being told 401.

use model::{Check, HttpRequest, Target};

use super::live::Live;
use crate::routes::{Found, percent_encode};

/// Longest URL, percent-encoded, that is passed on to a login; a longer one loses its query first.
const MAX_URL_BYTES: usize = 4 * 1024;

impl Live {
    /// Where to go instead of `status`, if the route of the request has a login and a person is waiting for a page.
    pub(super) fn login(&self, check: &Check<'_>, status: u16) -> Option<Box<str>> {
        let Target::Http(request) = &check.target else {
            return None;
        };
        if status != 401 || !is_navigation(request) {
            return None;
        }
        let (host, path) = (request.host.as_str(), self.comparable(check));
        let Found::Route(route, ..) = self.rules.routes.find(host, &path, request.method) else {
            return None;
        };
        let scheme = match request.scheme {
            "http" => "http",
            _ => "https",
        };
        // The port of the scheme is not written in URLs.
        let port = request.host.port().filter(|port| match scheme {
            "http" => *port != 80,
            _ => *port != 443,
        });
        let host = match port {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        // Where tokens may be in the query, it is nobody else's business.
        let query = request.query.filter(|_| !self.identity.takes_query());
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let whole = percent_encode(&format!("{scheme}://{host}{}{query}", request.path));
        let url = if whole.len() <= MAX_URL_BYTES {
            whole
        } else {
            percent_encode(&format!("{scheme}://{host}{}", request.path))
        };
        // A header that a proxy finds too long would be a failure to it, and a failure may be a pass.
        (url.len() <= MAX_URL_BYTES).then_some(())?;
        Some(route.login.as_ref()?.fill(|_| &url).into())
    }
}

/// What a browser sends for a page, and not a script for its data.
fn is_navigation(request: &HttpRequest<'_>) -> bool {
    let takes_html = |value: &[u8]| value.windows(9).any(|part| part == b"text/html");
    request.method == "GET" && request.headers.all("accept").any(takes_html)
}
