//! The other end of a COPY or MOVE: `Destination` (RFC 4918 section 10.3), or the `Source` of a copy that a server fetches from
//! another one.
//!
//! On our own server it is a path like that of the request, read as strictly. On another host only the host is
//! read: what a path means there is said there.

use std::fmt;

use model::{Decoding, Host, HttpRequest, RequestPath};

use crate::routes::HostPattern;

/// The ends that a request names in its headers.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    /// Where to; none if there is a source.
    pub destination: Option<End<'a>>,
    /// From where, instead of from the path of the request; always on another host.
    pub source: Option<End<'a>>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct End<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The path, on our own server only.
    pub path: Option<RequestPath<'a>>,
}

impl<'a> Ends<'a> {
    /// Reads the ends of a request that may have (`third_party`), or must not have, one on another server. The names of our own
    /// server are `hosts` and that of the request.
    ///
    /// # Errors
    /// What is wrong with them, for the log.
    pub(crate) fn read(
        request: &HttpRequest<'a>,
        third_party: bool,
        hosts: &[HostPattern],
    ) -> Result<Self, String> {
        let destination = End::of("destination", request, hosts)?;
        let source = End::of("source", request, hosts)?;
        match (&destination, &source) {
            (None, None) => Err(format!(
                "a {} without `Destination`; the proxy may not have passed the header on",
                request.method
            )),
            (_, Some(_)) if !third_party => Err(
                "the request has a `Source`, and this route is for one server only (`destination: local`)"
                    .to_owned(),
            ),
            (Some(_), Some(_)) => Err("the request has a `Destination` and a `Source`".to_owned()),
            (_, Some(End { path: Some(_), .. })) => {
                Err("the `Source` is on this server: a COPY from there names its destination".to_owned())
            }
            (Some(End { path: None, host }), _) if !third_party => Err(format!(
                "the `Destination` is on another host, {}, and this route is for one server only (`destination: local`)",
                host.as_str()
            )),
            _ => Ok(Self { destination, source }),
        }
    }
}

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("to", &self.destination), ("from", &self.source)];
        for (word, end) in named.iter().filter_map(|(word, end)| Some((word, end.as_ref()?))) {
            let place = end.path.as_ref().map_or(end.host.as_str(), RequestPath::as_str);
            write!(f, "{word} {place}")?;
        }
        Ok(())
    }
}

impl<'a> End<'a> {
    fn of(name: &str, request: &HttpRequest<'a>, hosts: &[HostPattern]) -> Result<Option<Self>, String> {
        let value = request.headers.single(name);
        let Some(value) = value.map_err(|several| format!("the header `{name}` is there {several} times"))?
        else {
            return Ok(None);
        };
        let end = Self::read(value, &request.host, hosts);
        end.map(Some)
            .map_err(|why| format!("the header `{name}` cannot be read: {why}"))
    }

    /// Reads an absolute URI or an absolute path.
    fn read(value: &'a [u8], own: &Host<'a>, hosts: &[HostPattern]) -> Result<Self, String> {
        // Proxies join headers that are there twice with a comma, and upstreams take one of the two.
        let fit = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
        let text = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|byte| fit(&byte)));
        let text = text.ok_or("it has something else than visible ASCII, or a comma (write %2C)")?;
        if text.starts_with('/') {
            return Self::here(text, own.clone());
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("it is neither an absolute URI nor an absolute path")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err("it does not begin with a scheme".to_owned());
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = Host::parse(authority).map_err(|refusal| refusal.to_string())?;
        if host.as_str() == own.as_str() || hosts.iter().any(|name| name.is_for(host.as_str())) {
            return Self::here(path, host);
        }
        Ok(Self { host, path: None })
    }

    fn here(target: &'a str, host: Host<'a>) -> Result<Self, String> {
        match RequestPath::parse_target(target.as_bytes(), Decoding::Raw) {
            Ok((path, None)) => Ok(Self {
                host,
                path: Some(path),
            }),
            Ok((_, Some(_))) => Err("it has a query".to_owned()),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
