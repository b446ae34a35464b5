//! The `context` of a question: only what the loaded policies mention is built.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use cedar_policy::{Context, PolicySet, RestrictedExpression};
use model::{Body, Check, HttpRequest, Target};
use serde_json::Value;

use super::entities::PrincipalEntity;
use crate::identity::parse_json;
use crate::settings::Expose;

/// What a question depends on besides principal, action and resource.
#[derive(Debug)]
pub(crate) struct Circumstances<'c, 'a> {
    /// The check.
    pub check: &'c Check<'a>,
    /// The client's address, if it is known.
    pub client_ip: Option<IpAddr>,
    /// The time of the question.
    pub now: SystemTime,
    /// Seconds since the credential was issued, if it says when.
    pub token_age: Option<i64>,
}

/// Which members of `context` some policy mentions.
#[derive(Debug)]
pub(super) struct ContextUse {
    mentioned: Mentioned,
    expose: Expose,
}

/// Takes a member's name and, if some policy mentions it, asks for its value.
type Add<'a> = &'a mut dyn FnMut(&str, &mut dyn FnMut() -> Option<RestrictedExpression>);

#[derive(Debug, PartialEq, Eq)]
enum Mentioned {
    /// These.
    Members(BTreeSet<String>),
    /// Some policy uses `context` as a whole.
    Everything,
}

impl ContextUse {
    /// Finds out what `policies` mention.
    pub(super) fn of(policies: &PolicySet, expose: &Expose) -> Self {
        let mut members = Some(BTreeSet::new());
        for policy in policies.policies() {
            match policy.to_json() {
                Ok(json) => mentions(&json, &mut members),
                Err(_) => members = None,
            }
        }
        Self {
            mentioned: members.map_or(Mentioned::Everything, Mentioned::Members),
            expose: expose.clone(),
        }
    }

    /// Builds the context.
    pub(super) fn build(
        &self,
        principal: &PrincipalEntity,
        at: &Circumstances<'_, '_>,
    ) -> Result<Context, String> {
        if self.mentioned == Mentioned::Members(BTreeSet::new()) {
            return Ok(super::empty_context());
        }
        let mut pairs: Vec<(String, RestrictedExpression)> = Vec::with_capacity(8);
        let mut add = |name: &str, value: &mut dyn FnMut() -> Option<RestrictedExpression>| {
            let wanted = match &self.mentioned {
                Mentioned::Everything => true,
                Mentioned::Members(members) => members.contains(name),
            };
            if wanted && let Some(value) = value() {
                pairs.push((name.to_owned(), value));
            }
        };
        add("client_ip", &mut || {
            at.client_ip
                .map(|ip| RestrictedExpression::new_ip(ip.to_string()))
        });
        add("time", &mut || {
            let now = jiff::Timestamp::try_from(at.now).ok()?;
            Some(RestrictedExpression::new_datetime(
                now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ))
        });
        match &at.check.target {
            Target::Http(request) => self.http(request, principal, at, &mut add),
            Target::Tcp(connection) => {
                add("destination_port", &mut || {
                    connection
                        .destination_port
                        .map(|port| RestrictedExpression::new_long(i64::from(port)))
                });
                add("sni", &mut || {
                    (!connection.sni.is_empty()).then(|| string(connection.sni))
                });
            }
        }
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }

    fn http(
        &self,
        request: &HttpRequest<'_>,
        principal: &PrincipalEntity,
        at: &Circumstances<'_, '_>,
        add: Add<'_>,
    ) {
        let expose = &self.expose;
        add("method", &mut || Some(string(request.method)));
        add("scheme", &mut || Some(string(request.scheme)));
        add("host", &mut || Some(string(request.host.as_str())));
        add("path", &mut || Some(string(request.path.as_str())));
        add("issuer", &mut || principal.issuer().map(string));
        add("scopes", &mut || Some(principal.scopes()));
        add("token_age", &mut || {
            at.token_age.map(RestrictedExpression::new_long)
        });
        add("body_truncated", &mut || {
            Some(RestrictedExpression::new_bool(matches!(
                request.body,
                Body::Truncated(_)
            )))
        });
        add("headers", &mut || {
            record(&expose.headers, |name| {
                let value = request.headers.single(name).ok().flatten()?;
                std::str::from_utf8(value).ok().map(str::to_owned)
            })
        });
        add("query", &mut || {
            record(&expose.query, |name| query_parameter(request.query?, name))
        });
        add("extensions", &mut || {
            record(&expose.extensions, |name| {
                let pairs = at.check.context_extensions.iter().rev();
                pairs
                    .clone()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        });
        add("metadata", &mut || {
            let names: Vec<String> = expose.metadata.keys().cloned().collect();
            record(&names, |name| {
                let place = expose.metadata.get(name)?;
                at.check.metadata.string(&place.namespace, &place.path)
            })
        });
        add("body", &mut || {
            let body = match request.body {
                Body::Whole(bytes) => parse_json(bytes).ok(),
                Body::Absent | Body::Truncated(_) => None,
            };
            record(&expose.body, |name| {
                body.as_ref()?.get(name)?.as_str().map(str::to_owned)
            })
        });
    }
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn record(names: &[String], value: impl Fn(&str) -> Option<String>) -> Option<RestrictedExpression> {
    let present = names.iter().filter_map(|name| {
        let value = value(name)?;
        Some((name.clone(), RestrictedExpression::new_string(value)))
    });
    RestrictedExpression::new_record(present).ok()
}

/// The one value of a query parameter, percent-decoded once and `+` read as a blank; absent when there are several or
/// when it is not well-formed.
fn query_parameter(query: &str, name: &str) -> Option<String> {
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(key).as_deref() == Some(name)).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => percent_decode(value),
        _ => None,
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Collects the members of `context` that an expression mentions; `None` once it is used as a whole.
///
/// In Cedar's JSON form, `context.a` is `{".": {"left": {"Var": "context"}, "attr": "a"}}` and `context has a` the same
/// with `has`.
fn mentions(json: &Value, members: &mut Option<BTreeSet<String>>) {
    match json {
        Value::Object(object) => {
            for (key, value) in object {
                if matches!(key.as_str(), "." | "has")
                    && value.pointer("/left/Var") == Some(&"context".into())
                {
                    match (members.as_mut(), context_member(value)) {
                        (Some(members), Some(name)) => {
                            members.insert(name);
                        }
                        _ => *members = None,
                    }
                } else if key == "Var" && value == "context" {
                    *members = None;
                } else {
                    mentions(value, members);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| mentions(value, members)),
        _ => {}
    }
}

/// `attr` is a string, or, for `context has a.b`, a list whose first part is the member.
fn context_member(access: &Value) -> Option<String> {
    match access.get("attr")? {
        Value::String(name) => Some(name.clone()),
        Value::Array(parts) => parts.first()?.as_str().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_policies_mention_is_built() {
        for (policy, expected) in [
            ("permit(principal, action, resource);", Some(&[][..])),
            (
                "permit(principal, action, resource) when { context.host == \"a\" };",
                Some(&["host"]),
            ),
            (
                "permit(principal, action, resource) when { context has client_ip && context.query has page };",
                Some(&["client_ip", "query"]),
            ),
            (
                "permit(principal, action, resource) when { context has query.page };",
                Some(&["query"]),
            ),
            (
                "permit(principal, action, resource) when { {a: context} == {a: context} };",
                None,
            ),
            (
                "permit(principal, action, resource) when { principal.n == \"context\" };",
                Some(&[]),
            ),
        ] {
            let set = policy.parse().unwrap();
            let expected = expected.map_or(Mentioned::Everything, |names: &[&str]| {
                Mentioned::Members(names.iter().map(|n| (*n).to_owned()).collect())
            });
            assert_eq!(
                ContextUse::of(&set, &Expose::default()).mentioned,
                expected,
                "{policy}"
            );
        }
    }

    #[test]
    fn query_parameters() {
        for (query, expected) in [
            ("page=1", Some("1")),
            ("a=b&page=x%20y+z", Some("x y z")),
            ("p%61ge=1", Some("1")),
            ("page", Some("")),
            ("page=1&page=2", None),
            ("page=%zz", None),
            ("page=%ff", None),
            ("pages=1", None),
        ] {
            assert_eq!(query_parameter(query, "page").as_deref(), expected, "{query}");
        }
    }
}
