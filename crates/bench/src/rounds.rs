//! Servers that are measured in turn, round after round: what the machine does meanwhile, it does to all of them.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::h2load::{self, Crowd};
use crate::load::{self, Pace, Plan};
use crate::machine;
use crate::server::Server;
use crate::stats::{least, median, percentile};
use crate::tools::Tool;

/// A server and what it is asked.
#[derive(Debug)]
pub(crate) struct Contender<'a> {
    /// For the table.
    pub(crate) name: String,
    pub(crate) server: &'a Server,
    pub(crate) asked: Asked<'a>,
}

/// How a server is asked.
#[derive(Clone, Debug)]
pub(crate) enum Asked<'a> {
    /// By `h2load`: the message in a file.
    Same(&'a Tool, PathBuf),
    /// The same over TLS.
    Encrypted(&'a Tool, PathBuf),
    /// By our own generator: messages in turn, all of which must be allowed.
    Different(&'a [Vec<u8>]),
    /// The same, but each message is asked once: those that no round has asked yet.
    Once(&'a [Vec<u8>]),
}

/// What the rounds found about one contender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Microseconds of CPU a check, one for each round.
    pub(crate) cpu: Vec<f64>,
    /// Answers a second, one for each round.
    pub(crate) per_second: Vec<f64>,
    /// Microseconds, one for each round.
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
    /// The most memory it ever had, in MB, after the last round.
    pub(crate) peak_memory: f64,
}

impl Found {
    /// The least CPU of a round: what a check costs when nobody else is in the way.
    pub(crate) fn least_cpu(&self) -> f64 {
        least(&self.cpu)
    }

    /// The middle of the ratios to `base` in the same round.
    pub(crate) fn ratio(&self, base: &Self) -> f64 {
        let ratios: Vec<f64> = self
            .cpu
            .iter()
            .zip(&base.cpu)
            .map(|(ours, base)| ours / base)
            .collect();
        median(&ratios)
    }
}

/// How much is asked in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) requests: usize,
    pub(crate) crowd: Crowd,
}

/// Four connections with 32 questions each, as a proxy with four threads would have under load.
pub(crate) const CROWD: Crowd = Crowd {
    connections: 4,
    streams: 32,
};

/// Asks every contender once to warm it up and then once in every round, in an order that turns.
pub(crate) fn run(contenders: &[Contender<'_>], effort: Effort) -> Result<Vec<Found>, String> {
    let mut found: Vec<Found> = contenders
        .iter()
        .map(|contender| Found {
            name: contender.name.clone(),
            ..Found::default()
        })
        .collect();
    let warm_up = (effort.requests / 4).max(500);
    for contender in contenders {
        if !matches!(contender.asked, Asked::Once(_)) {
            ask(contender, effort.crowd, warm_up, 0)?;
        }
    }
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let (Some(contender), Some(found)) = (contenders.get(index), found.get_mut(index)) else {
                continue;
            };
            let before = contender.server.cpu()?;
            let run = ask(contender, effort.crowd, effort.requests, round)?;
            // The last records are written by a thread of its own.
            thread::sleep(Duration::from_millis(20));
            let cpu = contender.server.cpu()?.saturating_sub(before);
            found.cpu.push(cpu.as_secs_f64() * 1e6 / run.succeeded as f64);
            found.per_second.push(run.per_second);
            found.p50.push(run.p50);
            found.p99.push(run.p99);
        }
    }
    for (contender, found) in contenders.iter().zip(&mut found) {
        found.peak_memory = machine::memory(contender.server.id(), "VmHWM")?;
    }
    Ok(found)
}

fn ask(
    contender: &Contender<'_>,
    crowd: Crowd,
    requests: usize,
    round: usize,
) -> Result<h2load::Run, String> {
    let address = contender.server.grpc;
    let messages = match &contender.asked {
        Asked::Same(h2load, message) => {
            return h2load::run(h2load, ("http", address), message, crowd, requests);
        }
        Asked::Encrypted(h2load, message) => {
            return h2load::run(h2load, ("https", address), message, crowd, requests);
        }
        Asked::Different(messages) => *messages,
        Asked::Once(messages) => messages
            .get(round * requests..(round + 1) * requests)
            .ok_or("there are too few messages")?,
    };
    let outcome = load::run(&Plan {
        address,
        connections: crowd.connections,
        messages,
        pace: Pace::AsFastAsAnswered {
            streams: crowd.streams,
            requests,
        },
    })?;
    if outcome.allowed != requests {
        return Err(format!(
            "{}: {} allowed, {} denied and {} failed of {requests}:\n{}",
            contender.name,
            outcome.allowed,
            outcome.denied,
            outcome.failed,
            contender.server.log()
        ));
    }
    let mut took: Vec<f64> = outcome
        .latencies
        .iter()
        .map(|(took, _)| took.as_secs_f64() * 1e6)
        .collect();
    Ok(h2load::Run {
        succeeded: requests as u64,
        per_second: requests as f64 / outcome.took.as_secs_f64(),
        p50: percentile(&mut took, 0.5),
        p99: percentile(&mut took, 0.99),
    })
}
