//! Rows: what is revoked, and whose credential is asked about.

use super::*;
use crate::{Actor, Delegation, PrincipalKind};

fn alice() -> Principal {
    Principal {
        client: Some("portal".to_owned()),
        ..Principal::new(PrincipalKind::User, "main", "alice")
    }
}

/// Subject, `jti`, `iat`, and what is found.
type Row<'r> = (&'r str, Option<&'r str>, Option<f64>, Option<&'r str>);

fn check(what: Revoked, before: Before, expected: &[Row<'_>]) {
    let mut revocations = Revocations::default();
    revocations.add("main", what.clone(), before);
    for (subject, token_id, issued_at, found) in expected {
        let principal = Principal {
            subject: (*subject).to_owned(),
            ..alice()
        };
        let answer = revocations.find(&principal, *token_id, *issued_at);
        assert_eq!(
            answer, *found,
            "{what:?} {before:?}: {subject} {token_id:?} {issued_at:?}"
        );
    }
    let elsewhere = Principal {
        issuer: "other".to_owned(),
        ..alice()
    };
    assert_eq!(
        revocations.find(&elsewhere, Some("t1"), Some(1.0)),
        None,
        "{what:?}: of another issuer"
    );
}

#[test]
fn what_revokes_what() {
    let token = |id: &str| Revoked::Token(id.to_owned());
    check(
        token("t1"),
        Before::Ever,
        &[
            ("alice", Some("t1"), Some(1.0), Some("token")),
            ("alice", Some("t2"), Some(1.0), None),
            ("alice", None, None, None),
        ],
    );
    check(
        Revoked::Subject("alice".to_owned()),
        Before::Ever,
        &[
            ("alice", None, Some(9e12), Some("subject")),
            ("alice2", None, Some(1.0), None),
        ],
    );
    check(
        Revoked::Subject("alice".to_owned()),
        Before::Time(100.0),
        &[
            ("alice", None, Some(99.9), Some("subject")),
            ("alice", None, Some(100.0), None),
            ("alice", None, None, Some("subject")),
            ("bob", None, None, None),
        ],
    );
    check(
        Revoked::Client("portal".to_owned()),
        Before::Time(100.0),
        &[
            ("alice", None, Some(1.0), Some("client")),
            ("alice", None, Some(101.0), None),
        ],
    );
    check(
        Revoked::Issuer,
        Before::Time(100.0),
        &[
            ("alice", None, Some(1.0), Some("issuer")),
            ("bob", None, Some(100.0), None),
            ("bob", None, None, Some("issuer")),
        ],
    );
}

#[test]
fn a_second_revocation_never_narrows_the_first() {
    let mut revocations = Revocations::default();
    revocations.add("main", Revoked::Subject("alice".to_owned()), Before::Ever);
    revocations.add("main", Revoked::Subject("alice".to_owned()), Before::Time(5.0));
    assert_eq!(revocations.find(&alice(), None, Some(9.0)), Some("subject"));
    revocations.add("main", Revoked::Issuer, Before::Time(10.0));
    revocations.add("main", Revoked::Issuer, Before::Time(5.0));
    let bob = Principal::new(PrincipalKind::User, "main", "bob");
    assert_eq!(revocations.find(&bob, None, Some(9.0)), Some("issuer"));
}

#[test]
fn who_acts_with_it_is_looked_at_too() {
    let mut revocations = Revocations::default();
    revocations.add("jobs", Revoked::Client("runner".to_owned()), Before::Time(100.0));
    let mut principal = alice();
    assert_eq!(revocations.find(&principal, None, Some(1.0)), None);
    principal.actors = vec![Actor::new("main", "portal"), Actor::new("jobs", "runner")];
    assert_eq!(revocations.find(&principal, None, Some(1.0)), Some("client"));
    assert_eq!(revocations.find(&principal, None, Some(100.0)), None);
    let mut robot = Revocations::default();
    robot.add("jobs", Revoked::Subject("runner".to_owned()), Before::Ever);
    assert_eq!(robot.find(&principal, None, Some(1.0)), Some("client"));
    let mut issuer = Revocations::default();
    issuer.add("jobs", Revoked::Issuer, Before::Ever);
    assert_eq!(issuer.find(&principal, None, Some(1.0)), Some("client"));
}

#[test]
fn how_long_a_view_is_good() {
    let now = Instant::now();
    assert!(HouseView::none().is_good(now + Duration::from_secs(1 << 30)));
    assert!(!HouseView::unknown().is_good(Instant::now()));
    let confirmed = HouseView::unknown().confirmed(now, Duration::from_secs(60));
    assert!(confirmed.is_good(now + Duration::from_secs(59)));
    assert!(!confirmed.is_good(now + Duration::from_secs(60)));
}

#[test]
fn a_delegated_token_ends_with_what_it_was_exchanged_for() {
    let principal = Principal {
        delegation: Some(Box::new(Delegation {
            issuer: "house".to_owned(),
            token_id: Some("original".to_owned()),
            issued_at: Some(50.0),
            client: Some("ui".to_owned()),
            chain: "first".to_owned(),
            began_at: 80.0,
            ..Delegation::default()
        })),
        ..alice()
    };
    let token = |id: &str| Revoked::Token(id.to_owned());
    let rows = [
        ("main", token("original"), Before::Ever, Some("token")),
        ("main", token("own"), Before::Ever, None),
        ("house", token("own"), Before::Ever, Some("token")),
        ("house", token("original"), Before::Ever, None),
        // A renewal ends with the token that it goes back to.
        ("house", token("first"), Before::Ever, Some("token")),
        ("main", token("first"), Before::Ever, None),
        ("house", Revoked::Issuer, Before::Time(90.0), Some("issuer")),
        // The client that the user's own token was issued to.
        (
            "main",
            Revoked::Client("ui".to_owned()),
            Before::Ever,
            Some("client"),
        ),
        (
            "main",
            Revoked::Client("ui".to_owned()),
            Before::Time(60.0),
            Some("client"),
        ),
        ("main", Revoked::Client("ui".to_owned()), Before::Time(50.0), None),
        ("house", Revoked::Client("ui".to_owned()), Before::Ever, None),
        // Of the two times, that of the user's own token counts for what the user's issuer revokes.
        (
            "main",
            Revoked::Subject("alice".to_owned()),
            Before::Time(60.0),
            Some("subject"),
        ),
        ("main", Revoked::Issuer, Before::Time(60.0), Some("issuer")),
        ("main", Revoked::Issuer, Before::Time(50.0), None),
        ("house", Revoked::Issuer, Before::Time(60.0), None),
        ("house", Revoked::Issuer, Before::Time(101.0), Some("issuer")),
    ];
    for (issuer, what, before, expected) in rows {
        let mut revocations = Revocations::default();
        revocations.add(issuer, what.clone(), before);
        let found = revocations.find(&principal, Some("own"), Some(100.0));
        assert_eq!(found, expected, "{issuer} {what:?} {before:?}");
    }
}
