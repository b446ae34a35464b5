//! A path pattern: literal segments, `{name}`, text with captures in it, and a final `{name..}`.

use super::blend::Blend;

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
    /// Matches one segment that has this text, and captures in it.
    Blend(Blend),
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
        let mut names: Vec<&str> = segments.iter().flat_map(Segment::names).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(format!("`{{{name}}}` is there twice"));
        }
        Ok(Self { segments })
    }

    /// The names that a match captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(Segment::names)
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.segments.iter(), other.segments.iter());
        loop {
            match (a.next(), b.next()) {
                (None, None) | (Some(Segment::Rest(_)), _) | (_, Some(Segment::Rest(_))) => return true,
                (Some(a), Some(b)) if a.overlaps(b) => {}
                _ => return false,
            }
        }
    }
}

impl Segment {
    fn names(&self) -> impl Iterator<Item = &str> {
        let (one, blend) = match self {
            Self::Literal(_) => (None, None),
            Self::Blend(blend) => (None, Some(blend)),
            Self::One(name) | Self::Rest(name) => (Some(&**name), None),
        };
        one.into_iter().chain(blend.into_iter().flat_map(Blend::names))
    }

    /// Whether some segment matches both; neither takes several.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Literal(text), Self::Blend(blend)) | (Self::Blend(blend), Self::Literal(text)) => {
                blend.matches(text, &mut Vec::new())
            }
            (Self::Literal(text), _) | (_, Self::Literal(text)) => !text.is_empty(),
            (Self::Blend(a), Self::Blend(b)) => a.overlaps(b),
            _ => true,
        }
    }
}

/// Whether a capture may have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !matches!(name, "host" | "path")
}

fn segment(text: &str, last: bool) -> Result<Segment, String> {
    let blend = Blend::parse(text)?;
    match blend.whole() {
        Some((name, false)) => return Ok(Segment::One(name.into())),
        Some((name, true)) if last => return Ok(Segment::Rest(name.into())),
        Some((name, true)) => {
            return Err(format!(
                "`{{{name}..}}` takes everything that remains: nothing can follow it"
            ));
        }
        None => {}
    }
    if text.is_empty() {
        return if last {
            Ok(Segment::Literal("".into()))
        } else {
            Err("`//`: no request path that is let in has an empty segment".to_owned())
        };
    }
    // Literal text must be able to match: the canonical form of itself. No escape ends with an `x`.
    let (literal, sample) = (blend.captures_nothing(), format!("/{}", blend.sample("x")));
    match model::RequestPath::parse_target(sample.as_bytes(), model::Decoding::Raw) {
        Ok((canonical, None)) if canonical.as_str() == sample && literal => Ok(Segment::Literal(text.into())),
        Ok((canonical, None)) if canonical.as_str() == sample => Ok(Segment::Blend(blend)),
        Ok((canonical, None)) if literal => Err(format!(
            "`{text}` can never match: request paths are compared in their canonical form, write `{}`",
            canonical.as_str().trim_start_matches('/')
        )),
        Ok(_) => Err(format!(
            "`{text}` can never match: request paths are compared in their canonical form"
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
            ("/a/x-{y}", Ok(2)),
            ("/a/{x}.{y..}/{z..}", Ok(3)),
            ("/a/{x}{y}", Err("between two captures")),
            ("/a/x-{Y}", Err("no name")),
            ("/a/x-{y", Err("without its `}`")),
            ("/a/x-y}", Err("without its `{`")),
            ("/a/{x}-{x}", Err("twice")),
            ("/a/{x}%2", Err("can never match")),
            ("/a/%4{x}", Err("can never match")),
            ("/a/%41-{x}", Err("can never match")),
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
