//! `@reason` of a forbid: one line for the caller, with what its own credential says filled in.

use std::borrow::Cow;

use model::Principal;

/// The names of the principal's tags, in their order, each in single quotes, joined by `, `.
const TAGS: &str = "{principal.tags}";
/// Longest text after filling; a credential can hold very many tags.
const MAX_BYTES: usize = 1024;

/// Checks the text of a `@reason`.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(super) fn check(text: &str) -> Result<(), (String, &'static str)> {
    if text.chars().any(char::is_control) {
        return Err(("@reason must be one line".to_owned(), ""));
    }
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (_, from) = rest.split_at(at);
        rest = match from.strip_prefix(TAGS) {
            Some(behind) => behind,
            None => {
                let end = from.find('}').map_or(from.len(), |end| end + 1);
                let (wrong, _) = from.split_at(end);
                let what = match wrong.ends_with('}') && wrong.len() > 1 {
                    true => format!("@reason: nothing fills in `{wrong}`"),
                    false => format!("@reason: the brace in `{wrong}` has no partner"),
                };
                return Err((
                    what,
                    "a reason may contain `{principal.tags}` and no other braces",
                ));
            }
        };
    }
    Ok(())
}

/// The text as `principal` gets to read it; nobody has no tags.
pub(crate) fn filled<'t>(text: &'t str, principal: Option<&Principal>) -> Cow<'t, str> {
    if !text.contains(TAGS) {
        return Cow::Borrowed(text);
    }
    let roles = principal.map_or(&[][..], |principal| &principal.roles);
    let tags: Vec<String> = roles.iter().map(|(name, _)| format!("'{name}'")).collect();
    let mut filled = text.replace(TAGS, &tags.join(", "));
    // What a token holds was checked, but not for being one line.
    filled.retain(|c| !c.is_control());
    shortened(&mut filled, MAX_BYTES);
    Cow::Owned(filled)
}

/// Cuts `text` to at most that many bytes, and shows that it was cut.
pub(crate) fn shortened(text: &mut String, most: usize) {
    const CUT: &str = "…";
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use model::PrincipalKind;

    use super::*;

    #[test]
    fn what_a_reason_may_say() {
        for (text, expected) in [
            ("no", Ok(())),
            ("", Ok(())),
            ("only {principal.tags}", Ok(())),
            ("{principal.tags}{principal.tags}", Ok(())),
            ("{principal.tag}", Err("nothing fills in `{principal.tag}`")),
            ("{ principal.tags }", Err("nothing fills in `{ principal.tags }`")),
            ("{}", Err("nothing fills in `{}`")),
            ("a { b", Err("the brace in `{ b` has no partner")),
            ("a } b", Err("the brace in `}` has no partner")),
            ("{principal.tags}}", Err("the brace in `}` has no partner")),
            ("{{principal.tags}", Err("nothing fills in `{{principal.tags}`")),
            ("two\nlines", Err("must be one line")),
        ] {
            match (check(text), expected) {
                (Ok(()), Ok(())) => {}
                (Err((message, _)), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn tags_are_filled_in() {
        let robot = |tags: &[&str]| Principal {
            roles: tags.iter().map(|tag| ((*tag).to_owned(), Vec::new())).collect(),
            ..Principal::new(PrincipalKind::Robot, "main", "robot")
        };
        let text = "only {principal.tags}.";
        for (principal, expected) in [
            (Some(robot(&["b", "a"])), "only 'b', 'a'."),
            (Some(robot(&["a"])), "only 'a'."),
            (Some(robot(&[])), "only ."),
            (
                Some(robot(&["a\r\nb", "{principal.tags}"])),
                "only 'ab', '{principal.tags}'.",
            ),
            (None, "only ."),
        ] {
            assert_eq!(filled(text, principal.as_ref()), expected);
        }
        let many = robot(&["é".repeat(400).as_str(), "é".repeat(400).as_str()]);
        let long = filled(text, Some(&many));
        assert!(long.len() <= MAX_BYTES && long.ends_with("é…"), "{}", long.len());
        assert_eq!(filled("as it is", Some(&many)), "as it is");
    }
}
