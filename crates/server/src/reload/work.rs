//! The thread that reloads.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use decide::{Live, Pipeline, Replaced};
use notify::EventKind;
use notify::event::{ModifyKind, RenameMode};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::watch::Watch;
use super::{Origin, Outcome, Signal, State, Trigger, restart, warn_of_audit, warn_of_headers};
use crate::config::{self, Config, Loaded, Overrides, Reads};
use crate::listen::Stop;
use crate::policy_tests;
use crate::tls::Tls;

/// For how long nothing may happen to the files before they are read: who changes several wants one reload.
const QUIET: Duration = Duration::from_millis(100);
/// For how long files that change without end, or are not closed, are waited for.
const LONGEST: Duration = Duration::from_secs(10);
/// How often files that change while they are read are read again before that is a problem.
const TRIES: usize = 5;
/// The same after a file has gone: who puts it back, or another in its place, may be slow, and policies that are missing forbid
/// nothing.
const QUIET_AFTER_REMOVAL: Duration = Duration::from_secs(1);
/// As many forbids that go are named in the log.
const NAMED: usize = 20;
/// The time between the files being looked at where nobody asked for it.
const NEVER: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Work {
    file: PathBuf,
    /// What was read the last time, whether it was good or not.
    reads: Reads,
    /// What is said instead of the file, since the start.
    overrides: Overrides,
    /// What the server was started with.
    started: Config,
    /// What it was told the last time, as far as it was good.
    config: Config,
    pipeline: Weak<Pipeline>,
    /// What the listeners present.
    tls: Tls,
    state: Arc<State>,
    signals: Sender<Signal>,
    told: Receiver<Signal>,
    /// What was told while files were read, and is still to be done.
    pending: VecDeque<Signal>,
    /// Whether it was waited in vain for somebody to close a file.
    gave_up: bool,
    runtime: Handle,
    stop: watch::Receiver<Stop>,
    watch: Option<Watch>,
}

/// Who waits for a reload.
#[derive(Default)]
struct Asked {
    trigger: Option<Trigger>,
    answers: Vec<oneshot::Sender<Outcome>>,
}

/// What comes of waiting.
enum Next {
    /// The files may have changed.
    Look,
    /// Somebody wants a reload.
    Reload(Asked),
    Stop,
}

/// What a reload comes to, before it is told.
enum Loading {
    /// Other rules than these are in force now; with what needs a restart and why the candidate is left out.
    Done(Replaced, Vec<String>, Vec<String>),
    /// Nothing that decides has changed; with the same.
    Same(Vec<String>, Vec<String>),
    /// For these reasons nothing has changed; the same in full, for the log.
    Refused(Vec<String>, String),
    /// Somebody is writing a file.
    Later,
    /// The server is stopping.
    Stopping,
}

impl Work {
    pub(super) fn new(
        origin: Origin,
        config: Config,
        (pipeline, tls): (Weak<Pipeline>, Tls),
        state: Arc<State>,
        (signals, told): (Sender<Signal>, Receiver<Signal>),
        (runtime, stop): (Handle, watch::Receiver<Stop>),
    ) -> Self {
        Self {
            file: origin.file,
            reads: origin.reads,
            overrides: origin.overrides,
            started: config.clone(),
            config,
            pipeline,
            tls,
            state,
            signals,
            told,
            pending: VecDeque::new(),
            gave_up: false,
            runtime,
            stop,
            watch: None,
        }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        self.follow();
        loop {
            match self.next() {
                Next::Stop => return,
                // The server is gone.
                _ if self.pipeline.strong_count() == 0 => return,
                Next::Look if self.reads.again() == self.reads => {}
                Next::Look => self.reload(Asked::default()),
                Next::Reload(asked) => self.reload(asked),
            }
        }
    }

    /// Waits for something to do, and then until those who write files have come to an end.
    fn next(&mut self) -> Next {
        let mut asked = Asked::default();
        let look = self.config.reload.poll().map(|poll| Instant::now() + poll);
        // When the first thing happened, and the last.
        let mut happened: Option<(Instant, Instant)> = None;
        let mut quiet = QUIET;
        loop {
            let writing = self.watch.as_ref().is_some_and(Watch::sees_writing);
            let end = happened.map(|(first, last)| match writing {
                true => first + LONGEST,
                false => (last + quiet).min(first + LONGEST),
            });
            let now = Instant::now();
            let patience = end.or(look).map_or(NEVER, |at| at.saturating_duration_since(now));
            let told = match self.pending.pop_front() {
                Some(signal) => Ok(signal),
                None => self.told.recv_timeout(patience),
            };
            let matters = match told {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Next::Stop,
                Ok(Signal::Asked(trigger, answer)) => {
                    asked.trigger = Some(trigger);
                    asked.answers.extend(answer);
                    true
                }
                Ok(Signal::Event(event)) => {
                    let matters = self.watch.as_mut().is_some_and(|watch| watch.matters(&event));
                    if matters && is_removal(&event) {
                        quiet = QUIET_AFTER_REMOVAL;
                    }
                    matters
                }
                Ok(Signal::Lost) => true,
                Err(RecvTimeoutError::Timeout) => break,
            };
            if matters {
                let now = Instant::now();
                happened = Some((happened.map_or(now, |(first, _)| first), now));
            }
        }
        self.gave_up = false;
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.sees_writing()) {
            watch.give_up_waiting();
            self.gave_up = true;
        }
        match asked.trigger {
            Some(_) => Next::Reload(asked),
            None => Next::Look,
        }
    }

    fn reload(&mut self, asked: Asked) {
        let begun = Instant::now();
        let trigger = asked.trigger.map_or("a change of files", Trigger::as_str);
        let loading = caught(|| self.load()).unwrap_or_else(|| {
            // What makes it panic is not looked at again until it changes.
            self.reads = self.reads.again();
            let line = "loading it has panicked, which is a bug of Portcullis; the log says where";
            Loading::Refused(vec![line.to_owned()], line.to_owned())
        });
        let Some(pipeline) = self.pipeline.upgrade() else {
            return;
        };
        let live = pipeline.live();
        drop(pipeline);
        let (version, took) = (live.rules().version().to_string(), begun.elapsed());
        let mut outcome = Outcome {
            version: version.clone(),
            changed: false,
            took: took.as_secs_f64(),
            problems: Vec::new(),
            candidate: Vec::new(),
            restart: Vec::new(),
        };
        let mut old = None;
        match loading {
            Loading::Stopping => return,
            Loading::Later => {
                if let Some(trigger) = asked.trigger {
                    self.pending.push_back(Signal::Asked(trigger, None));
                    let answers = asked.answers.into_iter();
                    self.pending
                        .extend(answers.map(|answer| Signal::Asked(trigger, Some(answer))));
                }
                self.pending.push_back(Signal::Lost);
                return;
            }
            Loading::Done(replaced, restart, candidate) => {
                self.state.reloads.fetch_add(1, Ordering::Relaxed);
                self.state.last().changed = Some(Instant::now());
                tracing::info!(
                    %trigger,
                    from = %replaced.version(),
                    version,
                    policies = live.rules().policies().count(),
                    routes = live.rules().routes().routes().len(),
                    milliseconds = took.as_millis(),
                    "reloaded"
                );
                warn_of_audit(live.rules());
                warn_of_missing_forbids(&replaced, &live);
                (outcome.changed, outcome.restart, outcome.candidate) = (true, restart, candidate);
                old = Some(replaced);
            }
            Loading::Same(restart, candidate) => {
                self.state.unchanged.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%trigger, version, "nothing that decides has changed");
                (outcome.restart, outcome.candidate) = (restart, candidate);
            }
            Loading::Refused(problems, whole) => {
                self.state.refused.fetch_add(1, Ordering::Relaxed);
                self.state.last().refused = Some((Instant::now(), problems.len()));
                tracing::error!(
                    %trigger,
                    problems = problems.len(),
                    version,
                    "the change is refused, version {version} still answers:\n{}",
                    whole.trim_end()
                );
                outcome.problems = problems;
            }
        }
        if outcome.problems.is_empty() {
            let mut last = self.state.last();
            (last.refused, last.unfit) = (None, outcome.candidate.len());
            last.good = Some(SystemTime::now());
        }
        for name in &outcome.restart {
            tracing::warn!("`{name}` changed: takes effect at the next start");
        }
        drop(live);
        for answer in asked.answers {
            // Whoever asked may be gone.
            let _ = answer.send(outcome.clone());
        }
        self.follow();
        if let Some(old) = old {
            old.free();
        }
    }

    /// Reads and compiles everything, and puts it in force.
    fn load(&mut self) -> Loading {
        let loaded = self.read();
        if self.is_being_written() && !self.gave_up {
            return Loading::Later;
        }
        let Some(loaded) = loaded else {
            let line = "the files change while they are read; they are read again after the next change";
            return Loading::Refused(vec![line.to_owned()], line.to_owned());
        };
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(invalid) => return Loading::Refused(invalid.lines(), invalid.plain()),
        };
        if loaded.config.reload.run_tests {
            let problems = policy_tests::problems(&loaded);
            if !problems.is_empty() {
                let whole = problems.join("\n");
                return Loading::Refused(problems, whole);
            }
        }
        let Loaded {
            config,
            rules,
            advice,
            unfit,
        } = loaded;
        let candidate = unfit.as_ref().map(config::Invalid::lines).unwrap_or_default();
        let Some(pipeline) = self.pipeline.upgrade() else {
            return Loading::Stopping;
        };
        if pipeline.live().rules().is_same(&rules) {
            let restart = self.take(config);
            warn_of_unfit(unfit.as_ref());
            return Loading::Same(restart, candidate);
        }
        let advice = advice.plain();
        if !advice.is_empty() {
            tracing::warn!("worth knowing:\n{}", advice.trim_end());
        }
        warn_of_headers(pipeline.live().rules(), &rules);
        let stop = &mut self.stop;
        let replaced = self.runtime.block_on(async {
            tokio::select! {
                replaced = pipeline.replace(rules) => Some(replaced),
                _ = stop.wait_for(|stop| *stop != Stop::No) => None,
            }
        });
        match replaced {
            None => Loading::Stopping,
            Some(Ok(replaced)) => {
                let restart = self.take(config);
                warn_of_unfit(unfit.as_ref());
                Loading::Done(replaced, restart, candidate)
            }
            Some(Err(problems)) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let whole = lines.join("\n");
                Loading::Refused(lines, whole)
            }
        }
    }

    /// Goes by these settings, as far as they can change while it runs; which others take effect at the next start.
    fn take(&mut self, config: Config) -> Vec<String> {
        let steady = restart::steady(&self.started, &config);
        let waiting = self.tls.replace(&config.tls, &steady);
        let restart = restart::changed(&self.started, &config, &waiting);
        self.config = config;
        restart
    }

    /// Reads everything in a state in which it stays. `None`: it does not stay in any.
    fn read(&mut self) -> Option<Result<Loaded, config::Invalid>> {
        for _ in 0..TRIES {
            let begun = Instant::now();
            let (loaded, reads) = config::load_again(&self.file, &self.overrides);
            thread::sleep(QUIET.saturating_sub(begun.elapsed()));
            let stays = reads.again() == reads;
            self.reads = reads;
            if stays {
                return Some(loaded);
            }
        }
        None
    }

    /// True if somebody began to write a file while the files were read.
    fn is_being_written(&mut self) -> bool {
        while let Ok(signal) = self.told.try_recv() {
            match (signal, &mut self.watch) {
                (Signal::Event(event), Some(watch)) => {
                    if watch.matters(&event) {
                        self.pending.push_back(Signal::Lost);
                    }
                }
                (other, _) => self.pending.push_back(other),
            }
        }
        self.watch.as_ref().is_some_and(Watch::sees_writing)
    }

    /// Watches what was read the last time.
    fn follow(&mut self) {
        if !self.config.reload.watch {
            self.watch = None;
            self.state.last().unwatched = None;
            return;
        }
        let followed = match self.watch.take() {
            Some(watch) => Ok(watch),
            None => Watch::start(self.signals.clone()),
        }
        .and_then(|mut watch| {
            let followed = watch.follow(&self.reads);
            self.watch = Some(watch);
            followed
        });
        let unwatched = followed.err().map(|error| error.to_string());
        let mut last = self.state.last();
        if unwatched != last.unwatched
            && let Some(why) = &unwatched
        {
            tracing::warn!("files cannot be watched, they are only looked at from time to time: {why}");
        }
        last.unwatched = unwatched;
        // What changed before they were watched was not told.
        let _ = self.signals.send(Signal::Lost);
    }
}

/// `None` if it panics: that is a refusal, and the next change gets another chance.
fn caught<T>(load: impl FnOnce() -> T) -> Option<T> {
    // What is in force is replaced last, and as a whole.
    std::panic::catch_unwind(AssertUnwindSafe(load)).ok()
}

fn is_removal(event: &notify::Event) -> bool {
    matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
    )
}

fn warn_of_unfit(unfit: Option<&config::Invalid>) {
    if let Some(unfit) = unfit {
        tracing::error!(
            "the candidate policies (`shadow`) are left out, they cannot be used:\n{}",
            unfit.plain().trim_end()
        );
    }
}

/// A file that is missing is as valid as one that was never there.
fn warn_of_missing_forbids(old: &Replaced, live: &Live) {
    let missing = missing(
        old.rules().policies().forbids(),
        live.rules().policies().forbids(),
    );
    if !missing.is_empty() {
        let mut names = missing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if missing.len() > NAMED {
            names += &format!(" and {} more", missing.len() - NAMED);
        }
        tracing::warn!(
            forbids = missing.len(),
            "forbids are GONE with this change, what they denied may pass now: {names}"
        );
    }
}

/// What is in the first and not in the second, in order.
fn missing<'n>(old: impl Iterator<Item = &'n str>, new: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let new: HashSet<&str> = new.collect();
    let mut missing: Vec<&str> = old.filter(|name| !new.contains(name)).collect();
    missing.sort_unstable();
    missing
}

#[cfg(test)]
mod tests;
