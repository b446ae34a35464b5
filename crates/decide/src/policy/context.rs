//! The `context` of a question: only what the loaded policies mention is built.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use cedar_policy::{Context, PolicySet, RestrictedExpression};
use model::{Body, Check, HttpRequest, Target};
use serde_json::Value;
use smallvec::SmallVec;

use super::body;
use super::engine::{self, Given, LookedAt};
use super::entities::{ActorEntity, PrincipalEntity};
use crate::certificate::ClientCertificates;
use crate::destination::{End, Ends};
use crate::magpie::Answer;
use crate::settings::Expose;

/// What a question depends on besides principal, action and resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'c, 'a> {
    /// The check.
    pub check: &'c Check<'a>,
    /// The client's address, if it is known.
    pub client_ip: Option<IpAddr>,
    /// The time of the question.
    pub now: SystemTime,
    /// Seconds since the credential was issued, if it says when.
    pub token_age: Option<i64>,
    /// The canonical path of the request as it is compared (see `upstream_paths`).
    pub path: &'c str,
    /// The canonical path that capabilities are matched with, if it is not that of the request.
    pub capability_path: Option<&'c str>,
    /// Where a COPY or MOVE puts things, and from where it takes them.
    pub ends: Option<&'c Ends<'a>>,
    /// Whether the route is open to everybody whom no policy forbids it.
    pub public: bool,
    /// What the route shows to policies.
    pub expose: &'c Expose,
    /// What Magpie's permissions say, where the route asks them.
    pub magpie: Option<&'c Answer>,
    /// Whether every policy is to be asked that may have something to say: somebody looks at the answer.
    pub thorough: bool,
    /// Whose certificates are believed.
    pub client_certificates: Option<&'c ClientCertificates>,
}

/// Whom a question is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker<'q> {
    /// The principal itself.
    Subject,
    /// Somebody who acts for it.
    Actor(&'q ActorEntity),
}

/// Which members of `context` some policy mentions.
#[derive(Debug)]
pub(super) struct ContextUse {
    mentioned: Mentioned,
}

/// The value of a member; `Ok(None)` when it is absent. What is there and cannot be read is an error, never absent: a
/// forbid that looks for it would be evaded by making it unreadable.
type Member = Result<Option<Given>, String>;

/// The members that may not be readable: if a condition looks at the context at all, and any policy at one of these, they must
/// be.
const UNREADABLE: [&str; 3] = ["headers", "query", "body"];

/// Takes a member's name and, if some policy mentions it, asks for its value.
type Add<'a> = &'a mut dyn FnMut(&'static str, &mut dyn FnMut() -> Member);

#[derive(Debug, PartialEq, Eq)]
enum Mentioned {
    /// These.
    Members(BTreeSet<String>),
    /// Some policy uses `context` as a whole.
    Everything,
}

impl ContextUse {
    /// Finds out what `policies` and templates mention. What is linked mentions nothing else than its template.
    pub(super) fn of(policies: &PolicySet) -> Self {
        let mut members = Some(BTreeSet::new());
        let statics = policies.policies().filter(|policy| policy.is_static());
        let all = statics.map(cedar_policy::Policy::to_json);
        for json in all.chain(policies.templates().map(cedar_policy::Template::to_json)) {
            match json {
                Ok(json) => mentions(&json, &mut members),
                Err(_) => members = None,
            }
        }
        Self {
            mentioned: members.map_or(Mentioned::Everything, Mentioned::Members),
        }
    }

    /// True if some policy mentions this member.
    pub(super) fn mentions(&self, name: &str) -> bool {
        match &self.mentioned {
            Mentioned::Everything => true,
            Mentioned::Members(members) => members.contains(name),
        }
    }

    /// Builds the context of the members that are looked at.
    pub(super) fn build(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        at: &Circumstances<'_, '_>,
        looked_at: LookedAt<'_>,
    ) -> Result<Context, String> {
        if self.mentioned == Mentioned::Members(BTreeSet::new()) {
            return Ok(super::empty_context());
        }
        let mut members: SmallVec<[(&'static str, Given); 4]> = SmallVec::new();
        let mut unreadable = None;
        let mut add = |name: &'static str, value: &mut dyn FnMut() -> Member| {
            if self.mentions(name) && (looked_at(name) || UNREADABLE.contains(&name)) {
                match value() {
                    Ok(Some(value)) => members.push((name, value)),
                    Ok(None) => {}
                    Err(why) => unreadable = Some(format!("a policy looks at context.{name}, but {why}")),
                }
            }
        };
        add("client_ip", &mut || {
            let ip = at.client_ip;
            ip.map(|ip| Given::of(&RestrictedExpression::new_ip(ip.to_string())))
                .transpose()
        });
        add("time", &mut || {
            let now = jiff::Timestamp::try_from(at.now).map_err(|error| error.to_string())?;
            let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            Given::of(&RestrictedExpression::new_datetime(now)).map(Some)
        });
        match &at.check.target {
            Target::Http(request) => {
                credential(principal, asker, at, &mut add);
                Self::http(request, at, &mut add);
            }
            Target::Tcp(connection) => {
                add("destination_port", &mut || {
                    let port = connection.destination_port.map(i64::from);
                    Ok(port.map(Given::number))
                });
                add("sni", &mut || {
                    Ok((!connection.sni.is_empty()).then(|| Given::text(connection.sni)))
                });
            }
        }
        match unreadable {
            Some(why) => Err(why),
            None => Ok(engine::context(members)),
        }
    }

    fn http(request: &HttpRequest<'_>, at: &Circumstances<'_, '_>, add: Add<'_>) {
        let expose = at.expose;
        add("method", &mut || Ok(Some(Given::text(request.method))));
        add("scheme", &mut || Ok(Some(Given::text(request.scheme))));
        add("host", &mut || Ok(Some(Given::text(request.host.as_str()))));
        add("path", &mut || Ok(Some(Given::text(at.path))));
        add("destination", &mut || {
            let ends = at.ends;
            Ok(ends.and_then(|ends| ends.destination.as_ref()).map(end))
        });
        add("source", &mut || {
            Ok(at.ends.and_then(|ends| ends.source.as_ref()).map(end))
        });
        add("peer", &mut || {
            let believed = at.client_certificates;
            let believed = believed.and_then(|certificates| certificates.believed(at.check.peer.principal));
            Ok(believed.as_deref().map(Given::text))
        });
        add("body_truncated", &mut || {
            let truncated = matches!(request.body, Body::Truncated(_));
            Ok(Some(Given::boolean(truncated)))
        });
        add("headers", &mut || {
            record(&expose.headers, |name| match request.headers.single(name) {
                Ok(None) => Ok(None),
                Ok(Some(value)) => match std::str::from_utf8(value) {
                    Ok(value) => Ok(Some(value.to_owned())),
                    Err(_) => Err(format!("the header `{name}` is not UTF-8")),
                },
                Err(several) => Err(format!("the header `{name}` is there {several} times")),
            })
        });
        add("query", &mut || {
            record(&expose.query, |name| {
                query_parameter(request.query.unwrap_or_default(), name)
            })
        });
        add("extensions", &mut || {
            record(&expose.extensions, |name| {
                let mut pairs = at.check.context_extensions.iter().rev();
                Ok(pairs
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned()))
            })
        });
        add("metadata", &mut || {
            let names: Vec<String> = expose.metadata.keys().cloned().collect();
            record(&names, |name| {
                let place = expose.metadata.get(name);
                Ok(place.and_then(|place| at.check.metadata.string(&place.namespace, &place.path)))
            })
        });
        add("body", &mut || {
            let found = match request.body {
                _ if expose.body.is_empty() => Vec::new(),
                Body::Absent | Body::Whole(b"") | Body::Truncated(_) => Vec::new(),
                Body::Whole(bytes) => body::members(bytes, &expose.body)?,
            };
            let member = |name: &str| {
                let index = expose.body.iter().position(|exposed| exposed == name)?;
                found.get(index)?.clone()
            };
            record(&expose.body, |name| Ok(member(name)))
        });
    }
}

impl Circumstances<'_, '_> {
    /// The canonical path that capabilities are matched with.
    pub(crate) fn granted_at(&self) -> &str {
        match (&self.check.target, self.capability_path) {
            (_, Some(path)) => path,
            (Target::Http(request), None) => request.path.as_str(),
            (Target::Tcp(_), None) => "",
        }
    }
}

/// What the credential says, and who acts for whom.
fn credential(principal: &PrincipalEntity, asker: Asker<'_>, at: &Circumstances<'_, '_>, add: Add<'_>) {
    let path = at.granted_at();
    add("issuer", &mut || Ok(principal.issuer()));
    add("scopes", &mut || Ok(Some(principal.scopes())));
    add("audiences", &mut || Ok(Some(principal.audiences())));
    add("capabilities", &mut || Ok(Some(principal.capabilities(path))));
    add("capabilities_below", &mut || {
        Ok(Some(principal.capabilities_below(path)))
    });
    // A service that acts for somebody has no permissions of its own: it needs a policy of its own.
    add("magpie", &mut || match asker {
        Asker::Subject => Ok(at.magpie.map(Answer::context)),
        Asker::Actor(_) => Ok(None),
    });
    add("token_age", &mut || Ok(at.token_age.map(Given::number)));
    add("actor", &mut || match asker {
        Asker::Subject => {
            let actor = principal.actors().first();
            Ok(actor.map(|actor| Given::entity(&actor.uid)))
        }
        Asker::Actor(_) => Ok(None),
    });
    add("subject", &mut || match asker {
        Asker::Subject => Ok(None),
        Asker::Actor(_) => Ok(principal.as_subject()),
    });
}

/// An end of a COPY or MOVE as a record.
fn end(end: &End<'_>) -> Given {
    let host = ("host", Given::text(end.host.as_str()));
    let path = end.path.as_ref();
    let path = path.map(|path| ("path", Given::text(path.as_str())));
    Given::record([host].into_iter().chain(path))
}

fn record(names: &[String], value: impl Fn(&str) -> Result<Option<String>, String>) -> Member {
    let mut present = Vec::with_capacity(names.len());
    for name in names {
        if let Some(value) = value(name)? {
            present.push((name.as_str(), Given::text(&value)));
        }
    }
    Ok(Some(Given::record(present)))
}

/// The one value of a query parameter, percent-decoded once and `+` read as a blank. A query that two parsers could
/// read differently is an error: several values, `;` (which some take for `&`), escapes that are not well-formed.
pub(crate) fn query_parameter(query: &str, name: &str) -> Result<Option<String>, String> {
    if query.contains(';') {
        return Err("the query has a `;`".to_owned());
    }
    let malformed = || "the query has escapes that are not well-formed UTF-8".to_owned();
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode(key).ok_or_else(malformed)? == name {
            let value = percent_decode(value).ok_or_else(malformed)?;
            if found.replace(value).is_some() {
                return Err(format!("the query has `{name}` several times"));
            }
        }
    }
    Ok(found)
}

/// `text` with its escapes decoded and `+` read as a blank; `None` if that is no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
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
            assert_eq!(ContextUse::of(&set).mentioned, expected, "{policy}");
        }
    }

    #[test]
    fn query_parameters() {
        for (query, expected) in [
            ("page=1", Ok(Some("1"))),
            ("a=b&page=x%20y+z", Ok(Some("x y z"))),
            ("p%61ge=1", Ok(Some("1"))),
            ("page", Ok(Some(""))),
            ("", Ok(None)),
            ("pages=1", Ok(None)),
            ("other=%zz", Ok(None)),
            ("page=1&page=1", Err("several times")),
            ("x=1;page=1&page=0", Err("`;`")),
            ("page=%zz", Err("well-formed")),
            ("page=%ff", Err("well-formed")),
            ("%zz=1", Err("well-formed")),
        ] {
            match (query_parameter(query, "page"), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value.as_deref(), expected, "{query}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{query}: {why}"),
                (got, _) => panic!("{query}: {got:?}"),
            }
        }
    }
}
