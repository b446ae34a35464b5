use proptest::prelude::*;

use super::*;

/// Every way to split `text` between the captures, those with the shortest first captures first.
fn splits<'t>(blend: &Blend, text: &'t str) -> Vec<Vec<&'t str>> {
    let Some(rest) = text.strip_prefix(&*blend.before) else {
        return Vec::new();
    };
    blend
        .captures
        .iter()
        .fold(vec![(Vec::new(), rest)], |found, capture| {
            found
                .into_iter()
                .flat_map(|(taken, rest)| {
                    (capture.least()..=rest.len()).filter_map(move |end| {
                        let behind = rest[end..].strip_prefix(&*capture.behind)?;
                        Some(([taken.clone(), vec![&rest[..end]]].concat(), behind))
                    })
                })
                .collect()
        })
        .into_iter()
        .filter_map(|(taken, rest)| rest.is_empty().then_some(taken))
        .collect()
}

fn matched<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut captured = Vec::new();
    let matches = Blend::parse(pattern).unwrap().matches(text, &mut captured);
    assert!(matches || captured.is_empty(), "{pattern} {text}");
    matches.then_some(captured)
}

#[test]
fn captures_take_as_little_as_they_can() {
    for (pattern, text, expected) in [
        ("plain", "plain", Some(&[][..])),
        ("plain", "plain2", None),
        ("{a}", "x", Some(&["x"])),
        ("{a}", "", None),
        ("{a..}", "", Some(&[""])),
        ("ws-{a}", "ws-", None),
        ("ws-{a}", "ws-1", Some(&["1"])),
        ("{ws}-default{rest..}", "a-default", Some(&["a", ""])),
        (
            "{ws}-default{rest..}",
            "a-default-default",
            Some(&["a", "-default"]),
        ),
        ("{ws}-default{rest..}", "-default", None),
        ("{ws}-default", "a-default-default", Some(&["a-default"])),
        ("{a}.{b}", "x.y.z", Some(&["x", "y.z"])),
        ("{a}.{b}", "..", None),
        ("{a}.{b}", "...", Some(&[".", "."])),
        ("{a}-{b}-{c..}x", "1-2-3-x", Some(&["1", "2", "3-"])),
        // Escapes stay whole.
        ("{a}2{b}", "x%20y2z", Some(&["x%20y", "z"])),
        ("{a..}0", "%20", None),
        ("{a}%20{b}", "x%20y", Some(&["x", "y"])),
    ] {
        assert_eq!(matched(pattern, text).as_deref(), expected, "{pattern} {text}");
    }
}

#[test]
fn overlaps() {
    for (a, b, expected) in [
        ("{a}", "{b}", true),
        ("x{a}", "y{a}", false),
        ("x{a}", "{a}y", true),
        ("x{a}", "x", false),
        ("x{a..}", "x", true),
        ("{a}.{b}", "x{c}", true),
        ("a{x}b", "ab", false),
        ("a{x..}b", "ab", true),
        ("a{x}c", "b{x}c", false),
        ("{x}a{y}", "b", false),
        ("", "{x..}", true),
        ("", "{x}", false),
    ] {
        let overlaps = |a: &str, b: &str| Blend::parse(a).unwrap().overlaps(&Blend::parse(b).unwrap());
        assert_eq!((overlaps(a, b), overlaps(b, a)), (expected, expected), "{a} {b}");
    }
}

/// Patterns over three letters: text and captures in turn.
fn pattern() -> impl Strategy<Value = String> {
    let text = "[ab.]{1,3}";
    let capture = prop_oneof![Just("{}"), Just("{..}")];
    (
        "[ab.]{0,3}",
        proptest::collection::vec((capture, text), 0..4),
        any::<bool>(),
    )
        .prop_map(|(before, parts, open)| {
            let last = parts.len().saturating_sub(1);
            parts
                .iter()
                .enumerate()
                .fold(before, |pattern, (n, (capture, text))| {
                    let capture = capture.replace('{', &format!("{{c{n}"));
                    let text = if open && n == last { "" } else { text };
                    pattern + &capture + text
                })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_first_of_all_splits_is_taken(pattern in pattern(), text in "[ab.]{0,9}") {
        let blend = Blend::parse(&pattern).unwrap();
        prop_assert_eq!(matched(&pattern, &text), splits(&blend, &text).into_iter().next());
    }

    #[test]
    fn what_matches_both_is_an_overlap(a in pattern(), b in pattern(), text in "[ab.]{0,9}") {
        let (a, b) = (Blend::parse(&a).unwrap(), Blend::parse(&b).unwrap());
        let both = !splits(&a, &text).is_empty() && !splits(&b, &text).is_empty();
        prop_assert!(!both || (a.overlaps(&b) && b.overlaps(&a)));
    }
}
