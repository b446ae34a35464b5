use super::*;

#[test]
fn one_in_so_many_is_due_on_each_thread() {
    for (every, checks, due) in [
        (0, 100, 0),
        (1, 100, 100),
        (2, 100, 50),
        (16, 160, 10),
        (101, 100, 0),
    ] {
        // A thread of its own begins to count anew.
        let counted =
            std::thread::spawn(move || (0..checks).filter(|_| Every(every).is_due()).count()).join();
        assert_eq!(counted.unwrap(), due, "one in {every} of {checks}");
    }
}

#[test]
fn steps_are_told_in_their_order_and_only_if_taken() {
    let began = Instant::now();
    let mut watch = Stopwatch::begun(Some(Step::Wait), began);
    let walk = [
        Some(Step::Gate),
        Some(Step::Route),
        None,
        Some(Step::Answer),
        None,
    ];
    for step in walk {
        watch.at(step);
    }
    let steps = watch.steps();
    let taken: Vec<Step> = steps.taken().map(|(step, _)| step).collect();
    assert_eq!(taken, [Step::Wait, Step::Gate, Step::Route, Step::Answer]);
    let sum: Duration = steps.taken().map(|(_, took)| took).sum();
    assert!(sum <= began.elapsed(), "{sum:?} in steps that follow each other");
    for (index, step) in Step::ALL.into_iter().enumerate() {
        assert_eq!(step as usize, index, "{step:?} has its own place");
    }
}
