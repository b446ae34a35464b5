use super::*;

#[test]
fn a_panic_ends_one_reload_only() {
    assert_eq!(caught(|| -> u8 { panic!("a bug") }), None);
    assert_eq!(caught(|| 1), Some(1));
}

#[test]
fn what_is_missing_is_named() {
    for (old, new, expected) in [
        (&["b", "a"][..], &["c"][..], &["a", "b"][..]),
        (&["a"], &["b", "a"], &[]),
        (&[], &["a"], &[]),
    ] {
        assert_eq!(missing(old.iter().copied(), new.iter().copied()), expected);
    }
}
