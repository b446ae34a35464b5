use std::sync::Barrier;
use std::time::Duration;

use decide::identity::CacheUse;
use decide::policy::PolicyError;
use decide::{Record, Recorder};
use model::{Contract, Decision, Denial, Reason, Version};

use super::counted::Counted;
use super::*;

/// Keeps nothing.
struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _: &Record<'_, '_>) {}

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        vec![("queue", 7), ("file", 1)]
    }
}

fn denied(reason: Reason) -> Decision {
    let denial = Denial {
        status: 403,
        reason,
        caller: "".into(),
        log: String::new(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    Decision::deny(denial, vec!["a".into()], Version("v".into()))
}

#[test]
fn numbers_of_contracts_and_reasons_are_their_places() {
    for (place, contract) in Contract::ALL.into_iter().enumerate() {
        assert_eq!(contract as usize, place, "{contract:?}");
    }
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place, "{reason:?}");
    }
    for (place, kind) in CacheUse::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, place, "{kind:?}");
    }
    for (place, step) in decide::Step::ALL.into_iter().enumerate() {
        assert_eq!(step as usize, place, "{step:?}");
    }
}

#[test]
fn every_contract_and_reason_is_counted_for_itself() {
    let recent = Recent::new(&crate::recent::ExplainSettings::default());
    let counted = Counted::new(recent.before(Box::new(Nowhere)));
    let mut all = 0;
    for (c, contract) in Contract::ALL.into_iter().enumerate() {
        for (r, reason) in Reason::ALL.into_iter().enumerate() {
            // How often tells them apart.
            for _ in 0..=(c + r) % 3 {
                counted.offer(&Record::of(&denied(reason), contract));
                all += 1;
            }
        }
    }
    for (c, contract) in Contract::ALL.into_iter().enumerate() {
        let expected: Vec<u64> = (0..Reason::ALL.len()).map(|r| ((c + r) % 3 + 1) as u64).collect();
        assert_eq!(counted.decisions(contract).to_vec(), expected, "{contract:?}");
    }
    let [(_, allowed), (_, denied)] = counted.durations();
    assert_eq!((allowed.count(), denied.count()), (0, all));
    assert_eq!(counted.dropped(), [("queue", 7), ("file", 1)]);
}

#[test]
fn threads_count_together_and_leave_their_counts_behind() {
    let counted = Counted::new(Box::new(Nowhere));
    let together = Barrier::new(8);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        for _ in 0..1000 {
                            let decision = denied(Reason::NoPermit);
                            let errors = [PolicyError {
                                policy: "a".into(),
                                place: None,
                                message: String::new(),
                            }];
                            counted.offer(&Record {
                                token_cache: Some(CacheUse::Miss),
                                errors: &errors,
                                took: Duration::from_micros(15),
                                ..Record::of(&decision, Contract::EnvoyGrpc)
                            });
                        }
                        together.wait();
                    })
                })
                .collect();
            // Only who is joined has given back what it counted with.
            threads
                .into_iter()
                .for_each(|thread| thread.join().expect("a thread"));
        });
    }
    assert_eq!(
        counted.decisions(Contract::EnvoyGrpc)[Reason::NoPermit as usize],
        24_000
    );
    assert_eq!(
        counted.cache_uses(),
        [("hit", 0), ("verified", 0), ("miss", 24_000)]
    );
    let [_, (_, denied)] = counted.durations();
    assert_eq!((denied.count(), denied.buckets()[1].1), (24_000, 24_000));
    let policies = counted.policies();
    let others = policies.last().expect("the others");
    assert_eq!((others.1.matches, others.1.errors), (24_000, 24_000));
    assert!(
        counted.threads() <= 8,
        "{} sets of counts for 8 threads at a time",
        counted.threads()
    );
}

#[test]
fn two_servers_in_one_process_do_not_mix() {
    let (one, other) = (Counted::new(Box::new(Nowhere)), Counted::new(Box::new(Nowhere)));
    for _ in 0..100 {
        one.offer(&Record::of(&denied(Reason::NoRoute), Contract::Direct));
        other.offer(&Record::of(&denied(Reason::NoRoute), Contract::House));
        other.offer(&Record::of(&denied(Reason::NoRoute), Contract::House));
    }
    let place = Reason::NoRoute as usize;
    assert_eq!(one.decisions(Contract::Direct)[place], 100);
    assert_eq!(one.decisions(Contract::House)[place], 0);
    assert_eq!(other.decisions(Contract::House)[place], 200);
    assert!(one.threads() <= 1 && other.threads() <= 1);
}

#[test]
fn the_plain_format_names_families_of_counters_as_their_series() {
    let openmetrics = "# HELP a Things\n# TYPE a counter\na_total{b=\"# EOF\"} 1\n# HELP c Other\n# TYPE c gauge\nc 2\n# EOF\n";
    let expected = "# HELP a_total Things\n# TYPE a_total counter\na_total{b=\"# EOF\"} 1\n# HELP c Other\n# TYPE c gauge\nc 2\n";
    assert_eq!(plain(openmetrics), expected);
}
