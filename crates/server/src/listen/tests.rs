use super::*;

#[tokio::test]
async fn a_busy_thread_keeps_nobody_waiting_whom_others_could_answer() {
    let channels: Vec<_> = (0..3).map(|_| mpsc::channel(1)).collect();
    let (workers, mut threads): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    // Each in turn.
    hand_out(&workers, 4, "a").await;
    // The thread of the same turn has no room: the next one, and then the one before.
    hand_out(&workers, 4, "b").await;
    hand_out(&workers, 4, "c").await;
    let mut fourth = std::pin::pin!(hand_out(&workers, 4, "d"));
    tokio::select! {
        biased;
        () = &mut fourth => panic!("nobody has room"),
        () = tokio::task::yield_now() => {}
    }
    // Another thread than the one whose turn it is takes one.
    assert_eq!(threads[0].try_recv(), Ok("c"));
    fourth.await;
    assert_eq!(threads[0].try_recv(), Ok("d"));
    assert_eq!(threads[1].try_recv(), Ok("a"));
    assert_eq!(threads[2].try_recv(), Ok("b"));
    // One that has ended gets nothing, and the others go on.
    threads.remove(1);
    hand_out(&workers, 4, "e").await;
    assert_eq!(threads[1].try_recv(), Ok("e"));
    threads.clear();
    hand_out(&workers, 4, "f").await;
}
