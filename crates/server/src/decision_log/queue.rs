//! One queue for each thread that decides, bounded, and the one thread that empties them all.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::parts::Parts;

/// How many bytes may wait for the writer in all queues together; records that find no room are dropped and counted.
const ROOM: usize = 16 * 1024 * 1024;
/// But in each at least this many, however many threads there are: a busy thread fills its queue while the writer pauses.
const LEAST: usize = 2 * 1024 * 1024;
/// A queue is calm with less than one part in so many of its room taken.
const CALM: usize = 8;
/// How long the writer lets records gather. Waking it for each of them would cost more than the decision, and waking it every
/// millisecond still a tenth of one, without a better tail.
const PAUSE: Duration = Duration::from_millis(10);

/// The queues.
#[derive(Debug)]
pub(super) struct Queues {
    queues: Box<[Queue]>,
    /// How many bytes each of them takes.
    room: usize,
    pub(super) dropped: AtomicU64,
    closed: AtomicBool,
    /// Whether the writer waits to be woken.
    asleep: AtomicBool,
    writer: OnceLock<Thread>,
}

/// In cache lines of its own: two threads never write to the same one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Queue(Mutex<Parts>);

thread_local! {
    /// The place of this thread among all that ever decided.
    static PLACE: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl Queues {
    pub(super) fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, Into::into);
        Self::of(threads, (ROOM / threads).max(LEAST))
    }

    pub(super) fn of(queues: usize, room: usize) -> Self {
        Self {
            queues: (0..queues).map(|_| Queue::default()).collect(),
            room,
            dropped: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            writer: OnceLock::new(),
        }
    }

    /// Appends what `pack` appends as one record, or drops it if there is no room.
    pub(super) fn push(&self, pack: impl FnOnce(&mut Parts)) {
        let place = PLACE.with(|place| *place) % self.queues.len().max(1);
        let Some(Queue(queue)) = self.queues.get(place) else {
            return;
        };
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.put_record(self.room, pack) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(queue);
        // Whoever was before us at the queue, us or the writer: one of the two sees what the other did.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// True while the writer has time: each queue has much more room than records in it.
    pub(super) fn are_calm(&self) -> bool {
        let size = |Queue(queue): &Queue| queue.lock().unwrap_or_else(PoisonError::into_inner).size();
        self.queues.iter().all(|queue| size(queue) * CALM < self.room)
    }

    /// Nothing more comes: the writer ends when it has written everything.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Gives `write` the records that have gathered, again and again, until the queues are closed and empty.
    pub(super) fn drain(&self, mut write: impl FnMut(&Parts)) {
        let _ = self.writer.set(thread::current());
        let mut taken = Parts::default();
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            let mut found = false;
            for Queue(queue) in &self.queues {
                std::mem::swap(
                    &mut *queue.lock().unwrap_or_else(PoisonError::into_inner),
                    &mut taken,
                );
                if !taken.is_empty() {
                    found = true;
                    write(&taken);
                    taken.clear();
                }
            }
            match (found, closed) {
                (true, false) => thread::park_timeout(PAUSE),
                (true, true) => {}
                (false, false) => self.sleep(),
                (false, true) => return,
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        let is_empty = |Queue(queue): &Queue| queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if self.queues.iter().all(is_empty) && !self.closed.load(Ordering::Acquire) {
            thread::park();
        }
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}
