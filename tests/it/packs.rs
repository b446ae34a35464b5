//! The packs in `policies`, each as it is on disk, through real proxies with real tokens. What its policies say to every case is
//! in its own suites (`portcullis test`).

mod backstage;
mod eoepca;
mod magpie;
mod suites;
mod wlcg;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of a pack.
fn folder(pack: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../policies")
        .join(pack)
}

/// Checks that each of the pack's cases is held in one place: by a suite (`W3` or `W3.put`), or by a test that
/// `tests/elsewhere.md` names.
fn every_case_is_held_once(pack: &str, cases: &[String]) {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in folder(pack).join("tests").read_dir().expect("suites") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for line in text.lines() {
            let id = match line
                .trim_start()
                .trim_start_matches("- ")
                .trim_start_matches("{ ")
                .strip_prefix("id: ")
            {
                Some(id) if name.ends_with(".yaml") => id,
                None if line.starts_with("| ") => elsewhere(line),
                _ => continue,
            };
            let id = id.split([',', '.', ' ']).next().unwrap_or_default().to_owned();
            let held = places.entry(id).or_default();
            if !held.contains(&name) {
                held.push(name.clone());
            }
        }
    }
    for case in cases {
        let held = places.get(case).map_or(0, Vec::len);
        assert_eq!(held, 1, "{case} is held by {:?}", places.get(case));
    }
}

/// The case of a line of the table, whose test there must be.
fn elsewhere(line: &str) -> &str {
    let mut quoted = line.split('`').skip(1).step_by(2);
    if let (Some(test), Some(file)) = (quoted.next(), quoted.next()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(path).expect("the file that holds the test");
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
    }
    line.trim_start_matches("| ")
}
