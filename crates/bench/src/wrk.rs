//! `wrk`: HTTP/1.1 requests as fast as they are answered.

use std::process::Stdio;
use std::time::Duration;

use crate::tools::Tool;

/// What a run found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

/// Asks for `url` with this header over 32 connections.
pub(crate) fn run(wrk: &Tool, url: &str, header: &str, lasts: Duration) -> Result<Run, String> {
    let output = wrk
        .command()
        .args(["-t", "1", "-c", "32", "-d", &format!("{}s", lasts.as_secs())])
        .args(["-H", header, "-H", "Host: api.example.test", url])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run wrk: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    read(&said).ok_or_else(|| {
        format!(
            "wrk says something unexpected:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Nothing if any answer was not 2xx, or did not come.
fn read(output: &str) -> Option<Run> {
    if output.contains("Non-2xx") || output.contains("Socket errors") {
        return None;
    }
    let requests = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))?
        .0;
    let per_second = output
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))?;
    Some(Run {
        requests: requests.parse().ok()?,
        per_second: per_second.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Run, read};

    #[test]
    fn output_of_wrk() {
        let good =
            "Running 2s test @ http://x\n  12345 requests in 2.00s, 1.23MB read\nRequests/sec:   6172.50\n";
        let run = Run {
            requests: 12_345,
            per_second: 6_172.5,
        };
        assert_eq!(read(good), Some(run));
        assert_eq!(read(&format!("{good}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(read(""), None);
    }
}
