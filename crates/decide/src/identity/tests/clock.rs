//! The wall clock is set, forwards and backwards, while verdicts are kept.

use super::*;

/// Whatever the clock says, a token that was verified before is good for no longer than one that is seen for the first time;
/// and what was refused at one time is judged anew at another.
#[test]
fn a_verdict_that_is_kept_is_never_wider_than_a_new_one() {
    let token = || {
        good()
            .claim("iat", NOW)
            .claim("nbf", NOW)
            .claim("exp", NOW + 60)
            .mint()
    };
    let is_verified = |answer| matches!(answer, Identified::Verified(_, _));
    // In seconds from the moment the token is issued; the leeway is 30.
    let clocks: &[(&str, i64, bool)] = &[
        ("clock-year-1970", -(NOW as i64), false),
        ("clock-jump-back", -3600, false),
        ("clock-skew-minus", -31, false),
        ("clock-skew-minus", -29, true),
        ("clock-leap-smear", -1, true),
        ("clock-leap-smear", 0, true),
        ("clock-leap-smear", 1, true),
        ("clock-skew-plus", 89, true),
        ("clock-skew-plus", 91, false),
        ("clock-jump-forward", 3600, false),
        ("clock-year-2100", 2_300_000_000, false),
    ];
    let (kept, minted) = (ours(), token());
    assert!(is_verified(ask(&kept, &minted, now())));
    for &(id, moved, expected) in clocks {
        let time = at(NOW.saturating_add_signed(moved));
        assert_eq!(
            is_verified(ask(&ours(), &token(), time)),
            expected,
            "{id}: {moved} s, new"
        );
        let again = is_verified(ask(&kept, &minted, time));
        // It was issued by then, whatever the clock says now; but it never outlives its end.
        assert!(!again || expected || moved < 0, "{id}: {moved} s, kept");
        // Nothing of that lasts.
        assert!(is_verified(ask(&kept, &minted, now())), "{id}: after {moved} s");
    }
}
