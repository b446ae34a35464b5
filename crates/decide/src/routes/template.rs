//! Texts with `{name}` in them, filled in from a match.

use std::borrow::Cow;

/// A text in which `{name}` stands for what a route captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Name(Box<str>),
}

impl Template {
    /// Reads a template that may use `names`.
    ///
    /// # Errors
    /// What is wrong with it: a name that nothing captures, or a brace without its partner.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}`: a `{{` without its `}}`"))?;
            if !names.contains(&name) {
                let known = names
                    .iter()
                    .map(|n| format!("`{{{n}}}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(format!(
                    "`{text}`: nothing captures `{{{name}}}`; there are {known}"
                ));
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::Name(name.into()));
            rest = behind;
        }
        if rest.contains('}') {
            return Err(format!("`{text}`: a `}}` without its `{{`"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts))
    }

    /// The text with every name replaced by what `value` says for it.
    pub fn fill<'a>(&'a self, value: impl Fn(&str) -> &'a str) -> Cow<'a, str> {
        match self.0.as_slice() {
            [Part::Name(name)] => Cow::Borrowed(value(name)),
            [Part::Text(text)] => Cow::Borrowed(text),
            parts => Cow::Owned(parts.iter().fold(String::new(), |mut filled, part| {
                filled.push_str(match part {
                    Part::Text(text) => text,
                    Part::Name(name) => value(name),
                });
                filled
            })),
        }
    }
}
