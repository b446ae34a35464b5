//! Asks a gRPC server with messages that differ, as fast as it answers or at a rate, and watches the time.
//!
//! `h2load` sends one message again and again. Here it can be 10,000 different ones, and latency can be counted from the
//! moment a question *should* have been asked, so that a server that stalls is not spared the questions it made wait.

mod http2;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use http2::{Connection, Done, MAX_MESSAGE, Whole};

pub(crate) use http2::Verdict;

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    /// Whom.
    pub(crate) address: SocketAddr,
    /// Over how many connections.
    pub(crate) connections: usize,
    /// The messages, each with its gRPC head, one after the other and from the beginning again.
    pub(crate) messages: &'a [Vec<u8>],
    /// How fast.
    pub(crate) pace: Pace,
}

/// How fast to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// This many at a time on each connection, this many altogether.
    AsFastAsAnswered {
        /// Questions that wait for an answer on one connection.
        streams: usize,
        /// Questions altogether.
        requests: usize,
    },
    /// So many a second, at random moments (a Poisson process), whatever becomes of them, until `ends` says so.
    Rate {
        /// Questions a second over all connections.
        per_second: f64,
        /// How long.
        lasts: Duration,
    },
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Answers that allow.
    pub(crate) allowed: usize,
    /// Answers that deny.
    pub(crate) denied: usize,
    /// Neither.
    pub(crate) failed: usize,
    /// From the first question to the last answer.
    pub(crate) took: Duration,
    /// How long each answer took, in the order of the answers, with the moment it came (since the beginning).
    pub(crate) latencies: Vec<(Duration, Duration)>,
}

impl Outcome {
    /// All answers.
    pub(crate) fn answers(&self) -> usize {
        self.allowed + self.denied + self.failed
    }

    fn take(&mut self, done: &Done, begun: Instant) {
        match done.verdict {
            Verdict::Allowed => self.allowed += 1,
            Verdict::Denied => self.denied += 1,
            Verdict::None => self.failed += 1,
        }
        self.latencies.push((done.asked.elapsed(), begun.elapsed()));
    }
}

/// Puts a message into its gRPC frame: not compressed, and its length.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// Asks once; the verdict and the bytes of the `CheckResponse`.
pub(crate) fn ask_once(address: SocketAddr, message: &[u8]) -> Result<(Verdict, Vec<u8>), String> {
    let said = |error| format!("cannot ask {address}: {error}");
    let mut connection = Connection::open(address).map_err(|error| said(error.to_string()))?;
    connection.ask(message, Instant::now(), Whole::Yes);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut answer = None;
    while answer.is_none() {
        connection.turn(|done| answer = Some(done)).map_err(said)?;
        if Instant::now() > deadline {
            return Err(said("no answer in ten seconds".to_owned()));
        }
        thread::yield_now();
    }
    let done = answer.ok_or_else(|| said("no answer".to_owned()))?;
    let whole = done.answer.unwrap_or_default();
    Ok((done.verdict, whole.get(5..).unwrap_or_default().to_vec()))
}

/// Asks as planned. Spins while it waits: it has a processor of its own, and sleeping would be seen in the latencies.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome, String> {
    if let Some(long) = plan.messages.iter().find(|message| message.len() > MAX_MESSAGE) {
        return Err(format!("a message of {} bytes is too long to send", long.len()));
    }
    let said = |error| format!("asking {}: {error}", plan.address);
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(plan.address).map_err(|error| said(error.to_string()))?);
    }
    let mut messages = plan.messages.iter().cycle().peekable();
    let mut outcome = Outcome::default();
    let begun = Instant::now();
    let mut source = Source::of(plan.pace, begun);
    let mut last_moved = begun;
    loop {
        let mut moved = false;
        let mut waiting = 0;
        for connection in &mut connections {
            while let Some(asked) = source.next(connection.unanswered()) {
                let Some(message) = messages.peek().copied() else {
                    return Err(said("there is nothing to ask".to_owned()));
                };
                if !connection.has_room(message.len()) {
                    source.put_back(asked);
                    break;
                }
                messages.next();
                connection.ask(message, asked, Whole::No);
                if matches!(plan.pace, Pace::Rate { .. }) {
                    // One question to each connection in turn.
                    break;
                }
            }
            moved |= connection.turn(|done| outcome.take(&done, begun)).map_err(said)?;
            waiting += connection.unanswered();
        }
        if waiting == 0 && source.is_empty() {
            break;
        }
        let now = Instant::now();
        if moved {
            last_moved = now;
        } else if waiting > 0 && now.duration_since(last_moved) > Duration::from_secs(30) {
            return Err(said(format!(
                "{waiting} questions had no answer in thirty seconds"
            )));
        } else {
            std::hint::spin_loop();
        }
    }
    outcome.took = begun.elapsed();
    Ok(outcome)
}

/// When the next question is due.
struct Source {
    pace: Pace,
    asked: usize,
    due: Instant,
    ends: Instant,
    put_back: Option<Instant>,
    random: Random,
}

impl Source {
    fn of(pace: Pace, begun: Instant) -> Self {
        let lasts = match pace {
            Pace::AsFastAsAnswered { .. } => Duration::ZERO,
            Pace::Rate { lasts, .. } => lasts,
        };
        Self {
            pace,
            asked: 0,
            due: begun,
            ends: begun + lasts,
            put_back: None,
            random: Random(0x9E37_79B9_7F4A_7C15),
        }
    }

    /// The moment from which the next question counts, if it is due on a connection with so many unanswered ones.
    fn next(&mut self, unanswered: usize) -> Option<Instant> {
        if let Some(due) = self.put_back.take() {
            return Some(due);
        }
        match self.pace {
            Pace::AsFastAsAnswered { streams, requests } => {
                if unanswered >= streams || self.asked >= requests {
                    return None;
                }
                self.asked += 1;
                Some(Instant::now())
            }
            Pace::Rate { per_second, .. } => {
                let due = self.due;
                if due > Instant::now() || due >= self.ends {
                    return None;
                }
                self.due += Duration::from_secs_f64(-(1.0 - self.random.fraction()).ln() / per_second);
                Some(due)
            }
        }
    }

    fn put_back(&mut self, asked: Instant) {
        self.put_back = Some(asked);
    }

    fn is_empty(&self) -> bool {
        self.put_back.is_none()
            && match self.pace {
                Pace::AsFastAsAnswered { requests, .. } => self.asked >= requests,
                Pace::Rate { .. } => self.due >= self.ends,
            }
    }
}

/// Marsaglia's xorshift: the same moments in every run.
struct Random(u64);

impl Random {
    /// From 0 up to but not including 1.
    fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
