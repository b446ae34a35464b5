//! OPA's REST shape (`POST /v1/data/…`), as the `opa` plugins of APISIX and Kong ask: the request that is asked about is
//! a JSON document, and so is the answer.
//!
//! * APISIX: `{"input":{"type":"http","request":{scheme,method,host,path,headers,query},"var":{remote_addr}}}`. The path
//!   is decoded and has no query; the query is an object of decoded arguments.
//! * Kong: `{"input":{"request":{"http":{scheme,method,host,path,querystring,headers}}}}`. The path is as sent; nobody
//!   says who the client is.
//!
//! Both give a header or an argument that is there once as a string and one that is there several times as an array.
//! More members may be there and are not looked at.

mod json;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{
    Body, Check, Contract, Decoding, Headers, Host, HttpRequest, Malformed, NoMetadata, Pairs, Peer, Reason,
    RequestPath, Target,
};

use self::json::Json;
use super::Asked;

/// Both plugins ask nginx's Lua for headers and arguments, which hands out the first hundred and drops the rest: what
/// is not there may have been sent all the same.
const MOST: usize = 100;

/// The document, in the parts that a [`Check`] borrows.
#[derive(Debug)]
pub(super) struct Document<'a> {
    contract: Contract,
    request: BTreeMap<Cow<'a, str>, Json<'a>>,
    address: Option<IpAddr>,
    /// The arguments, written so that policies read back the names and values that the plugin decoded.
    query: Option<String>,
}

impl<'a> Asked<'a> {
    /// Reads the body.
    pub(super) fn document(&self) -> Result<Document<'a>, Malformed> {
        let json = json::parse(self.body)
            .map_err(|error| self.malformed(format!("the body was refused: {error}")))?;
        let mut input = self.object(self.object(Some(json), "the body")?.remove("input"), "input")?;
        let request = self.object(input.remove("request"), "input.request")?;
        let (mut request, address, arguments) = if self.contract == Contract::ApisixOpa {
            if !matches!(input.get("type"), Some(Json::Text(kind)) if kind == "http") {
                return Err(self.malformed("input.type is not \"http\"".to_owned()));
            }
            let var = self.object(input.remove("var"), "input.var")?;
            (request, Some(self.remote_addr(&var)?), "query")
        } else {
            let mut request = request;
            let http = self.object(request.remove("http"), "input.request.http")?;
            (http, None, "querystring")
        };
        let query = request.remove(arguments);
        let query = self.query(query, arguments)?;
        Ok(Document {
            contract: self.contract,
            request,
            address,
            query,
        })
    }

    fn object(
        &self,
        value: Option<Json<'a>>,
        what: &str,
    ) -> Result<BTreeMap<Cow<'a, str>, Json<'a>>, Malformed> {
        match value {
            Some(Json::Object(members)) => Ok(members),
            // Lua has one kind of table, and writes an empty one either way.
            Some(Json::List(list)) if list.is_empty() => Ok(BTreeMap::new()),
            _ => Err(self.malformed(format!(
                "{what} is not a JSON object: is this the contract of the plugin that asks?"
            ))),
        }
    }

    fn remote_addr(&self, var: &BTreeMap<Cow<'a, str>, Json<'a>>) -> Result<IpAddr, Malformed> {
        let address = match var.get("remote_addr") {
            Some(Json::Text(text)) => text.parse::<IpAddr>().ok(),
            _ => None,
        };
        let address =
            address.ok_or_else(|| self.malformed("input.var.remote_addr is no address".to_owned()))?;
        Ok(address.to_canonical())
    }

    /// The text of the query as the client sent it is not known. What is made here is a text that is read back as the
    /// same names and values; a `;` stays itself, so that it is still found to be ambiguous.
    fn query(&self, arguments: Option<Json<'a>>, what: &str) -> Result<Option<String>, Malformed> {
        let arguments = match arguments {
            None => return Ok(None),
            some => self.object(some, what)?,
        };
        let mut query = String::new();
        let mut count = 0;
        for (name, value) in &arguments {
            for value in several(value) {
                if !query.is_empty() {
                    query.push('&');
                }
                encode(name, &mut query);
                match value {
                    // Without a `=`.
                    Json::True => {}
                    Json::Text(value) => {
                        query.push('=');
                        encode(value, &mut query);
                    }
                    _ => return Err(self.malformed(format!("a value in {what} is no string"))),
                }
                count += 1;
            }
        }
        if count >= MOST {
            return Err(self.malformed(format!(
                "{MOST} or more in {what}, of which the plugin may have dropped some"
            )));
        }
        Ok((count > 0).then_some(query))
    }
}

impl Document<'_> {
    /// What the document asks.
    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<Check<'_>, Malformed> {
        let decoding = match self.contract {
            Contract::ApisixOpa => Decoding::Decoded,
            _ => Decoding::Raw,
        };
        let target = self.text("path", asked)?;
        if target.contains('?') {
            // Decoded from `%3F`; the path would seem to end there.
            return Err(asked.refused(
                Reason::AmbiguousPath,
                "the path was refused: it has a `?`".to_owned(),
            ));
        }
        let (path, _) = RequestPath::parse_target(target.as_bytes(), decoding).map_err(|refusal| {
            asked.refused(Reason::AmbiguousPath, format!("the path was refused: {refusal}"))
        })?;
        let host = Host::parse(self.text("host", asked)?).map_err(|refusal| {
            asked.refused(Reason::InvalidHost, format!("the host was refused: {refusal}"))
        })?;
        let body = match self.request.get("body") {
            None => Body::Absent,
            Some(Json::Text(body)) if body.is_empty() => Body::Absent,
            Some(Json::Text(body)) => Body::Whole(body.as_bytes()),
            Some(_) => return Err(asked.malformed("the `body` of the request is no string".to_owned())),
        };
        Ok(Check {
            contract: self.contract,
            target: Target::Http(HttpRequest {
                method: asked.token(self.text("method", asked)?)?,
                scheme: asked.scheme(self.text("scheme", asked)?.as_bytes())?,
                host,
                path,
                query: self.query.as_deref(),
                headers: self.headers(asked)?,
                body,
            }),
            peer: Peer {
                address: self.address,
                principal: "",
            },
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: Some(super::PATIENCE),
            traceparent: None,
            listener: asked.listener,
        })
    }

    fn text(&self, name: &str, asked: &Asked<'_>) -> Result<&str, Malformed> {
        match self.request.get(name) {
            Some(Json::Text(text)) => Ok(text),
            _ => Err(asked.malformed(format!("the request has no string `{name}`"))),
        }
    }

    fn headers(&self, asked: &Asked<'_>) -> Result<Headers<'_>, Malformed> {
        let mut headers = Headers::default();
        let members = match self.request.get("headers") {
            Some(Json::Object(members)) => members,
            Some(Json::List(list)) if list.is_empty() => return Ok(headers),
            _ => return Err(asked.malformed("the request has no object `headers`".to_owned())),
        };
        let mut count = 0;
        for (name, values) in members {
            for value in several(values) {
                let Json::Text(value) = value else {
                    return Err(asked.malformed("a header's value is no string".to_owned()));
                };
                if !crate::is_token(name.as_bytes()) {
                    return Err(asked.malformed(format!("the header name {name:?} is not a token")));
                }
                if !crate::is_field_value(value.as_bytes()) {
                    return Err(asked.malformed(format!("the header {name:?} has a control character")));
                }
                // It is in `host` already.
                if !name.eq_ignore_ascii_case("host") {
                    headers.push(name, value.as_bytes());
                } else if several(values).len() > 1 {
                    return Err(asked.refused(Reason::InvalidHost, "there are several hosts".to_owned()));
                }
                count += 1;
            }
        }
        if count >= MOST {
            return Err(asked.malformed(format!(
                "{MOST} or more headers, of which the plugin may have dropped some"
            )));
        }
        Ok(headers)
    }
}

/// The values of a header or an argument.
fn several<'j, 'a>(value: &'j Json<'a>) -> &'j [Json<'a>] {
    match value {
        Json::List(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3), and not `;`.
fn encode(text: &str, query: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~;".contains(&byte) {
            query.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
            query.extend([
                '%',
                digit(byte >> 4).to_ascii_uppercase(),
                digit(byte & 0xF).to_ascii_uppercase(),
            ]);
        }
    }
}
