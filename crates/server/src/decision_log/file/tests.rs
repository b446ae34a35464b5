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

#[test]
fn a_file_that_cannot_be_moved_goes_on_and_later_it_is_tried_again() {
    let dir = ScratchDir::new("stays").unwrap();
    let path = dir.path().join("log");
    let numbered = |number: u32| dir.path().join(format!("log.{number}"));
    // Nothing is moved onto a folder.
    fs::create_dir(numbered(1)).unwrap();
    let mut file = LogFile::open(&path, 4, 1).unwrap();
    for line in ["one\n", "two\n", "three\n"] {
        file.write(line.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    fs::remove_dir(numbered(1)).unwrap();
    // Not yet.
    file.write(b"four\n").unwrap();
    assert!(file.failed.take().is_some());
    file.write(b"five\n").unwrap();
    assert_eq!(
        contents(&path, 1),
        [
            Some("five\n".to_owned()),
            Some("one\ntwo\nthree\nfour\n".to_owned())
        ]
    );
    assert!(file.failed.is_none());
}

#[test]
fn kept_files_are_not_pushed_out_by_trying_again() {
    let dir = ScratchDir::new("again").unwrap();
    let path = dir.path().join("log");
    for (name, text) in [("log.1", "a\n"), ("log.2", "b\n")] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut file = LogFile::open(&path, 4, 3).unwrap();
    file.write(b"one\n").unwrap();
    // Moved away in the middle of it, as if the last step had failed.
    for _ in 0..3 {
        let mut tried = LogFile::open(&path, 4, 3).unwrap();
        fs::rename(&path, dir.path().join("busy")).unwrap();
        let _ = tried.rotate();
        fs::rename(dir.path().join("busy"), &path).unwrap();
    }
    let kept = contents(&path, 3).split_off(1);
    assert_eq!(kept, [None, Some("a\n".to_owned()), Some("b\n".to_owned())]);
}

#[test]
fn what_a_kill_left_of_a_line_ends_before_the_next_one() {
    let dir = ScratchDir::new("half").unwrap();
    for (before, expected) in [
        ("", "one\ntwo\n"),
        ("whole\n", "whole\none\ntwo\n"),
        ("{\"half", "{\"half\none\ntwo\n"),
    ] {
        let path = dir.path().join("log");
        fs::write(&path, before).unwrap();
        let mut file = LogFile::open(&path, 1000, 1).unwrap();
        file.write(b"one\n").unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}

#[test]
fn only_a_part_of_our_own_lines_is_taken_back() {
    let dir = ScratchDir::new("part").unwrap();
    let path = dir.path().join("log");
    for (before, length, expected) in [
        // Nothing of ours is there, a part, and as much as somebody else may have written.
        (8, 4, "one\ntwo\n"),
        (4, 8, "one\n"),
        (4, 4, "one\ntwo\n"),
    ] {
        fs::write(&path, "one\ntwo\n").unwrap();
        let mut file = LogFile::open(&path, 1000, 1).unwrap();
        file.take_back(before, length);
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{before} {length}");
    }
}

#[test]
fn what_others_write_counts_for_when_it_is_full() {
    let dir = ScratchDir::new("others").unwrap();
    let path = dir.path().join("log");
    let mut file = LogFile::open(&path, 10, 1).unwrap();
    file.write(b"one\n").unwrap();
    let mut other = OpenOptions::new().append(true).open(&path).unwrap();
    other.write_all(b"other\n").unwrap();
    file.write(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    // And what was taken away does not.
    fs::write(&path, "").unwrap();
    file.write(b"123456789\n").unwrap();
    let full = Some("one\nother\n".to_owned());
    assert_eq!(contents(&path, 1), [Some("123456789\n".to_owned()), full]);
}
