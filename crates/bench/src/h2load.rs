//! `h2load` of nghttp2: sends one message again and again, and is nobody's own yardstick.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use crate::stats::percentile;
use crate::tools::Tool;

/// What a run found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Run {
    /// Answers with HTTP status 2xx. A denial is one, too.
    pub(crate) succeeded: u64,
    /// Answers a second, over the whole run.
    pub(crate) per_second: f64,
    /// Microseconds that half of the answers took at most.
    pub(crate) p50: f64,
    /// Microseconds that 99 of a hundred took at most.
    pub(crate) p99: f64,
}

/// How much `h2load` asks at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    pub(crate) streams: usize,
}

/// Asks `requests` times with the message (with its gRPC head) in a file.
pub(crate) fn run(
    h2load: &Tool,
    (scheme, address): (&str, SocketAddr),
    message: &Path,
    crowd: Crowd,
    requests: usize,
) -> Result<Run, String> {
    let log = message.with_extension("h2load-log");
    let _ = fs::remove_file(&log);
    let output = h2load
        .command()
        .args(["-t", "1"])
        .args(["-n", &requests.to_string()])
        .args(["-c", &crowd.connections.to_string()])
        .args(["-m", &crowd.streams.to_string()])
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
        .arg("--log-file")
        .arg(&log)
        .arg("-d")
        .arg(message)
        .arg(format!("{scheme}://{address}{}", contracts::grpc::CHECK_PATH))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run h2load: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (succeeded, per_second) =
        read(&said).ok_or_else(|| format!("h2load says something unexpected:\n{said}"))?;
    if succeeded != requests as u64 {
        return Err(format!(
            "h2load had {succeeded} answers to {requests} requests:\n{said}"
        ));
    }
    let log = fs::read_to_string(&log).map_err(|error| format!("the log of h2load: {error}"))?;
    let mut took = latencies(&log);
    Ok(Run {
        succeeded,
        per_second,
        p50: percentile(&mut took, 0.50),
        p99: percentile(&mut took, 0.99),
    })
}

/// How many succeeded, and how many a second.
fn read(output: &str) -> Option<(u64, f64)> {
    let line = |begins: &str| output.lines().find_map(|line| line.strip_prefix(begins));
    let per_second = line("finished in ")?
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"))?
        .parse()
        .ok()?;
    let succeeded = line("requests: ")?
        .split(", ")
        .find_map(|part| part.strip_suffix(" succeeded"))?
        .parse()
        .ok()?;
    Some((succeeded, per_second))
}

/// The third column of its log: microseconds.
fn latencies(log: &str) -> Vec<f64> {
    log.lines()
        .filter_map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn output_of_h2load() {
        let output = "starting benchmark...\nfinished in 412.09ms, 97066.35 req/s, 61.51MB/s\n\
            requests: 40000 total, 40000 started, 40000 done, 39999 succeeded, 1 failed, 0 errored, 0 timeout\n";
        assert_eq!(super::read(output), Some((39_999, 97_066.35)));
        assert_eq!(super::read("cannot connect"), None);
        assert_eq!(
            super::latencies("1700\t200\t321\n1701\t200\t12\nx"),
            [321.0, 12.0]
        );
    }
}
