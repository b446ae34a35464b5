//! Who may use what of the admin listener: probes are for everybody, the rest is for this very host, and for others who come by
//! TLS with a credential that the policies about the house permit it.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use decide::{HouseAction, HouseResource};

use crate::authority::admin_api::Refused;
use crate::authority::asking::{Asked, Asker};
use crate::http_server::Connected;

/// What the policies are asked about a path.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) asker: Asker,
    pub(super) action: HouseAction,
    /// The kind of the `Portcullis::Item`; what comes after it in the path is its name.
    pub(super) kind: &'static str,
}

/// Refuses whoever asks from another host without encryption: neither what requests look like nor a credential goes over a
/// network that anybody may listen to. And whoever asks from here for a page of somewhere else.
pub(super) async fn here_or_encrypted(
    Extension(connected): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    let told = match (connected.is_here(), connected.encrypted) {
        (true, encrypted) => of_a_page(request.uri(), request.headers(), encrypted),
        (false, true) => None,
        (false, false) => Some("only from the loopback address, or by TLS (`admin_options.tls`)\n"),
    };
    match told {
        Some(told) => (StatusCode::FORBIDDEN, told).into_response(),
        None => next.run(request).await,
    }
}

/// Why a request from this host may be one of a page in a browser: nobody asks a browser for a credential, and what answers on the
/// loopback address can be given any name in the DNS. By TLS it would not have the certificate for that.
fn of_a_page(uri: &Uri, headers: &HeaderMap, encrypted: bool) -> Option<&'static str> {
    if headers.contains_key(header::ORIGIN) {
        return Some("not for pages in a browser (`Origin`)\n");
    }
    let hosts = headers.get_all(header::HOST).iter();
    let mut names = hosts
        .map(|host| host.to_str().unwrap_or_default())
        .chain(uri.authority().map(Authority::as_str))
        .peekable();
    if encrypted || (names.peek().is_some() && names.all(is_no_name)) {
        return None;
    }
    Some(
        "only with an IP address or `localhost` as `Host`: any other name may be that of a page in a browser\n",
    )
}

/// True for an IP address and for `localhost`, with a port or without.
fn is_no_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = bare.unwrap_or(name).parse::<IpAddr>();
    !host.contains('@') && (address.is_ok() || name.eq_ignore_ascii_case("localhost"))
}

/// Asks the policies about whoever asks from another host.
pub(super) async fn permitted(
    State(question): State<Question>,
    Extension(connected): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    if connected.is_here() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let name = parts
        .uri
        .path()
        .trim_start_matches('/')
        .split_once('/')
        .map(|(_, name)| name);
    let resource = HouseResource::item(question.kind, name);
    let asked = Asked {
        parts: &parts,
        peer: connected.peer,
    };
    match question.asker.ask(asked, question.action, &resource).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(denied) => Refused::from(denied).into_response(),
    }
}

#[cfg(test)]
mod tests;
