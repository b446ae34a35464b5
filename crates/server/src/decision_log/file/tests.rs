use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::demo::scratch::ScratchDir;

/// What is in the file and in its numbered ones.
fn contents(path: &Path, numbers: u32) -> Vec<Option<String>> {
    let numbered = (1..=numbers).map(|number| format!("{}.{number}", path.display()).into());
    let paths = [path.to_owned()].into_iter().chain(numbered);
    paths.map(|path: PathBuf| fs::read_to_string(path).ok()).collect()
}

#[test]
fn full_files_are_kept_under_numbers_and_the_oldest_goes() {
    let line = |number: usize| format!("line {number}\n");
    for (keep, rotate_bytes, expected) in [
        (2, 14, vec![Some("45"), Some("23"), Some("01"), None]),
        (0, 14, vec![Some("45"), None, None, None]),
        (3, 7, vec![Some("5"), Some("4"), Some("3"), Some("2")]),
        // A line that is longer than a file has one for itself.
        (3, 1, vec![Some("5"), Some("4"), Some("3"), Some("2")]),
        (3, 0, vec![Some("012345"), None, None, None]),
    ] {
        let dir = ScratchDir::new("rotate").unwrap();
        let path = dir.path().join("log");
        let mut file = LogFile::open(&path, rotate_bytes, keep).unwrap();
        for number in 0..6 {
            file.write(line(number).as_bytes()).unwrap();
        }
        let lines = |digits: &str| digits.chars().map(|c| format!("line {c}\n")).collect::<String>();
        let expected: Vec<_> = expected.into_iter().map(|digits| digits.map(lines)).collect();
        assert_eq!(
            contents(&path, 3),
            expected,
            "{keep} files of {rotate_bytes} bytes"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_and_one_that_is_there_goes_on() {
    let dir = ScratchDir::new("moved").unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "before\n").unwrap();
    let mut file = LogFile::open(&path, 1000, 3).unwrap();
    file.write(b"one\n").unwrap();
    fs::rename(&path, dir.path().join("away")).unwrap();
    file.write(b"two\n").unwrap();
    fs::remove_file(&path).unwrap();
    file.write(b"three\n").unwrap();
    fs::rename(dir.path().join("away"), &path).unwrap();
    file.write(b"four\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\none\nfour\n");
}

#[test]
fn what_is_no_file_is_not_rotated_and_a_full_disk_is_an_error() {
    let mut null = LogFile::open(Path::new("/dev/null"), 1, 1).unwrap();
    null.write(b"one\n").unwrap();
    null.write(b"two\n").unwrap();
    let mut full = LogFile::open(Path::new("/dev/full"), 1, 1).unwrap();
    let error = full.write(b"one\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(LogFile::open(Path::new("/nowhere/at/all"), 1, 1).is_err());
}
