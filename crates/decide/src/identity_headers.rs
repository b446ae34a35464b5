//! The headers that tell the upstream who asks: on every allow each one is set or removed.

mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{HeaderEdits, Headers, Principal};

use self::value::HeaderValue;
use crate::problem::Problem;
use crate::rerouting;
use crate::settings::IdentityValue;

/// Longer values are not sent; proxies refuse requests whose headers grow too long.
pub(crate) const MAX_VALUE_BYTES: usize = 8 * 1024;

/// A name has 2 to the power of its dashes spellings.
const MAX_DASHES: usize = 5;

/// Headers that carry something else, or that proxies will not let anybody set.
const TAKEN: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The declared identity headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdentityHeaders {
    /// What principals fill.
    filled: Vec<(Arc<str>, HeaderValue)>,
    /// What permits set (`@set_header`).
    granted: Vec<Arc<str>>,
    /// Others that no request keeps.
    removed: Vec<Arc<str>>,
    /// These, and the other spellings of all that are declared.
    others: Arc<[Arc<str>]>,
}

/// Whether an answer can remove headers of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removable {
    /// It can (Envoy).
    Yes,
    /// It can only set some.
    No,
}

impl IdentityHeaders {
    /// Checks the names.
    pub(crate) fn new(declared: &BTreeMap<String, IdentityValue>, problems: &mut Vec<Problem>) -> Self {
        let mut headers = Vec::with_capacity(declared.len());
        for (name, value) in declared {
            let pointer = format!("/identity_headers/{name}");
            if let Err((message, help)) = check_name(name) {
                problems.push(Problem::name(pointer, message, help));
            } else {
                match HeaderValue::compile(value) {
                    Ok(value) => headers.push((name.as_str().into(), value)),
                    Err(message) => problems.push(Problem::setting(
                        format!("{pointer}/template"),
                        message,
                        "for example `{issuer}:{claims./email}` or `{resource.workspace}`",
                    )),
                }
            }
        }
        let headers = Self {
            filled: headers,
            ..Self::default()
        };
        headers.spelt()
    }

    /// With the other spellings of all that are declared. Upstreams that turn headers into variables (CGI, WSGI) cannot tell
    /// them apart.
    fn spelt(mut self) -> Self {
        let spellings = self.names().flat_map(spellings);
        self.others = spellings.chain(self.removed.iter().cloned()).collect();
        self
    }

    /// Declares the headers that permits set: where none of them does, they are removed.
    pub(crate) fn grant(self, names: &[Arc<str>]) -> Self {
        let granted = names.to_vec();
        Self { granted, ..self }.spelt()
    }

    /// Removes these, too, from every request that passes.
    pub(crate) fn also_remove(self, names: &[&str]) -> Self {
        let others = names.iter().filter(|name| !self.is_spelling(name));
        let removed = others.map(|name| (*name).into()).collect();
        Self { removed, ..self }.spelt()
    }

    /// Whether an upstream may take `name` for one of them.
    pub(crate) fn is_spelling(&self, name: &str) -> bool {
        self.names().any(|declared| rerouting::is(name, declared))
    }

    /// All that are set, or kept out of requests that pass.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let filled = self.filled.iter().map(|(filled, _)| &**filled);
        let granted = self.granted.iter().map(|granted| &**granted);
        filled.chain(granted).chain([model::DECISION_ID_HEADER])
    }

    /// A header of the request that some upstream would take for one that a permit has set.
    pub(crate) fn forged<'a>(&self, headers: &Headers<'a>) -> Option<&'a str> {
        let is_granted = |name: &str| self.granted.iter().any(|granted| rerouting::is(name, granted));
        headers.iter().map(|(name, _)| name).find(|name| is_granted(name))
    }

    /// What to set and what to remove for `principal`. Of every name all spellings with `_` are removed, too.
    ///
    /// # Errors
    /// The header whose value would be too long to send.
    pub(crate) fn edits(&self, principal: &Principal) -> Result<HeaderEdits, String> {
        let mut set = Vec::new();
        let mut unset = Vec::new();
        for (name, wanted) in &self.filled {
            match wanted.fill(principal, |_| None) {
                Some(value) if value.len() > MAX_VALUE_BYTES => {
                    return Err(format!(
                        "the identity header {name} would have {} bytes, the limit is {MAX_VALUE_BYTES}",
                        value.len()
                    ));
                }
                Some(value) => set.push((Arc::clone(name), value.into())),
                None => unset.push(Arc::clone(name)),
            }
        }
        unset.extend(self.granted.iter().cloned());
        Ok(HeaderEdits::new(set, unset, &self.others))
    }

    /// Whether some of them depend on what is asked for.
    pub(crate) fn need_resource(&self) -> bool {
        self.filled.iter().any(|(_, value)| value.needs_resource())
    }

    /// The claims that some of them show.
    pub(crate) fn claims(&self) -> Vec<String> {
        let mut claims: Vec<String> = self
            .filled
            .iter()
            .flat_map(|(_, value)| value.claims())
            .map(str::to_owned)
            .collect();
        claims.sort_unstable();
        claims.dedup();
        claims
    }

    /// The attributes of resources that some of them show, with the header's name.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.filled
            .iter()
            .flat_map(|(name, value)| value.attributes().map(move |attribute| (&**name, attribute)))
    }

    /// `edits` with those that depend on what is asked for, whose attributes are `attributes`.
    ///
    /// # Errors
    /// The header whose value would be too long to send.
    pub(crate) fn with_resource(
        &self,
        edits: &HeaderEdits,
        principal: &Principal,
        attributes: &[(&str, String)],
    ) -> Result<HeaderEdits, String> {
        let attribute = |name: &str| {
            let found = attributes.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        let mut more = Vec::new();
        for (name, wanted) in self.filled.iter().filter(|(_, value)| value.needs_resource()) {
            match wanted.fill(principal, attribute) {
                Some(value) if value.len() > MAX_VALUE_BYTES => {
                    return Err(format!(
                        "the identity header {name} would have {} bytes",
                        value.len()
                    ));
                }
                Some(value) => more.push((name.clone(), value.into())),
                None => {}
            }
        }
        Ok(edits.with(more))
    }

    /// A header of the request that some upstream would take for an identity header, or for the decision's id, although
    /// it has another name: those that turn headers into variables make one character of everything that is neither a
    /// letter nor a digit. The names themselves are overwritten or removed instead, and where headers can be removed, those
    /// with nothing but `_` as well.
    pub(crate) fn alias<'a>(&self, headers: &Headers<'a>, removable: Removable) -> Option<&'a str> {
        let odd = |name: &str| {
            let (dash, underscore) = (name.contains('-'), name.contains('_'));
            let other = |b: u8| !b.is_ascii_alphanumeric() && b != b'-' && b != b'_';
            let stays = underscore && (dash || removable == Removable::No);
            stays || name.bytes().any(other)
        };
        headers
            .iter()
            .map(|(name, _)| name)
            .find(|name| odd(name) && self.is_spelling(name))
    }
}

/// Whether a header of this name can be kept apart from what clients send. `Err` is what is wrong and what to do.
pub(crate) fn check_name(name: &str) -> Result<(), (String, String)> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let (message, help) = if name.is_empty() || !name.bytes().all(plain) {
        (
            format!("`{name}` is no header name that every proxy and upstream reads alike"),
            "use lower-case letters, digits and `-`",
        )
    } else if TAKEN.contains(&name) || name == model::DECISION_ID_HEADER {
        (
            format!("`{name}` carries something else"),
            "use a name of its own, such as `x-auth-subject`",
        )
    } else if name.matches('-').count() > MAX_DASHES {
        (
            format!("`{name}` has more than {MAX_DASHES} dashes"),
            "every spelling with `_` is removed from requests, and that many dashes have too many",
        )
    } else {
        return Ok(());
    };
    Err((message, help.to_owned()))
}

/// Every spelling of a header's name with some or all of its `-` written as `_`.
fn spellings(name: &str) -> Vec<Arc<str>> {
    let mut all = vec![String::new()];
    for character in name.chars() {
        let spelt = all.clone().into_iter().map(|begun| begun + "_");
        let twins: Vec<String> = if character == '-' {
            spelt.collect()
        } else {
            Vec::new()
        };
        for begun in &mut all {
            begun.push(character);
        }
        all.extend(twins);
    }
    all.into_iter()
        .filter(|spelling| spelling != name)
        .map(Into::into)
        .collect()
}

#[cfg(test)]
mod tests {
    use model::PrincipalKind;

    use super::*;

    fn headers() -> IdentityHeaders {
        let declared = [
            ("x-auth-subject", IdentityValue::Subject),
            ("x-auth-type", IdentityValue::Type),
            ("x-auth-groups", IdentityValue::Groups),
            ("x-auth-client", IdentityValue::Client),
        ];
        let mut problems = Vec::new();
        let headers = IdentityHeaders::new(
            &declared.map(|(n, v)| (n.to_owned(), v)).into_iter().collect(),
            &mut problems,
        );
        assert_eq!(problems, []);
        headers
    }

    #[test]
    fn every_declared_header_is_set_or_removed_and_never_both() {
        let mut alice = Principal::anonymous();
        alice.kind = PrincipalKind::User;
        alice.subject = "alice".to_owned();
        alice.groups = vec!["dev,admin".to_owned(), "b\u{f6}b".to_owned()];
        for (principal, set, kept_out) in [
            (
                &alice,
                &[
                    ("x-auth-groups", "dev%2Cadmin,b%C3%B6b"),
                    ("x-auth-subject", "alice"),
                    ("x-auth-type", "User"),
                ][..],
                &["x-auth-client"][..],
            ),
            (
                &Principal::anonymous(),
                &[("x-auth-type", "Anonymous")],
                &["x-auth-client", "x-auth-groups", "x-auth-subject"],
            ),
        ] {
            let edits = headers().edits(principal).unwrap();
            let got: Vec<(&str, &str)> = edits.set().iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!(got, set);
            for name in
                kept_out
                    .iter()
                    .chain(&["x_auth_subject", "x_auth_type", "x_auth_groups", "x_auth_client"])
            {
                assert!(edits.remove().any(|n| n == *name), "{name} stays");
            }
            for (name, _) in edits.set() {
                assert!(edits.remove().all(|n| *n != **name), "{name} is set and removed");
            }
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_an_error() {
        let mut many = Principal::anonymous();
        many.kind = PrincipalKind::User;
        many.groups = vec!["g".repeat(100); 100];
        assert!(headers().edits(&many).unwrap_err().contains("x-auth-groups"));
    }

    #[test]
    fn every_spelling_is_removed_and_too_many_are_not_let_in() {
        let edits = headers().edits(&Principal::anonymous()).unwrap();
        for name in [
            "x_auth-subject",
            "x-auth_subject",
            "x_auth_subject",
            "x-portcullis_decision-id",
        ] {
            assert!(edits.remove().any(|n| n == name), "{name} stays");
        }
        assert_eq!(spellings(model::DECISION_ID_HEADER).len(), 7);
        assert!(edits.remove().all(|n| n != model::DECISION_ID_HEADER));
        let mut problems = Vec::new();
        let many = ("x-a-b-c-d-e-f".to_owned(), IdentityValue::Subject);
        IdentityHeaders::new(&[many].into_iter().collect(), &mut problems);
        assert!(problems[0].message.contains("dashes"), "{problems:?}");
    }

    #[test]
    fn mixed_spellings_are_noticed() {
        for (name, alias) in [
            ("X.Auth.Subject", true),
            ("x!auth!subject", true),
            ("x-auth.subject", true),
            ("x_auth_subject", false),
            ("x-portcullis_decision-id", true),
            ("x-portcullis-decision-id", false),
            ("x.auth.subjects", false),
            ("x-auth_subject", true),
            ("X_Auth-Subject", true),
            ("x-auth-subject", false),
            ("x-other_name", false),
        ] {
            let mut request = Headers::default();
            request.push(name, b"root");
            assert_eq!(
                headers().alias(&request, Removable::Yes).is_some(),
                alias,
                "{name}"
            );
            let refused = alias || name == "x_auth_subject";
            assert_eq!(
                headers().alias(&request, Removable::No).is_some(),
                refused,
                "{name}"
            );
        }
    }

    #[test]
    fn what_only_permits_set_is_noticed_in_every_spelling() {
        let headers = headers().grant(&["x-tier".into()]);
        for (name, forged) in [
            ("X-Tier", true),
            ("x_tier", true),
            ("x.tier", true),
            ("x-tiers", false),
            ("x-auth-subject", false),
        ] {
            let mut request = Headers::default();
            request.push(name, b"gold");
            assert_eq!(headers.forged(&request).is_some(), forged, "{name}");
        }
        let names: Vec<&str> = headers.names().collect();
        assert!(
            names.contains(&"x-tier") && names.contains(&model::DECISION_ID_HEADER),
            "{names:?}"
        );
    }

    #[test]
    fn names_that_carry_something_else_are_refused() {
        let mut problems = Vec::new();
        let names = [
            "authorization",
            "X-User",
            "x_user",
            "",
            "x-portcullis-decision-id",
            "x-ok",
        ];
        IdentityHeaders::new(
            &names
                .map(|n| (n.to_owned(), IdentityValue::Subject))
                .into_iter()
                .collect(),
            &mut problems,
        );
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
