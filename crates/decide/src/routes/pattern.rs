//! A path pattern: literal segments, `{name}` and a final `{name..}`.

/// A parsed path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The segments in order.
    pub segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Matches itself; the empty one matches a trailing slash.
    Literal(Box<str>),
    /// Matches exactly one segment that is not empty.
    One(Box<str>),
    /// Matches everything that remains, also nothing. Only at the end.
    Rest(Box<str>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let Some(path) = pattern.strip_prefix('/') else {
            return Err("a path pattern begins with `/`".to_owned());
        };
        let mut segments = Vec::new();
        let mut texts = path.split('/').peekable();
        while let Some(text) = texts.next() {
            let last = texts.peek().is_none();
            segments.push(segment(text, last)?);
        }
        let mut names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(format!("`{{{name}}}` is there twice"));
        }
        Ok(Self { segments })
    }

    /// The names that a match captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn segment(text: &str, last: bool) -> Result<Segment, String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !matches!(name, "host" | "path")
    };
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (name, rest) = match inner.strip_suffix("..") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        if !is_name(name) {
            return Err(format!(
                "`{{{inner}}}` is no name: lower-case letters, digits and `_`, and not `host` or `path`"
            ));
        }
        if rest && !last {
            return Err(format!(
                "`{{{inner}}}` takes everything that remains: nothing can follow it"
            ));
        }
        return Ok(if rest {
            Segment::Rest(name.into())
        } else {
            Segment::One(name.into())
        });
    }
    if text.contains(['{', '}', '*']) {
        return Err(format!(
            "`{text}`: a segment is a literal or one `{{name}}`, not a mix, and there is no `*`"
        ));
    }
    if text.is_empty() {
        return if last {
            Ok(Segment::Literal("".into()))
        } else {
            Err("`//`: no request path that is let in has an empty segment".to_owned())
        };
    }
    // A literal must be able to match: the canonical form of itself.
    let path = format!("/{text}");
    match model::RequestPath::parse_target(path.as_bytes(), model::Decoding::Raw) {
        Ok((canonical, None)) if canonical.as_str() == path => Ok(Segment::Literal(text.into())),
        Ok((canonical, _)) => Err(format!(
            "`{text}` can never match: request paths are compared in their canonical form, write `{}`",
            canonical.as_str().trim_start_matches('/')
        )),
        Err(refusal) => Err(format!(
            "`{text}` can never match, requests with it are refused: {refusal}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, expected) in [
            ("/", Ok(1)),
            ("/workspaces", Ok(1)),
            ("/workspaces/", Ok(2)),
            ("/workspaces/{workspace}", Ok(2)),
            ("/workspaces/{workspace}/{rest..}", Ok(3)),
            ("/a/{x..}/b", Err("nothing can follow")),
            ("workspaces", Err("begins with `/`")),
            ("/a//b", Err("empty segment")),
            ("/a/{x}/{x}", Err("twice")),
            ("/a/{}", Err("no name")),
            ("/a/{Host}", Err("no name")),
            ("/a/{host}", Err("no name")),
            ("/a/x-{y}", Err("not a mix")),
            ("/a/*", Err("no `*`")),
            ("/a b", Err("can never match")),
            ("/%61", Err("write `a`")),
            ("/a/..", Err("can never match")),
        ] {
            match (Pattern::parse(pattern), expected) {
                (Ok(parsed), Ok(count)) => assert_eq!(parsed.segments.len(), count, "{pattern}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{pattern}: {message}"),
                (got, _) => panic!("{pattern}: {got:?}"),
            }
        }
    }
}
