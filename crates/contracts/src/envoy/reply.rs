//! [`Decision`] -> `CheckResponse`, written the way every Envoy since 1.20 reads it.
//!
//! * The default of `CheckResponse` is an allow (a missing `status` is code 0), so there is one way to make one: from a
//!   decision, with the code always written.
//! * A header set carries `append: false` *and* `OVERWRITE_IF_EXISTS_OR_ADD`: Envoy 1.37.0 adds a second value for any
//!   other combination, and the client's own would survive beside ours.
//! * Envoy removes after it sets: no name is both set and removed ([`model::HeaderEdits`] sees to that).
//! * `value` is read, `raw_value` is not; query parameters are taken verbatim.

use model::{DECISION_ID_HEADER, Decision, HeaderEdits, Reason, Reply, RouteEdits};

use crate::wire::Put;

/// Room for what an answer has besides its identity headers.
const USUAL_BYTES: usize = 512;

/// The bytes of the `CheckResponse` for `decision`, behind those of `head`.
pub(crate) fn encode(decision: &Decision, head: &[u8]) -> Vec<u8> {
    let mut id = [0; 36];
    let id = decision.id().encode(&mut id);
    let mut out = Vec::new();
    match decision.reply(id) {
        Reply::Allow { edits, route } => {
            let edits = edits.encoded(identity_headers);
            let route = route.encoded(route_edits);
            out.reserve(head.len() + USUAL_BYTES + edits.len() + route.len());
            out.extend_from_slice(head);
            out.put_message(1, |status| status.put_varint(1, 0));
            out.put_message(3, |ok| {
                ok.extend_from_slice(edits);
                header(ok, 2, DECISION_ID_HEADER, id, Append::Overwrite);
                ok.extend_from_slice(route);
            });
        }
        Reply::Deny {
            status,
            reason,
            redirect,
            body,
            headers,
        } => {
            out.reserve(head.len() + USUAL_BYTES);
            out.extend_from_slice(head);
            out.put_message(1, |rpc| {
                rpc.put_varint(1, code(status));
                rpc.put_bytes(2, reason.as_str().as_bytes());
            });
            out.put_message(2, |denied| {
                let shown = if redirect.is_some() { 302 } else { status };
                denied.put_message(1, |http| http.put_varint(1, u64::from(shown)));
                if let Some(location) = redirect {
                    header(denied, 2, "location", location, Append::Overwrite);
                }
                for (name, value) in headers {
                    header(denied, 2, name, value, Append::Overwrite);
                }
                denied.put_bytes(3, body.as_bytes());
            });
        }
    }
    dynamic_metadata(&mut out, decision, id);
    out
}

// OkHttpResponse { headers = 2, headers_to_remove = 5 }
fn identity_headers(edits: &HeaderEdits) -> Vec<u8> {
    let mut ok = Vec::new();
    for (name, value) in edits.set() {
        header(&mut ok, 2, name, value, Append::Overwrite);
    }
    for name in edits.remove() {
        ok.put_bytes(5, name.as_bytes());
    }
    ok
}

// OkHttpResponse { response_headers_to_add = 6, query_parameters_to_set = 7, query_parameters_to_remove = 8 }
fn route_edits(edits: &RouteEdits) -> Vec<u8> {
    let mut ok = Vec::new();
    for (name, value) in &edits.response_headers {
        let several = edits.response_headers.iter().filter(|(n, _)| n == name).count() > 1;
        header(
            &mut ok,
            6,
            name,
            value,
            if several { Append::Add } else { Append::Overwrite },
        );
    }
    for (key, value) in &edits.set_query {
        ok.put_message(7, |parameter| {
            parameter.put_bytes(1, key.as_bytes());
            parameter.put_bytes(2, value.as_bytes());
        });
    }
    for key in &edits.remove_query {
        ok.put_bytes(8, key.as_bytes());
    }
    ok
}

/// What happens to values that are already there.
#[derive(Clone, Copy)]
enum Append {
    /// They go.
    Overwrite,
    /// They stay (only for headers of the client's response, such as several cookies).
    Add,
}

// HeaderValueOption { header = 1 { key = 1, value = 2 }, append = 2 { value = 1 }, append_action = 3 }
fn header(out: &mut Vec<u8>, field: u32, name: &str, value: &str, append: Append) {
    out.put_message(field, |option| {
        option.put_message(1, |header| {
            header.put_bytes(1, name.as_bytes());
            header.put_bytes(2, value.as_bytes());
        });
        match append {
            Append::Overwrite => {
                option.put_message(2, |_false| {});
                option.put_varint(3, 2);
            }
            Append::Add => option.put_message(2, |append| append.put_varint(1, 1)),
        }
    });
}

/// `google.rpc.Code` for an HTTP status: anything but 0 denies, the rest is for whoever reads Envoy's logs.
fn code(status: u16) -> u64 {
    match status {
        400 => 3,
        401 => 16,
        404 => 5,
        429 => 8,
        _ => 7,
    }
}

// CheckResponse { dynamic_metadata = 4: Struct { fields = 1 } }; Envoy puts it under envoy.filters.http.ext_authz.
fn dynamic_metadata(out: &mut Vec<u8>, decision: &Decision, id: &str) {
    let reason: Reason = decision.reason();
    out.put_message(4, |fields| {
        metadata_field(fields, "decision_id", |value| value.put_bytes(3, id.as_bytes()));
        metadata_field(fields, "reason", |value| {
            value.put_bytes(3, reason.as_str().as_bytes())
        });
        metadata_field(fields, "policies", |value| {
            // Value { list_value = 6: ListValue { values = 1 } }
            value.put_message(6, |list| {
                for policy in decision.policies() {
                    list.put_message(1, |value| value.put_bytes(3, policy.as_bytes()));
                }
            });
        });
        metadata_field(fields, "version", |value| {
            value.put_bytes(3, decision.version().0.as_bytes())
        });
    });
}

fn metadata_field(fields: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    fields.put_message(1, |entry| {
        entry.put_bytes(1, key.as_bytes());
        entry.put_message(2, value);
    });
}

#[cfg(test)]
mod tests;
