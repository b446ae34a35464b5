use model::{Contract, Decision, Denial, Reason, Version};

use super::*;

fn offer(recent: &Recent, log: &str) -> String {
    let denial = Denial {
        status: 403,
        reason: Reason::NoPermit,
        caller: "access denied".into(),
        log: log.to_owned(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    let decision = Decision::deny(denial, Vec::new(), Version("v".into()));
    recent.offer(&Record::of(&decision, Contract::Direct));
    decision.id().to_string()
}

fn settings(recent: usize, bytes: usize) -> ExplainSettings {
    ExplainSettings {
        recent,
        bytes,
        only: Only::Denied,
    }
}

#[test]
fn the_oldest_are_forgotten_first() {
    let recent = Recent::new(&settings(3, 1 << 20));
    let ids: Vec<String> = (0..5).map(|_| offer(&recent, "no")).collect();
    let found: Vec<bool> = ids.iter().map(|id| recent.find(id).is_some()).collect();
    assert_eq!(found, [false, false, true, true, true]);
    assert_eq!(recent.counts(), (3, 0));
}

#[test]
fn memory_is_bounded() {
    let recent = Recent::new(&settings(1000, 64 * 1024));
    for _ in 0..100 {
        offer(&recent, &"x".repeat(10_000));
    }
    assert!(recent.0.kept.lock().unwrap().bytes <= 64 * 1024);
    assert!((1..=6).contains(&recent.counts().0), "{:?}", recent.counts());
    let id = offer(&recent, &"x".repeat(100_000));
    assert!(recent.find(&id).is_none());
    assert_eq!(recent.counts().1, 1);
}

#[test]
fn whoever_decides_does_not_wait_for_a_reader() {
    let recent = Recent::new(&settings(10, 1 << 20));
    let reading = recent.0.kept.lock().unwrap();
    offer(&recent, "no");
    drop(reading);
    assert_eq!(recent.counts(), (0, 1));
}

#[test]
fn nothing_is_kept_if_nothing_shall_be() {
    let recent = Recent::new(&settings(0, 1 << 20));
    offer(&recent, "no");
    assert_eq!(recent.counts(), (0, 0));
}
