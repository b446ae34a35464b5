//! Candidate policies beside a running server: what they would answer otherwise, and that they never answer.

use std::path::PathBuf;

use serde_json::Value;

use crate::serving::{Server, config};
use crate::{root, run};

/// A folder with candidate policies.
fn candidate(name: &str, policies: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("candidate.cedar"), policies).expect("a file");
    folder
}

/// The report, once it is about `compared` decisions.
fn report(server: &Server, compared: u64) -> Value {
    loop {
        let report = run(&["shadow", "report", "-o", "json", "--server", &server.admin]);
        let report: Value = serde_json::from_str(&report.out).expect("JSON");
        if report["compared"] == compared {
            return report;
        }
        std::thread::yield_now();
    }
}

#[test]
fn differences_are_counted_and_told_and_change_no_answer() {
    let workspaces = root().join("policies/default/workspaces.cedar");
    let folder = candidate(
        "shadow-candidate",
        "@id(\"catalogue-for-all\") permit(principal, action in Action::\"read\", resource is Catalogue);\n\
         @id(\"no-public\") @status(\"404\") forbid(principal, action, resource is PublicPage);",
    );
    let more = format!(
        "\nshadow:\n  files: [{}, {}]\n",
        folder.display(),
        workspaces.display()
    );
    let server = Server::start_with(&config("shadow", &more));
    for _ in 0..3 {
        server.check("GET", "/public/a").expect(0);
    }
    server.check("GET", "/catalogue/a").expect(3);
    server.check("GET", "/workspaces/ws-alice").expect(3);
    // Refused before any policy is asked: nothing to compare.
    server.check("GET", "/a/../b").expect(3);
    server.check("GET", "/nowhere").expect(3);

    let report = report(&server, 5);
    assert_eq!(report["newly_denied"], 3, "{report:#}");
    assert_eq!(report["newly_allowed"], 1, "{report:#}");
    assert_eq!(report["otherwise_denied"], 0, "{report:#}");
    let first = &report["differences"][0];
    assert_eq!(first["count"], 3, "{report:#}");
    assert_eq!(first["route"], "/public/{rest..}");
    assert_eq!(first["live"]["policies"][0], "public-read");
    assert_eq!(first["candidate"]["status"], 404);
    assert_eq!(first["example"]["candidate"], "forbidden by no-public");

    let text = run(&["shadow", "report", "--server", &server.admin])
        .expect(3)
        .out;
    for part in [
        "5 decisions compared",
        "allow -> deny 404  3 times  GET /public/{rest..} by Anonymous",
        "now        permitted by public-read",
        "candidate  forbidden by no-public",
        "latest     Anonymous GET api.example.test/public/a",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_server_without_candidates_says_so() {
    let server = Server::start_with(&config("no-shadow", ""));
    let told = run(&["shadow", "report", "--server", &server.admin]).expect(1);
    assert!(told.err.contains("`shadow` is not configured"), "{}", told.err);
    let told = run(&["shadow", "report", "--server", "127.0.0.1:1"]).expect(1);
    assert!(told.err.contains("is that the `admin` address"), "{}", told.err);
}
