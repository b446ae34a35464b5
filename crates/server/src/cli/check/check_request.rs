//! A `CheckRequest` as JSON (proto3's mapping, names in either spelling) -> the message that Envoy would have sent.

use std::collections::HashMap;

use prost::Message as _;
use proto::envoy::config::core::v3::address::Address as Place;
use proto::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, Metadata, SocketAddress};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use proto::google::protobuf::value::Kind;
use proto::google::protobuf::{ListValue, Struct, Value as ProtoValue};
use serde_json::{Map, Value};

/// A JSON value and where it is.
struct Part<'j> {
    at: String,
    value: &'j Value,
}

/// The bytes of the message.
///
/// # Errors
/// What is wrong, with line and column or with a JSON pointer.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, String> {
    if text.trim_start().starts_with("attributes") {
        return Err("this is protobuf's text format; write the CheckRequest as JSON".to_owned());
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let whole = Part {
        at: String::new(),
        value: &value,
    };
    let attributes = match whole.get("attributes")? {
        Some(attributes) => attributes,
        None if whole.get("request")?.is_some() => whole,
        None => return Err("there are no `attributes`: is that a CheckRequest?".to_owned()),
    };
    let request = CheckRequest {
        attributes: Some(attributes.attributes()?),
    };
    Ok(request.encode_to_vec())
}

impl<'j> Part<'j> {
    /// A member, in camelCase or snake_case; `null` is absent.
    fn get(&self, name: &str) -> Result<Option<Part<'j>>, String> {
        let Value::Object(members) = self.value else {
            return Err(format!("{}: an object is expected", self.place()));
        };
        let snake = snake(name);
        let found = members
            .get_key_value(name)
            .or_else(|| members.get_key_value(&snake));
        Ok(found
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| Part {
                at: format!("{}/{name}", self.at),
                value,
            }))
    }

    fn place(&self) -> &str {
        if self.at.is_empty() { "/" } else { &self.at }
    }

    fn text(&self) -> Result<String, String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(format!("{}: a text is expected", self.place())),
        }
    }

    /// The text of a member; empty without one.
    fn text_of(&self, name: &str) -> Result<String, String> {
        self.get(name)?.map_or(Ok(String::new()), |part| part.text())
    }

    /// `bytes` are base64 in JSON.
    fn bytes_of(&self, name: &str) -> Result<Vec<u8>, String> {
        use base64::Engine as _;
        let Some(part) = self.get(name)? else {
            return Ok(Vec::new());
        };
        base64::engine::general_purpose::STANDARD
            .decode(part.text()?)
            .map_err(|error| format!("{}: this is no base64: {error}", part.place()))
    }

    fn entries(&self) -> Result<Vec<(String, Part<'j>)>, String> {
        match self.value {
            Value::Object(members) => Ok(members
                .iter()
                .map(|(name, value)| {
                    let at = format!("{}/{name}", self.at);
                    (name.clone(), Part { at, value })
                })
                .collect()),
            _ => Err(format!("{}: an object is expected", self.place())),
        }
    }

    fn texts_of(&self, name: &str) -> Result<HashMap<String, String>, String> {
        let entries = self
            .get(name)?
            .map(|part| part.entries())
            .transpose()?
            .unwrap_or_default();
        entries
            .into_iter()
            .map(|(name, part)| Ok((name, part.text()?)))
            .collect()
    }

    fn attributes(&self) -> Result<AttributeContext, String> {
        let peer = |name| self.get(name)?.map(|part| part.peer()).transpose();
        let http = match self.get("request")? {
            Some(request) => request.get("http")?.map(|http| http.http()).transpose()?,
            None => None,
        };
        let mut context = AttributeContext {
            source: peer("source")?,
            destination: peer("destination")?,
            request: Some(Request { http }),
            context_extensions: self.texts_of("contextExtensions")?.into_iter().collect(),
            ..AttributeContext::default()
        };
        if let Some(metadata) = self.get("metadataContext")?
            && let Some(namespaces) = metadata.get("filterMetadata")?
        {
            let namespaces = namespaces.entries()?.into_iter();
            let namespaces = namespaces.map(|(name, part)| match part.value {
                Value::Object(members) => Ok((name, structure(members))),
                _ => Err(format!("{}: an object is expected", part.place())),
            });
            context.metadata_context = Some(Metadata {
                filter_metadata: namespaces.collect::<Result<_, String>>()?,
            });
        }
        if let Some(session) = self.get("tlsSession")? {
            context.tls_session = Some(TlsSession {
                sni: session.text_of("sni")?,
            });
        }
        Ok(context)
    }

    fn peer(&self) -> Result<Peer, String> {
        let mut peer = Peer {
            principal: self.text_of("principal")?,
            ..Peer::default()
        };
        if let Some(address) = self.get("address")?
            && let Some(socket) = address.get("socketAddress")?
        {
            let port = match socket.get("portValue")? {
                None => 0,
                Some(part) => part
                    .value
                    .as_u64()
                    .and_then(|port| u32::try_from(port).ok())
                    .ok_or_else(|| format!("{}: a port is expected", part.place()))?,
            };
            let found = SocketAddress {
                address: socket.text_of("address")?,
                port_value: port,
            };
            peer.address = Some(Address {
                address: Some(Place::SocketAddress(found)),
            });
        }
        Ok(peer)
    }

    fn http(&self) -> Result<HttpRequest, String> {
        let mut http = HttpRequest {
            method: self.text_of("method")?,
            path: self.text_of("path")?,
            host: self.text_of("host")?,
            scheme: self.text_of("scheme")?,
            query: self.text_of("query")?,
            body: self.text_of("body")?,
            raw_body: self.bytes_of("rawBody")?.into(),
            headers: self.texts_of("headers")?.into_iter().collect(),
            ..HttpRequest::default()
        };
        if let Some(map) = self.get("headerMap")?
            && let Some(list) = map.get("headers")?
        {
            let Value::Array(values) = list.value else {
                return Err(format!("{}: a list is expected", list.place()));
            };
            let mut headers = Vec::new();
            for (index, value) in values.iter().enumerate() {
                let at = format!("{}/{index}", list.at);
                let part = Part { at, value };
                headers.push(HeaderValue {
                    key: part.text_of("key")?,
                    value: part.text_of("value")?,
                    raw_value: part.bytes_of("rawValue")?.into(),
                });
            }
            http.header_map = Some(HeaderMap { headers });
        }
        Ok(http)
    }
}

fn structure(members: &Map<String, Value>) -> Struct {
    let fields = members
        .iter()
        .map(|(name, value)| (name.clone(), proto_value(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn proto_value(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(yes) => Kind::BoolValue(*yes),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(proto_value).collect(),
        }),
        Value::Object(members) => Kind::StructValue(structure(members)),
    };
    ProtoValue { kind: Some(kind) }
}

/// `rawBody` -> `raw_body`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        for text in [
            r#"{"attributes": {"source": {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 5}}},
                "request": {"http": {"method": "GET", "path": "/x", "host": "a.test", "rawBody": "aGk="}},
                "contextExtensions": {"tier": "gold"}, "metadataContext": {"filterMetadata": {"ns": {"a": ["b", 1]}}}}}"#,
            r#"{"source": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 5}}},
                "request": {"http": {"method": "GET", "path": "/x", "host": "a.test", "raw_body": "aGk="}},
                "context_extensions": {"tier": "gold"}, "metadata_context": {"filter_metadata": {"ns": {"a": ["b", 1]}}}}"#,
        ] {
            let message = CheckRequest::decode(parse(text).unwrap().as_slice()).unwrap();
            let attributes = message.attributes.unwrap();
            let http = attributes.request.unwrap().http.unwrap();
            assert_eq!((http.path.as_str(), http.raw_body.as_ref()), ("/x", &b"hi"[..]));
            assert_eq!(attributes.context_extensions["tier"], "gold");
            assert!(
                attributes.metadata_context.unwrap().filter_metadata["ns"]
                    .fields
                    .contains_key("a")
            );
            let place = attributes.source.unwrap().address.unwrap().address.unwrap();
            assert!(matches!(place, Place::SocketAddress(socket) if socket.address == "10.0.0.1"));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("{", "line 1 column 1"),
            ("{}", "there are no `attributes`"),
            ("[]", "/: an object is expected"),
            ("attributes { request {", "text format"),
            (
                r#"{"attributes": {"request": {"http": {"path": 1}}}}"#,
                "/attributes/request/http/path: a text is expected",
            ),
            (
                r#"{"attributes": {"request": {"http": {"rawBody": "?"}}}}"#,
                "/attributes/request/http/rawBody: this is no base64",
            ),
            (
                r#"{"attributes": {"request": {"http": {"headerMap": {"headers": [{"key": 1}]}}}}}"#,
                "/attributes/request/http/headerMap/headers/0/key: a text is expected",
            ),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
