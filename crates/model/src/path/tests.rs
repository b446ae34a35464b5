//! The gate against other people's attacks and against every character there is.

mod random;

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::characters::judge;
use super::*;
use PathRefusal::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    target: Text,
    expect: String,
    normalised: Option<Text>,
    query: Option<String>,
    refusal: Option<String>,
}

/// One character is one byte (Latin-1).
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Long { repeat: (String, String, usize) },
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Long {
                repeat: (before, unit, times),
            } => before.clone() + &unit.repeat(*times),
        };
        text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect()
    }
}

/// The refusal as the vectors write it: bytes in hexadecimal, characters as `U+`.
fn name(refusal: PathRefusal) -> String {
    let debug = format!("{refusal:?}");
    let variant = debug.split('(').next().expect("one part at least");
    match refusal {
        Byte(b) | QueryByte(b) | NotEncoded(b) | Escaped(b) => format!("{variant}(0x{b:02X})"),
        Invisible(c) | Lookalike(c) | FoldsToAscii(c) | Unassigned(c) => {
            format!("{variant}(U+{:04X})", u32::from(c))
        }
        _ => debug,
    }
}

fn raw(target: &[u8]) -> Result<(RequestPath<'_>, Option<&str>), PathRefusal> {
    RequestPath::parse_target(target, Decoding::Raw)
}

fn decoded(target: &[u8]) -> Result<(RequestPath<'_>, Option<&str>), PathRefusal> {
    RequestPath::parse_target(target, Decoding::Decoded)
}

#[test]
fn vectors_have_exactly_the_expected_outcome() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).expect("valid vectors");
    assert_eq!(vectors.len(), 130);
    for vector in vectors {
        let target = vector.target.bytes();
        let outcome = raw(&target).map(|(path, query)| (path.as_str().as_bytes().to_vec(), query));
        let expected = match (vector.expect.as_str(), &vector.normalised, &vector.refusal) {
            ("normalise", Some(path), None) => Ok((path.bytes(), vector.query.as_deref())),
            ("reject", None, Some(refusal)) => Err(refusal.clone()),
            _ => panic!("{}: neither normalised nor refused", vector.id),
        };
        assert_eq!(outcome.map_err(name), expected, "{}", vector.id);
    }
}

#[test]
fn decoded_targets_have_the_same_canonical_form() {
    for (target, expected) in [
        (&b"/"[..], Ok("/")),
        (b"/public/a b", Ok("/public/a%20b")),
        ("/public/café".as_bytes(), Ok("/public/caf%C3%A9")),
        ("/日/本/".as_bytes(), Ok("/%E6%97%A5/%E6%9C%AC/")),
        (b"/a<>\"^{}[]|`b", Ok("/a%3C%3E%22%5E%7B%7D%5B%5D%7C%60b")),
        (b"/a!$&'()*+,=:@-._~b", Ok("/a!$&'()*+,=:@-._~b")),
        (b"/page?a=%2e%2e/", Ok("/page")),
        (b"/100%", Err(Percent)),
        (b"/a%20b", Err(Percent)),
        (b"/a\\b", Err(Backslash)),
        (b"/a;b", Err(Semicolon)),
        (b"/a#b", Err(Fragment)),
        (b"/a\0b", Err(Byte(0))),
        (b"/a\x7f", Err(Byte(0x7F))),
        (b"/caf\xE9", Err(NotUtf8)),
        (b"/\xE2\x82", Err(NotUtf8)),
        (b"/\xE2\x82/", Err(NotUtf8)),
        ("/a\u{2044}b".as_bytes(), Err(Lookalike('\u{2044}'))),
        ("/a\u{A0}".as_bytes(), Err(Invisible('\u{A0}'))),
        (b"/a/../b", Err(DotSegment)),
        (b"/a//b", Err(EmptySegment)),
        (b"/a /b", Err(EdgeBlank)),
        (b"/ a", Err(EdgeBlank)),
        (b"/a./b", Err(TrailingDot)),
        (b"/page?a b", Err(QueryByte(b' '))),
    ] {
        let outcome = decoded(target).map(|(path, _)| path.to_string());
        assert_eq!(outcome, expected.map(str::to_owned), "{}", target.escape_ascii());
    }
}

#[test]
fn other_refusals_name_their_reason() {
    for (target, expected) in [
        (&b""[..], Empty),
        (b"?x", NotOriginForm),
        (b"*?x", NotOriginForm),
        (b"\xFF", NotOriginForm),
        (b"[::1]:443", AuthorityForm),
        (b"a/b:443", NotOriginForm),
        (b"://", AbsoluteForm),
        (b"//", EmptySegment),
        (b"/...", DotSegment),
        (b"/%2e%2E", DotSegment),
        (b"/a?b\xFF", QueryByte(0xFF)),
        (b"/a?b\tc", QueryByte(b'\t')),
        (b"/a#b?c", Fragment),
        (b"/a%", BadEscape),
        (b"/a%4", BadEscape),
        (b"/a%+4", BadEscape),
        (b"/a%4?1", BadEscape),
        (b"/%C3/%A9", NotUtf8),
        (b"/%C3a%A9", NotUtf8),
        (b"/%C3.%A9", NotUtf8),
        (b"/%C3%61%A9", NotUtf8),
        (b"/%C3%C3%A9", NotUtf8),
        (b"/%C3%2F%A9", Escaped(b'/')),
        (b"/%ED%A0%80", NotUtf8),
        (b"/adm%C4%B1n", FoldsToAscii('\u{131}')),
        (b"/adm%C4%B0n", FoldsToAscii('\u{130}')),
        (b"/%E2%84%AAey", FoldsToAscii('\u{212A}')),
        (b"/%EE%80%80", Unassigned('\u{E000}')),
        (b"/%EF%BF%BF", Unassigned('\u{FFFF}')),
        (b"/%CD%B8", Unassigned('\u{378}')),
        (b"/a%20", EdgeBlank),
        (b"/a%20?x", EdgeBlank),
    ] {
        assert_eq!(
            raw(target).map(|(path, _)| path.to_string()),
            Err(expected),
            "{}",
            target.escape_ascii()
        );
    }
}

#[test]
fn limits_are_exact() {
    let path = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert!(raw(path(8192).as_bytes()).is_ok());
    assert_eq!(raw(path(8193).as_bytes()).err(), Some(TooLong));
    assert_eq!(raw(format!("{}%61", path(8190)).as_bytes()).err(), Some(TooLong));
    // A blank takes three bytes of canonical form.
    let with_blank = |length: usize| path(length - 2).replacen("/a", "/a a", 1);
    assert_eq!(with_blank(8190).len(), 8190);
    assert_eq!(
        decoded(with_blank(8190).as_bytes()).map(|(path, _)| path.as_str().len()),
        Ok(8192)
    );
    assert_eq!(decoded(with_blank(8191).as_bytes()).err(), Some(TooLong));

    assert!(raw("/a".repeat(256).as_bytes()).is_ok());
    assert!(raw(format!("{}/", "/a".repeat(255)).as_bytes()).is_ok());
    assert_eq!(
        raw(format!("{}/", "/a".repeat(256)).as_bytes()).err(),
        Some(TooManySegments)
    );
    assert_eq!(raw("/a".repeat(257).as_bytes()).err(), Some(TooManySegments));

    let query = |length: usize| format!("/?{}", "?".repeat(length));
    assert_eq!(
        raw(query(16384).as_bytes()).map(|(_, query)| query.map(str::len)),
        Ok(Some(16384))
    );
    assert_eq!(raw(query(16385).as_bytes()).err(), Some(QueryTooLong));
}

#[test]
fn a_trailing_slash_is_an_empty_segment() {
    for (target, expected) in [
        ("/", &[""][..]),
        ("/a", &["a"]),
        ("/a/b/", &["a", "b", ""]),
        ("/a%2Ab/%20c", &[]),
        ("/a%2Ab/c%20d", &["a*b", "c%20d"]),
    ] {
        let segments: Vec<String> = raw(target.as_bytes())
            .map(|(path, _)| path.segments().map(str::to_owned).collect())
            .unwrap_or_default();
        assert_eq!(segments, expected, "{target}");
    }
}

#[test]
fn a_refusal_is_one_plain_line() {
    for refusal in [
        Byte(b'\n'),
        QueryByte(0xFF),
        Escaped(0),
        NotEncoded(b'"'),
        Invisible('\u{202E}'),
        TooLong,
    ] {
        let line = refusal.to_string();
        assert!(
            line.bytes().all(|b| b == b' ' || b.is_ascii_graphic()),
            "{line:?}"
        );
    }
    assert_eq!(
        Escaped(b'\n').to_string(),
        "the path has the escape %0A, which could change its structure"
    );
    assert!(Lookalike('\u{2044}').to_string().contains("U+2044"));
}

/// Every character there is: none passes that a standard transformation makes ASCII or structure.
#[test]
fn no_accepted_character_turns_into_ascii() {
    let mut accepted = 0;
    for c in ('\u{80}'..=char::MAX).filter(|&c| judge(c).is_ok()) {
        let one = std::iter::once(c);
        let structure = |c: char| c.is_control() || c.is_whitespace() || r#"/\.%?#;:"<>|"#.contains(c);
        assert!(!one.clone().nfkc().any(|c| c.is_ascii()), "{c:?} NFKC");
        assert!(!one.clone().nfc().any(|c| c.is_ascii()), "{c:?} NFC");
        // ≮ is < with an overlay, and no upstream takes it apart; no other is more than letters with marks.
        assert!(
            !one.nfkd().any(|d| structure(d) && !"≮≯".contains(c)),
            "{c:?} NFKD"
        );
        assert!(!c.is_control() && !c.is_whitespace(), "{c:?}");
        assert!(
            !(c.to_lowercase().count() == 1 && c.to_lowercase().any(|c| c.is_ascii())),
            "{c:?} lower"
        );
        assert!(
            !(c.to_uppercase().count() == 1 && c.to_uppercase().any(|c| c.is_ascii())),
            "{c:?} upper"
        );
        accepted += 1;
    }
    // Letters of living scripts pass, composed or with marks of their own, and so do symbols.
    for c in "àßçñøšžабвґїαβγάדאبپ٠۰कखก한글日本語、。ノ丿😀→≠\u{301}\u{327}".chars()
    {
        assert_eq!(judge(c), Ok(()), "{c:?}");
    }
    assert!(accepted > 120_000, "only {accepted} characters pass");
}

/// Default_Ignorable_Code_Point and the rest of Cf and Z, as Unicode's own tables give them, and the fillers.
#[test]
fn invisible_characters_are_refused() {
    for range in [
        0x80..=0xA0,
        0xAD..=0xAD,
        0x34F..=0x34F,
        0x600..=0x605,
        0x61C..=0x61C,
        0x6DD..=0x6DD,
        0x70F..=0x70F,
        0x890..=0x891,
        0x8E2..=0x8E2,
        0x115F..=0x1160,
        0x1680..=0x1680,
        0x17B4..=0x17B5,
        0x180B..=0x180F,
        0x2000..=0x200F,
        0x2028..=0x202F,
        0x205F..=0x206F,
        0x2800..=0x2800,
        0x3000..=0x3000,
        0x3164..=0x3164,
        0xFE00..=0xFE0F,
        0xFEFF..=0xFEFF,
        0xFFA0..=0xFFA0,
        0xFFF0..=0xFFFD,
        0x110BD..=0x110BD,
        0x110CD..=0x110CD,
        0x13430..=0x1343F,
        0x16FE4..=0x16FE4,
        0x1BCA0..=0x1BCA3,
        0x1D159..=0x1D159,
        0x1D173..=0x1D17A,
        0xE0000..=0xE0FFF,
    ] {
        for c in range.filter_map(char::from_u32) {
            assert_eq!(judge(c), Err(Invisible(c)));
        }
    }
}

#[test]
fn lookalikes_are_refused() {
    for c in "\u{337}\u{338}\u{20E5}\u{20EB}\u{1D16D}¥₩᜵᜶⁁⁄∕∖⑊╱╲⟋⟍⧵⧶⧷⧸⧹⫻⫽⹊⼂⼃〳〴〵㇓㇔܁܂꘎𐩐𝈏𝈺𝈻🙼🙽".chars()
    {
        assert_eq!(judge(c), Err(Lookalike(c)));
    }
    for c in "／＼﹨．․‥…﹒；﹔％？＃\u{212A}ſⅰ½™ª".chars() {
        assert_eq!(judge(c), Err(FoldsToAscii(c)));
    }
}
