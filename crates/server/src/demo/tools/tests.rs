use std::process::Command;

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
    let cross = target.join("x86_64-unknown-linux-gnu");
    fs::create_dir_all(&cross).unwrap();
    fs::write(cross.join("CACHEDIR.TAG"), "").unwrap();
    let some = |path: &str| Some(PathBuf::from(path));
    let rows = [
        (
            cross.join("release/portcullis"),
            None,
            None,
            Some(target.join("portcullis-tools")),
        ),
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
    let found = python::install_below(dir.path(), &tool, &mut |line| panic!("{line}"));
    assert_eq!(found.unwrap(), bin);
}

#[test]
fn npm_packages_are_installed_once_and_failures_come_with_advice() {
    let dir = ScratchDir::new("tools-test").unwrap();
    let try_with = |script: Option<&str>| {
        let mut npm = Command::new(if script.is_some() {
            "/bin/sh"
        } else {
            "/nowhere/npm"
        });
        npm.arg("-c").args(script);
        npm::install_below(dir.path(), npm, "some-tool", "1.2.3", &mut |_| {})
    };
    let error = |script| try_with(script).unwrap_err().to_string();
    assert!(error(None).contains("install Node.js 20"), "{}", error(None));
    let refused = error(Some("echo it is not there >&2; exit 1"));
    assert!(
        refused.contains("it is not there") && refused.contains("npm config list"),
        "{refused}"
    );
    // A success of npm that brought nothing is seen by whoever asks next.
    let home = dir.path().join("npm-some-tool-1.2.3");
    let package = home.join("node_modules/some-tool");
    let brings_it = format!(
        "mkdir -p {0} && echo '{{}}' > {0}/package.json",
        package.display()
    );
    assert_eq!(try_with(Some("true")).unwrap(), home);
    assert_eq!(try_with(Some(&brings_it)).unwrap(), home);
    assert_eq!(
        try_with(None).unwrap(),
        home,
        "what is installed is not installed again"
    );
}

#[test]
fn debian_packages_are_fetched_once_and_failures_come_with_advice() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = ScratchDir::new("tools-test").unwrap();
    let tool = debian::DebianTool {
        package: "some-tool",
        libraries: &["liba", "libb"],
    };
    let script = dir.path().join("apt-get");
    let try_with = |text: &str| {
        fs::write(&script, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        debian::install_below(dir.path(), &script, &tool, &mut |_| {})
    };
    let nowhere = debian::install_below(dir.path(), Path::new("/nowhere/apt-get"), &tool, &mut |_| {});
    let nowhere = nowhere.unwrap_err().to_string();
    assert!(nowhere.contains("Debian and its like"), "{nowhere}");
    for (text, said) in [
        ("echo \"no $*\" >&2; exit 100", "no download some-tool liba libb"),
        ("echo no archive > a.deb", "a.deb"),
    ] {
        let error = try_with(text).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("apt-get update"),
            "{error}"
        );
    }
    let root = dir.path().join("debian-some-tool/root");
    assert_eq!(try_with("true").unwrap(), root);
    assert_eq!(
        try_with("exit 1").unwrap(),
        root,
        "what is there is not fetched again"
    );
}
