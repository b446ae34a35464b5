//! Rules that are replaced while requests are answered.

use serde_json::{Value, json};

use super::tokens::{bearer, issuer};
use super::*;

fn settings(changes: Value) -> Settings {
    let mut all = json!({"issuers": [issuer()], "identity_headers": {"x-user": "principal"}});
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

impl Stage {
    fn replace(&self, policies: &str, changes: Value) -> Replaced {
        let next = rules(policies, settings(changes));
        self.runtime
            .block_on(self.pipeline.replace(Arc::new(next)))
            .unwrap()
    }
}

/// The value of an identity header of an allow.
fn header(decision: &Decision, name: &str) -> Option<String> {
    let Verdict::Allow(permit) = decision.verdict() else {
        return None;
    };
    let mut set = permit.edits().set().iter();
    set.find(|(known, _)| **known == *name)
        .map(|(_, value)| value.to_string())
}

/// The token is verified once, before; every change counts for it from the next request on.
#[test]
fn nothing_that_was_kept_outlives_a_change() {
    let alice = bearer(&json!({"client_id": "portal"}));
    let ask = |stage: &Stage| stage.ask("GET", "/pages/one", &[("authorization", &alice)]);
    let only_bob = "permit(principal == User::\"main/bob\", action, resource);";
    type Row<'r> = (&'r str, &'r str, Value, (Reason, &'r str, Option<&'r str>));
    let rows: [Row<'_>; 7] = [
        (
            "nothing",
            PERMIT_ALL,
            json!({}),
            (Reason::Permitted, "x-user", Some("main/alice")),
        ),
        (
            "policies",
            only_bob,
            json!({}),
            (Reason::NoPermit, "x-user", None),
        ),
        (
            "another header",
            PERMIT_ALL,
            json!({"identity_headers": {"x-who": "subject"}}),
            (Reason::Permitted, "x-who", Some("alice")),
        ),
        (
            "the old header is none",
            PERMIT_ALL,
            json!({"identity_headers": {"x-who": "subject"}}),
            (Reason::Permitted, "x-user", None),
        ),
        (
            "another value",
            PERMIT_ALL,
            json!({"identity_headers": {"x-user": "issuer"}}),
            (Reason::Permitted, "x-user", Some("main")),
        ),
        (
            "no issuer",
            PERMIT_ALL,
            json!({"issuers": []}),
            (Reason::CredentialRefused, "x-user", None),
        ),
        (
            "another secret",
            PERMIT_ALL,
            {
                let mut issuer = issuer();
                issuer["hmac_secrets"] = json!(["another secret of 32 bytes, and more"]);
                json!({"issuers": [issuer]})
            },
            (Reason::CredentialRefused, "x-user", None),
        ),
    ];
    for (what, policies, changes, (reason, name, value)) in rows {
        let stage = stage(PERMIT_ALL, settings(json!({})));
        assert_eq!(ask(&stage).reason(), Reason::Permitted, "{what}");
        let old = stage.replace(policies, changes);
        let decision = ask(&stage);
        assert_eq!(decision.reason(), reason, "{what}");
        assert_eq!(header(&decision, name).as_deref(), value, "{what}");
        let now = stage.pipeline.live().rules().version().clone();
        assert_eq!(
            (decision.version(), old.version() == &now),
            (&now, what == "nothing"),
            "{what}"
        );
        old.free();
    }
}

#[test]
fn a_secret_is_part_of_the_version() {
    let version = |secret: &str| {
        let mut issuer = issuer();
        issuer["hmac_secrets"] = json!([secret]);
        rules(PERMIT_ALL, settings(json!({"issuers": [issuer]})))
            .version()
            .to_string()
    };
    let (one, other) = (
        "0123456789abcdef0123456789abcdef",
        "1123456789abcdef0123456789abcdef",
    );
    assert_eq!(version(one), version(one));
    assert_ne!(version(one), version(other));
}

/// Threads ask without end while the rules change between two that differ in everything.
#[test]
fn no_answer_is_a_mix() {
    let one = (PERMIT_ALL, json!({}));
    let two = (
        "@id(\"two\") permit(principal, action, resource);",
        json!({"identity_headers": {"x-user": "subject"}}),
    );
    let alice = bearer(&json!({"client_id": "portal"}));
    let stage = stage(one.0, settings(one.1.clone()));
    let versions = [&one, &two]
        .map(|(policies, changes)| rules(policies, settings(changes.clone())).version().to_string());
    let over = std::sync::atomic::AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0_usize; 2];
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let decision = stage.ask("GET", "/pages/one", &[("authorization", &alice)]);
                        let version = decision.version().to_string();
                        let which = versions.iter().position(|known| *known == version).unwrap();
                        let policy = decision.policies()[0].to_string();
                        let user = header(&decision, "x-user").unwrap();
                        let expected = [("all", "main/alice"), ("two", "alice")][which];
                        assert_eq!((policy.as_str(), user.as_str()), expected);
                        seen[which] += 1;
                    }
                    seen
                })
            })
            .collect();
        for round in 0..60 {
            let (policies, changes) = [&two, &one][round % 2];
            stage.replace(policies, changes.clone()).free();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let seen = askers.into_iter().map(|asker| asker.join().unwrap());
        seen.fold([0; 2], |sum, seen| [sum[0] + seen[0], sum[1] + seen[1]])
    });
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
}
