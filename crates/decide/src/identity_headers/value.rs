//! What an identity header carries: one thing, or a text made of several.

use std::fmt::Write as _;

use model::{Principal, PrincipalKind};

use crate::settings::IdentityValue;

/// What an identity header carries, compiled.
#[derive(Clone, Debug)]
pub(super) enum HeaderValue {
    /// Something of the principal.
    Principal(Field),
    /// A text with fields in it, and what is between two of them: no value has these characters unencoded, so that it is
    /// read in one way only.
    Template(Vec<Part>, Box<str>),
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(Box<str>),
    Principal(Field),
    /// The claim at this place.
    Claim(Box<str>),
    /// The attribute of what is asked for.
    Resource(Box<str>),
}

/// What a principal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Principal,
    Type,
    Subject,
    Issuer,
    Name,
    Client,
    Groups,
    Scopes,
    Actor,
}

impl HeaderValue {
    /// Reads the setting.
    ///
    /// # Errors
    /// What is wrong with a template.
    pub(super) fn compile(value: &IdentityValue) -> Result<Self, String> {
        Ok(Self::Principal(match value {
            IdentityValue::Principal => Field::Principal,
            IdentityValue::Type => Field::Type,
            IdentityValue::Subject => Field::Subject,
            IdentityValue::Issuer => Field::Issuer,
            IdentityValue::Name => Field::Name,
            IdentityValue::Client => Field::Client,
            IdentityValue::Groups => Field::Groups,
            IdentityValue::Scopes => Field::Scopes,
            IdentityValue::Actor => Field::Actor,
            IdentityValue::Template(text) => return template(text),
        }))
    }

    /// True if it depends on what is asked for, and not on the principal alone.
    pub(super) fn needs_resource(&self) -> bool {
        let is_resource = |part: &Part| matches!(part, Part::Resource(_));
        matches!(self, Self::Template(parts, _) if parts.iter().any(is_resource))
    }

    /// The claims it shows.
    pub(super) fn claims(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::Principal(_) => &[],
            Self::Template(parts, _) => parts.as_slice(),
        };
        parts.iter().filter_map(|part| match part {
            Part::Claim(path) => Some(&**path),
            _ => None,
        })
    }

    /// The attributes of what is asked for that it shows.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::Principal(_) => &[],
            Self::Template(parts, _) => parts.as_slice(),
        };
        parts.iter().filter_map(|part| match part {
            Part::Resource(name) => Some(&**name),
            _ => None,
        })
    }

    /// The value for `principal` and what `attribute` says of the resource; `None` if a part of it is not there.
    pub(super) fn fill<'a>(
        &self,
        principal: &Principal,
        attribute: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<String> {
        match self {
            Self::Principal(field) => field.of(principal, ""),
            Self::Template(parts, between) => parts.iter().try_fold(String::new(), |mut filled, part| {
                match part {
                    Part::Text(text) => filled.push_str(text),
                    Part::Principal(field) => filled.push_str(&field.of(principal, between)?),
                    Part::Claim(path) => {
                        let (_, text) = principal.claims.iter().find(|(known, _)| **known == **path)?;
                        filled.push_str(&known(text, between)?);
                    }
                    Part::Resource(name) => filled.push_str(&known(attribute(name)?, between)?),
                }
                Some(filled)
            }),
        }
    }
}

fn template(text: &str) -> Result<HeaderValue, String> {
    let parts = parts(text)?;
    let mut between = String::new();
    for (index, part) in parts.iter().enumerate() {
        let next = parts.get(index + 1);
        match (part, next) {
            (Part::Text(_), _) | (_, None) => {}
            (_, Some(Part::Text(text))) if index + 2 < parts.len() => {
                let marks: String = text.chars().filter(|c| !c.is_ascii_alphanumeric()).collect();
                if marks.is_empty() {
                    return Err(format!("`{text}` between two values could be part of either"));
                }
                between.push_str(&marks);
                let lists = [Some(part), parts.get(index + 2)];
                if let Some(joint) = lists.into_iter().flatten().find_map(Part::joint)
                    && text.chars().all(|c| joint.contains(c))
                {
                    return Err(format!("`{text}` is also what is between the members of a list"));
                }
            }
            (_, Some(Part::Text(_))) => {}
            (_, Some(_)) => {
                return Err(
                    "where one value ends and the next begins cannot be told: put something between them"
                        .to_owned(),
                );
            }
        }
    }
    Ok(HeaderValue::Template(parts, between.into()))
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) || text.trim() != text {
        return Err("a header value is visible ASCII without blanks at its ends".to_owned());
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| format!("`{text}`: a `{{` without its `}}`"))?;
        if !before.is_empty() {
            parts.push(Part::Text(before.into()));
        }
        parts.push(part(name)?);
        rest = behind;
    }
    if rest.contains('}') {
        return Err(format!("`{text}`: a `}}` without its `{{`"));
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        return Err(format!("`{text}` says the same of everybody"));
    }
    Ok(parts)
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match (name, name.split_once('.')) {
        ("principal", _) => Part::Principal(Field::Principal),
        ("type", _) => Part::Principal(Field::Type),
        ("subject", _) => Part::Principal(Field::Subject),
        ("issuer", _) => Part::Principal(Field::Issuer),
        ("name", _) => Part::Principal(Field::Name),
        ("client", _) => Part::Principal(Field::Client),
        ("groups", _) => Part::Principal(Field::Groups),
        ("scopes", _) => Part::Principal(Field::Scopes),
        ("actor", _) => Part::Principal(Field::Actor),
        (_, Some(("claims", path))) if !path.is_empty() => Part::Claim(path.into()),
        (_, Some(("resource", attribute))) if !attribute.is_empty() => Part::Resource(attribute.into()),
        _ => {
            return Err(format!(
                "there is no `{{{name}}}`: there are `{{principal}}`, `{{type}}`, `{{subject}}`, `{{issuer}}`, `{{name}}`, \
                 `{{client}}`, `{{groups}}`, `{{scopes}}`, `{{actor}}`, `{{claims.…}}` and `{{resource.…}}`"
            ));
        }
    })
}

impl Part {
    /// What is between the members of a list.
    fn joint(&self) -> Option<&'static str> {
        match self {
            Self::Principal(Field::Groups | Field::Actor) => Some(","),
            Self::Principal(Field::Scopes) => Some(" "),
            _ => None,
        }
    }
}

impl Field {
    /// What the principal has; without the characters of `between`, unless they join a list.
    fn of(self, principal: &Principal, between: &str) -> Option<String> {
        let known = |text: &str| known(text, between);
        let list = |values: &[String], joint: &str| {
            let encoded = values
                .iter()
                .map(|value| encode(value, &format!("{joint}{between}")));
            let values: Vec<String> = encoded.collect();
            (!values.is_empty()).then(|| values.join(joint))
        };
        if principal.kind == PrincipalKind::Anonymous && self != Self::Type {
            return None;
        }
        match self {
            Self::Principal => known(&principal.id),
            Self::Type => known(principal.kind.as_str()),
            Self::Subject => known(&principal.subject),
            Self::Issuer => known(&principal.issuer),
            Self::Name => known(principal.name.as_deref()?),
            Self::Client => known(principal.client.as_deref()?),
            Self::Groups => list(&principal.groups, ","),
            Self::Scopes => list(&principal.scopes, " "),
            Self::Actor => {
                let actors: Vec<String> = principal.actors.iter().map(|actor| actor.id.clone()).collect();
                list(&actors, ",")
            }
        }
    }
}

fn known(text: &str, between: &str) -> Option<String> {
    (!text.is_empty()).then(|| encode(text, between))
}

/// Percent-encodes what a header cannot carry unchanged: bytes that are not visible ASCII (inner blanks stay), `%`
/// itself, and the characters that separate it from others.
fn encode(text: &str, separators: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        let edge = index == 0 || index == last;
        let plain = (byte.is_ascii_graphic() || (byte == b' ' && !edge))
            && byte != b'%'
            && !separators.as_bytes().contains(&byte);
        if plain {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_as_they_were_meant() {
        for (text, encoded) in [
            ("alice", "alice"),
            ("Alice B", "Alice B"),
            (" admin ", "%20admin%20"),
            ("100%", "100%25"),
            ("\u{10d}\u{10a}", "%C4%8D%C4%8A"),
            ("a\r\nb", "a%0D%0Ab"),
        ] {
            assert_eq!(encode(text, ""), encoded);
        }
    }

    #[test]
    fn a_template_is_filled_whole_or_not_at_all() {
        let mut alice = Principal::new(PrincipalKind::User, "main", "7d2f");
        alice.claims = vec![
            ("/email".to_owned(), "a\n@example.org".to_owned()),
            ("level".to_owned(), "3".to_owned()),
        ];
        alice.groups = vec!["a,b".to_owned(), "c:d".to_owned()];
        let attribute = |name: &str| (name == "workspace").then_some("ws%20a");
        for (template, expected) in [
            ("{issuer}:{subject}", Some("main:7d2f")),
            ("user {type}", Some("user User")),
            ("{claims./email}", Some("a%0A@example.org")),
            ("{claims.level}/{resource.workspace}", Some("3/ws%2520a")),
            ("{principal}", Some("main/7d2f")),
            ("p={principal}/", Some("p=main/7d2f/")),
            ("{principal}/{subject}", Some("main%2F7d2f/7d2f")),
            ("{subject}@{claims./email}", Some("7d2f@a%0A%40example.org")),
            ("{groups}:{subject}", Some("a%2Cb,c%3Ad:7d2f")),
            ("{groups}, {subject}", Some("a%2Cb,c:d, 7d2f")),
            ("{subject} of {type}", Some("7d2f of User")),
            ("{claims.other}", None),
            ("{subject} {name}", None),
            ("{resource.owner}", None),
        ] {
            let value = HeaderValue::compile(&IdentityValue::Template(template.to_owned())).unwrap();
            assert_eq!(value.fill(&alice, attribute).as_deref(), expected, "{template}");
            let nobody = value.fill(&Principal::anonymous(), |_| None);
            assert_eq!(
                nobody.as_deref(),
                (template == "user {type}").then_some("user Anonymous"),
                "{template}"
            );
        }
        for bad in [
            "",
            "same",
            "{",
            "}",
            "{subject",
            "{sub}",
            "{claims.}",
            "{resource.}",
            "{subject}{type}",
            "{subject}x{type}",
            "{groups},{type}",
            "{type} {scopes}",
            "{subject}\n",
            " {subject}",
        ] {
            assert!(
                HeaderValue::compile(&IdentityValue::Template(bad.to_owned())).is_err(),
                "{bad:?}"
            );
        }
    }
}
