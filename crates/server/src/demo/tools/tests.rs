use super::super::scratch::ScratchDir;
use super::*;

#[test]
fn tools_are_kept_in_the_target_directory_or_in_the_cache() {
    let dir = ScratchDir::new("tools-test").unwrap();
    assert!(
        dir.path().starts_with(tools_dir().unwrap()),
        "tests run from a target directory"
    );

    let target = dir.path().join("target");
    fs::create_dir_all(target.join("debug/deps")).unwrap();
    fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
    let some = |path: &str| Some(PathBuf::from(path));
    let rows = [
        (
            target.join("debug/deps/it-0123"),
            some("/cache"),
            some("/home/a"),
            Some(target.join("portcullis-tools")),
        ),
        (
            target.join("release/portcullis"),
            None,
            None,
            Some(target.join("portcullis-tools")),
        ),
        (
            "/usr/bin/portcullis".into(),
            some("/cache"),
            some("/home/a"),
            some("/cache/portcullis"),
        ),
        (
            "/usr/bin/portcullis".into(),
            some("cache"),
            some("/home/a"),
            some("/home/a/.cache/portcullis"),
        ),
        (
            "/usr/bin/portcullis".into(),
            None,
            some("/home/a"),
            some("/home/a/.cache/portcullis"),
        ),
        ("/usr/bin/portcullis".into(), None, None, None),
    ];
    for (exe, cache, home, expected) in rows {
        assert_eq!(
            place(&exe, cache.clone(), home.clone()),
            expected,
            "{exe:?} {cache:?} {home:?}"
        );
    }
}

#[test]
fn what_is_installed_is_not_installed_again() {
    let dir = ScratchDir::new("tools-test").unwrap();
    let tool = PythonTool {
        package: "some-tool",
        version: "1.2",
        megabytes: 3,
    };
    let bin = dir.path().join("some-tool-1.2/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("python3"), "").unwrap();
    let stamp = format!("some-tool 1.2 {}\n", dir.path().join("some-tool-1.2").display());
    fs::write(dir.path().join("some-tool-1.2/installed"), stamp).unwrap();
    let found = install_below(dir.path(), &tool, &mut |line| panic!("{line}"));
    assert_eq!(found.unwrap(), bin);
}
