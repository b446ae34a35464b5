//! What a record says of how the decision was made: the steps, and what was known of the token.

use serde_json::json;

use super::tokens::{bearer, issuer};
use super::*;
use crate::identity::CacheUse;

/// Keeps of each record which steps were taken, if they were measured, and what was known of the token.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Measured>>>);

type Measured = (Option<Vec<Step>>, Option<CacheUse>);

impl Recorder for Kept {
    fn offer(&self, record: &Record<'_, '_>) {
        let steps = record.steps.map(|steps| {
            let sum: Duration = steps.taken().map(|(_, took)| took).sum();
            assert!(sum <= record.took, "{sum:?} of {:?}", record.took);
            steps.taken().map(|(step, _)| step).collect()
        });
        self.0.lock().unwrap().push((steps, record.token_cache));
    }
}

fn keeping(every: u32) -> (Stage, Kept) {
    let settings = json!({"issuers": [issuer()], "measure_steps_every": every});
    let mut stage = stage(PERMIT_ALL, serde_json::from_value(settings.clone()).unwrap());
    let kept = Kept::default();
    let rules = rules(PERMIT_ALL, serde_json::from_value(settings).unwrap());
    let recorder = Box::new(kept.clone());
    stage.pipeline = Pipeline::start(rules, recorder, stage.runtime.handle()).unwrap();
    (stage, kept)
}

#[test]
fn the_steps_of_one_in_so_many_checks_are_measured() {
    for (every, measured) in [(0, 0), (1, 24), (3, 8), (24, 1)] {
        let (stage, kept) = keeping(every);
        // Each thread counts for itself: one that is new begins to.
        std::thread::scope(|scope| {
            scope.spawn(|| (0..24).for_each(|_| drop(stage.ask("GET", "/pages/one", &[]))));
        });
        let kept = kept.0.lock().unwrap();
        let found = kept.iter().filter(|(steps, _)| steps.is_some()).count();
        assert_eq!((kept.len(), found), (24, measured), "one in {every}");
    }
}

#[test]
fn a_walk_has_the_steps_that_it_took() {
    let all = [
        Step::Gate,
        Step::Identity,
        Step::Route,
        Step::Policies,
        Step::Answer,
    ];
    let (stage, kept) = keeping(1);
    for (path, header, last) in [
        ("/pages/one", ("accept", "*/*"), Step::Answer),
        ("/nowhere", ("accept", "*/*"), Step::Route),
        ("/pages/one", ("authorization", "Bearer x"), Step::Identity),
        ("/pages/one", ("x-http-method", "PUT"), Step::Gate),
    ] {
        stage.ask("GET", path, &[header]);
        let (steps, _) = kept.0.lock().unwrap().pop().unwrap();
        let until = all.iter().position(|step| *step == last).unwrap();
        assert_eq!(steps.as_deref(), all.get(..=until), "{path} {header:?}");
    }
}

#[test]
fn a_record_says_what_was_known_of_the_token() {
    let (stage, kept) = keeping(0);
    let alice = bearer(&json!({}));
    let ask = |credential: &str| {
        stage.ask("GET", "/pages/one", &[("authorization", credential)]);
        kept.0.lock().unwrap().pop().unwrap().1
    };
    assert_eq!(ask("Basic eA=="), None);
    assert_eq!(ask("Bearer x"), None);
    assert_eq!(ask(&alice), Some(CacheUse::Miss));
    assert_eq!(ask(&alice), Some(CacheUse::Hit));
    let settings = json!({"issuers": [issuer()], "trusted_hops": 1});
    let next = rules(PERMIT_ALL, serde_json::from_value(settings).unwrap());
    let replaced = stage.runtime.block_on(stage.pipeline.replace(Arc::new(next)));
    drop(replaced.unwrap());
    assert_eq!(ask(&alice), Some(CacheUse::Verified));
    assert_eq!(ask(&alice), Some(CacheUse::Hit));
}
