use decide::Record;
use model::{Contract, Decision, Denial, Reason};

use super::*;

/// A set of rules, as far as names go.
struct Set {
    version: Version,
    names: Vec<Arc<str>>,
}

impl Set {
    fn of(names: &[&str]) -> Self {
        Self {
            version: Version("v".into()),
            names: names.iter().map(|name| (*name).into()).collect(),
        }
    }

    fn begin(&self, by_policy: &mut ByPolicy) {
        by_policy.begin_with(&self.version, self.names.iter());
    }

    /// A decision that was determined by the policy of that name.
    fn decided_by(&self, name: &str, counts: &Counts) {
        let found = self.names.iter().find(|known| ***known == *name);
        let name = found.map_or_else(|| name.into(), Arc::clone);
        let denial = Denial {
            status: 403,
            reason: Reason::Forbidden,
            caller: "".into(),
            log: String::new(),
            challenge: None,
            redirect: None,
            headers: Arc::default(),
        };
        let decision = Decision::deny(denial, vec![name], self.version.clone());
        counts.add(&Record::of(&decision, Contract::Direct));
    }
}

/// What was counted, without the zeros.
fn matches(by_policy: &ByPolicy) -> Vec<(String, u64)> {
    let totals = by_policy.totals().into_iter();
    let totals = totals.map(|(name, totals)| (name.to_string(), totals.matches));
    totals.filter(|(_, matches)| *matches > 0).collect()
}

fn named(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    let named = expected.iter().map(|(name, count)| ((*name).to_owned(), *count));
    named.collect()
}

#[test]
fn counts_outlive_threads_and_rules() {
    let mut by_policy = ByPolicy::default();
    let old = Set::of(&["a", "b"]);
    old.begin(&mut by_policy);
    let (one, other) = (by_policy.enter(&old.version), by_policy.enter(&old.version));
    assert!(one.are_of(&old.version));
    for (name, counts) in [("a", &one), ("b", &one), ("b", &other), (PUBLIC, &other)] {
        old.decided_by(name, counts);
    }
    assert_eq!(matches(&by_policy), named(&[("a", 1), ("b", 2), (PUBLIC, 1)]));
    // A thread ends.
    drop(other);
    assert_eq!(matches(&by_policy), named(&[("a", 1), ("b", 2), (PUBLIC, 1)]));
    let new = Set::of(&["b", "c"]);
    new.begin(&mut by_policy);
    assert!(!one.are_of(&new.version), "another version of the same name");
    let next = by_policy.enter(&new.version);
    new.decided_by("b", &next);
    new.decided_by("c", &next);
    // It has begun before.
    old.decided_by("b", &one);
    drop(one);
    let third = by_policy.enter(&new.version);
    new.decided_by("c", &third);
    assert_eq!(matches(&by_policy), named(&[("b", 4), ("c", 2), (PUBLIC, 1)]));
    assert_eq!(
        by_policy.counts.len(),
        2,
        "nothing is kept for threads that are gone"
    );
}

#[test]
fn what_is_no_policy_in_force_is_no_name() {
    let mut by_policy = ByPolicy::default();
    let many: Vec<String> = (0..NAMED + 10).map(|n| format!("p{n}")).collect();
    let set = Set::of(&many.iter().map(String::as_str).collect::<Vec<_>>());
    set.begin(&mut by_policy);
    let counts = by_policy.enter(&set.version);
    for name in ["p0", "p999", "p1000", "p1009", "never-heard-of"] {
        set.decided_by(name, &counts);
    }
    assert_eq!(matches(&by_policy), named(&[("p0", 1), ("p999", 1), (OTHERS, 3)]));
    assert_eq!(by_policy.totals().len(), NAMED + 2);
    drop(counts);
    // Many changes leave nothing behind.
    for n in 0..50 {
        let set = Set::of(&[&format!("of-{n}")]);
        set.begin(&mut by_policy);
        let counts = by_policy.enter(&set.version);
        set.decided_by(&format!("of-{n}"), &counts);
    }
    assert_eq!((by_policy.tables.len(), by_policy.counts.len()), (2, 1));
    assert!(by_policy.before.len() <= 4, "{:?}", by_policy.before);
}

#[test]
fn a_name_in_two_sets_of_policies_is_one_series() {
    let mut by_policy = ByPolicy::default();
    let set = Set::of(&["same", "same", "else"]);
    set.begin(&mut by_policy);
    let counts = by_policy.enter(&set.version);
    for name in &set.names {
        set.decided_by(name, &counts);
    }
    assert_eq!(
        counts.table.place(&set.names[1]),
        counts.table.place(&set.names[0])
    );
    assert_eq!(matches(&by_policy), named(&[("same", 2), ("else", 1)]));
}
