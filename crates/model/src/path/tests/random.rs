//! Random and exhaustive targets: against a second, slow and obvious gate, and against the promises of the module.

use std::borrow::Cow;

use proptest::prelude::*;
use proptest::sample::select;
use unicode_normalization::UnicodeNormalization;

use super::super::characters::judge;
use super::super::{Decoding, RequestPath};
use super::{decoded, raw};

/// What targets are made of: every kind of byte, spelled every way, and the parts of known attacks.
const PIECES: &[&[u8]] = &[
    b"/",
    b"/",
    b"/",
    b"/",
    b"a",
    b"b",
    b"Z",
    b"0",
    b"admin",
    b".",
    b"..",
    b"-",
    b"_",
    b"~",
    b"*",
    b":",
    b"@",
    b"=",
    b"%61",
    b"%4a",
    b"%4A",
    b"%2e",
    b"%2E",
    b"%2D",
    b"%7e",
    b"%2a",
    b"%3A",
    b"%40",
    b"%20",
    b" ",
    b"%2f",
    b"%2F",
    b"%5c",
    b"%5C",
    b"\\",
    b";",
    b"%3b",
    b"#",
    b"%23",
    b"?",
    b"%3F",
    b"%25",
    b"%2",
    b"%",
    b"%g0",
    b"%00",
    b"\0",
    b"%0a",
    b"\n",
    b"%7f",
    b"\x7f",
    b"\t",
    b"<",
    b"%3c",
    b"%3C",
    b"[",
    b"%5D",
    b"%7B",
    b"|",
    b"\"",
    b"`",
    b"%5E",
    b"%C3a%A9",
    b"%C3.%A9",
    b"%C3%A9",
    b"%c3%a9",
    b"%C3",
    b"%A9",
    b"\xC3\xA9",
    b"\xE9",
    b"%E6%97%A5",
    b"\xE6\x97\xA5",
    b"%F0%9F%98%80",
    b"%E2%81%84",
    b"%EF%BC%8F",
    b"%EF%BC%8E",
    b"%E2%80%8B",
    b"%C2%A0",
    b"%C0%AF",
    b"%ED%A0%80",
    b"%F4%90%80%80",
    b"%C4%B1",
    b"%FF",
    b"e%CC%81",
    b"\xEF\xBC\x8F",
    b"%EE%80%AF",
    b"!$&'()*+,",
];
/// Pieces that are legal as they stand or once decoded: targets of these are usually accepted.
const PEACEFUL: &[&[u8]] = &[
    b"/a",
    b"/b",
    b"/a",
    b"/.x",
    b"a",
    b"Z",
    b"0",
    b"-",
    b".a",
    b"*",
    b":",
    b"%61",
    b"%4a",
    b"%2eb",
    b"%2D",
    b"%7e",
    b"%2a",
    b"%20c",
    b"%3c",
    b"%3E",
    b"%5d",
    b"%7B",
    b"%C3%A9",
    b"%c3%A9",
    b"%E6%97%a5",
    b"%F0%9F%98%80",
    b"e%CC%81",
];

fn target() -> impl Strategy<Value = Vec<u8>> {
    let mixed = |pieces| {
        prop::collection::vec(select(pieces), 0..14)
            .prop_map(|parts: Vec<&[u8]>| [&b"/"[..], &parts.concat()].concat())
    };
    prop_oneof![4 => mixed(PIECES), 4 => mixed(PEACEFUL), 1 => prop::collection::vec(any::<u8>(), 0..24)]
}

/// Decoded paths: what the pieces stand for, without a query.
fn logical() -> impl Strategy<Value = Vec<u8>> {
    target()
        .prop_map(|target| percent_decode(&target).unwrap_or(target))
        .prop_map(|mut path| {
            path.retain(|&byte| byte != b'?');
            path
        })
}

fn percent_decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < path.len() {
        if path[at] == b'%' {
            let digits = std::str::from_utf8(path.get(at + 1..at + 3)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            bytes.push(path[at]);
            at += 1;
        }
    }
    Some(bytes)
}

/// Spells a path some way: the bits say which of its bytes are encoded, and in which case.
fn spell(path: &[u8], bits: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for (&byte, &bit) in path.iter().zip(bits.iter().cycle()) {
        match byte {
            b'/' => text.push(byte),
            _ if bit & 1 == 0 && LEGAL.contains(&byte) => text.push(byte),
            _ if bit & 2 == 0 => text.extend(format!("%{byte:02x}").bytes()),
            _ => text.extend(format!("%{byte:02X}").bytes()),
        }
    }
    text
}

const LEGAL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@";

/// The gate once more, step by step and without care for speed. `None` is a refusal.
fn slow_gate(target: &[u8]) -> Option<(String, Option<Vec<u8>>)> {
    let cut = target.iter().position(|&b| b == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(cut);
    let query = query.get(1..).map(<[u8]>::to_vec);
    let written_well = |text: &[u8]| text.iter().all(|&b| (0x21..=0x7E).contains(&b) && b != b'#');
    if !written_well(path) || !query.as_deref().is_none_or(written_well) || path.len() > 8192 {
        return None;
    }
    if path.iter().any(|b| !LEGAL.contains(b) && !b"/%".contains(b)) {
        return None;
    }
    let mut names = Vec::new();
    for (index, segment) in path.split(|&b| b == b'/').enumerate() {
        let name = String::from_utf8(percent_decode(segment)?).ok()?;
        let edges = name.starts_with(' ') || name.ends_with(' ') || name.ends_with('.');
        let structure = name.chars().any(|c| r"/\%?#;".contains(c) || c.is_control());
        if (index == 0) != name.is_empty()
            && !(name.is_empty() && index + 1 == path.split(|&b| b == b'/').count())
        {
            return None;
        }
        if edges || structure || name.chars().any(|c| !c.is_ascii() && judge(c).is_err()) {
            return None;
        }
        names.push(name);
    }
    if names.len() < 2 || names.len() > 257 {
        return None;
    }
    let canonical = names.join("/").bytes().fold(String::new(), |text, b| {
        if b == b'/' || LEGAL.contains(&b) {
            text + &char::from(b).to_string()
        } else {
            text + &format!("%{b:02X}")
        }
    });
    Some((canonical, query))
}

/// Quick by default; `PROPTEST_CASES=1000000` makes a night of it.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(4_000),
        failure_persistence: None,
        ..asked
    }
}

/// All 65,536 pairs of bytes behind a `%`, where the decoded byte and the edges of a segment matter.
#[test]
fn every_escape_agrees_with_the_slow_gate() {
    for pair in 0..=u16::MAX {
        let [high, low] = pair.to_be_bytes();
        for target in [
            [b'/', b'a', b'%', high, low, b'b'],
            [b'/', b'%', high, low, b'/', b'x'],
        ] {
            let fast = raw(&target).ok().map(|(path, _)| path.to_string());
            assert_eq!(
                fast,
                slow_gate(&target).map(|(path, _)| path),
                "{}",
                target.escape_ascii()
            );
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_fast_gate_agrees_with_the_slow_one(target in target()) {
        let fast = raw(&target).ok().map(|(path, query)| (path.to_string(), query.map(|q| q.as_bytes().to_vec())));
        prop_assert_eq!(fast, slow_gate(&target), "{}", target.escape_ascii());
    }

    #[test]
    fn the_canonical_form_is_its_own_and_borrowed(target in target(), as_decoded in any::<bool>()) {
        let decoding = if as_decoded { Decoding::Decoded } else { Decoding::Raw };
        if let Ok((path, _)) = RequestPath::parse_target(&target, decoding) {
            let again = raw(path.as_str().as_bytes()).map(|(path, query)| (path.0, query));
            let borrowed = matches!(again, Ok((Cow::Borrowed(text), None)) if text == path.as_str());
            prop_assert!(borrowed, "{} from {}", path, target.escape_ascii());
        }
    }

    #[test]
    fn canonical_forms_are_equal_exactly_when_the_decoded_bytes_are(
        target in target(), other in target(), bits in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        if let Ok((path, _)) = raw(&target) {
            let bytes = percent_decode(target.split(|&b| b == b'?').next().unwrap_or_default());
            prop_assert_eq!(percent_decode(path.as_str().as_bytes()), bytes.clone());
            let respelled = spell(&bytes.unwrap_or_default(), &bits);
            prop_assert_eq!(raw(&respelled).map(|(path, _)| path.to_string()), Ok(path.to_string()));
            if let Ok((other_path, _)) = raw(&other) {
                let other_bytes = percent_decode(other.split(|&b| b == b'?').next().unwrap_or_default());
                let bytes = percent_decode(path.as_str().as_bytes());
                prop_assert_eq!(path == other_path, bytes == other_bytes);
            }
        }
    }

    #[test]
    fn raw_and_decoded_agree(path in logical(), bits in prop::collection::vec(any::<u8>(), 1..20)) {
        let spelled = spell(&path, &bits);
        let by_raw = raw(&spelled).ok().map(|(path, _)| path.to_string());
        let by_decoded = decoded(&path).ok().map(|(path, _)| path.to_string());
        prop_assert_eq!(by_raw, by_decoded, "{}", path.escape_ascii());
    }

    #[test]
    fn nothing_refused_survives(target in target(), as_decoded in any::<bool>()) {
        let decoding = if as_decoded { Decoding::Decoded } else { Decoding::Raw };
        match RequestPath::parse_target(&target, decoding) {
            Err(refusal) => {
                let line = refusal.to_string();
                prop_assert!(line.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{:?}", line);
            }
            Ok((path, query)) => {
                let text = path.as_str();
                let plain = text.bytes().all(|b| LEGAL.contains(&b) || b == b'/' || b == b'%');
                prop_assert!(text.starts_with('/') && plain, "{}", text);
                prop_assert!(query.unwrap_or_default().bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
                let bytes = percent_decode(text.as_bytes()).unwrap_or_default();
                let once = String::from_utf8(bytes).expect("decodes to UTF-8");
                // Not even normalising the whole path changes its structure.
                for form in [once.clone(), once.nfc().collect(), once.nfkc().collect::<String>()] {
                    let segments: Vec<&str> = form.split('/').collect();
                    prop_assert_eq!(segments.len(), path.segments().count() + 1);
                    prop_assert!(segments[1..segments.len() - 1].iter().all(|s| !s.is_empty()));
                    prop_assert!(segments.iter().all(|s| !s.ends_with(['.', ' ']) && !s.starts_with(' ')));
                    prop_assert!(!form.contains(['\\', '%', '?', '#', ';']) && !form.contains(char::is_control));
                }
            }
        }
    }
}
