//! Messages that the generated types cannot hold.

use model::{ListenerOptions, Malformed};
use prost::Message;

use super::{CheckRequest, sample};
use crate::envoy::Call;
use crate::wire::Put;

/// A request with an HTTP request written by hand.
pub(super) fn http(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_message(1, |attributes| {
        attributes.put_message(4, |request| request.put_message(2, fill))
    });
    bytes
}

/// Method, path and host, as little as is answered.
pub(super) fn least(http: &mut Vec<u8>) {
    http.put_bytes(2, b"GET");
    http.put_bytes(4, b"/");
    http.put_bytes(5, b"h");
}

/// The sample with hand-written attributes behind it, which protobuf merges.
pub(super) fn and(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = sample().encode_to_vec();
    bytes.put_message(1, fill);
    bytes
}

pub(super) fn and_http(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    and(|attributes| attributes.put_message(4, |request| request.put_message(2, fill)))
}

pub(super) fn refusal(bytes: &[u8]) -> Option<Malformed> {
    match CheckRequest::read(bytes) {
        Ok(request) => request.check(Call::default(), ListenerOptions::default()).err(),
        Err(malformed) => Some(malformed),
    }
}
