use proptest::prelude::*;

use super::*;
use crate::identity::testing::{KEYS, b64, token};

/// What the transport would refuse before: the parser does not rely on it.
#[test]
fn the_parser_stands_on_its_own() {
    let minted = token(&KEYS.a_ec).mint();
    let [header, payload, signature]: [&str; 3] = minted.split('.').collect::<Vec<_>>().try_into().unwrap();
    assert!(Jws::parse(&minted).is_ok());
    let long = format!(
        "{header}.{}.{signature}",
        "A".repeat(credentials::MAX_TOKEN_BYTES)
    );
    for (text, refusal) in [
        (
            format!("{header}=.{payload}.{signature}"),
            TokenRefusal::Base64(Part::Header),
        ),
        (
            format!("{header}.{payload}==.{signature}"),
            TokenRefusal::Base64(Part::Payload),
        ),
        (format!("{minted}=="), TokenRefusal::Base64(Part::Signature)),
        (format!("{minted}\n"), TokenRefusal::Base64(Part::Signature)),
        (format!(" {minted}"), TokenRefusal::Base64(Part::Header)),
        (
            format!("{header}.{payload}.{signature}+/"),
            TokenRefusal::Base64(Part::Signature),
        ),
        (format!("\u{ff45}{minted}"), TokenRefusal::Base64(Part::Header)),
        (long.clone(), TokenRefusal::TooLong(long.len())),
        (String::new(), TokenRefusal::Segments(1)),
    ] {
        assert_eq!(Jws::parse(&text).unwrap_err(), refusal, "{text}");
    }
}

#[test]
fn what_is_signed_is_what_was_sent() {
    let minted = token(&KEYS.a_ec).mint();
    let jws = Jws::parse(&minted).unwrap();
    assert_eq!(format!("{}.{}", jws.signed, b64(&jws.signature)), minted);
    // Equal segments do not confuse the cut.
    let twin = token(&KEYS.a_ec).raw_claims("{}").unsigned();
    let same = format!("{twin}.{}", b64("{}"));
    assert_eq!(Jws::parse(&same).unwrap().signed, twin);
}

proptest! {
    #[test]
    fn no_input_breaks_the_parser(text in "\\PC*", header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let _ = Jws::parse(&text);
        let _ = Jws::parse(&format!("{}.{}.AAAA", b64(&header), b64(&payload)));
        prop_assert!(json::parse(&payload).is_ok() <= serde_json::from_slice::<Value>(&payload).is_ok());
    }
}
