//! What happens to the files of a running server: they cannot be read, they are too much, they change all the time.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use portcullis::ask::{self, Answer, Question};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{http, stage};

use super::catalogue;
use crate::house::until;
use crate::served::Served;
use crate::tls::papers::exchange;

/// Changes are told of: nothing is found by looking again after a while.
const WATCH: &str = "\nreload: { poll_seconds: 0 }\n";
const NOBODY: &str = "@id(\"nobody\") forbid(principal, action, resource is PublicPage);";

async fn page(served: &Served) -> Answer {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: "/public/hello".to_owned(),
        headers: Vec::new(),
    };
    let answer = ask::over_grpc(&served.grpc().to_string(), question).await;
    answer.expect("an answer, whatever happens to the files")
}

async fn readyz(served: &Served) -> String {
    let answer = http::send(served.admin(), "GET", "/readyz?verbose", &[], Bytes::new()).await;
    String::from_utf8_lossy(answer.expect("an answer").body()).into_owned()
}

/// What becomes of the file at this path.
type Harm = fn(&Path);

/// Another thing in the place of a file.
fn instead(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_extension("new");
    make(&new);
    fs::rename(&new, path).expect("renamed");
}

/// Ten names that each stand for ten times the one before.
fn bomb(path: &Path) {
    let mut text = fs::read_to_string(path).expect("a file");
    text += "\nx0: &x0 [a, b, c, d, e, f, g, h, i, j]\n";
    for level in 1..10 {
        let before = format!("*x{}", level - 1);
        text += &format!("x{level}: &x{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    exchange(path, &text);
}

#[tokio::test]
async fn what_cannot_be_read_or_is_too_much_changes_nothing() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(
        &(stage::config_text(&issuer) + WATCH),
        &[],
        &[("RUST_LOG", "info")],
    )
    .await;
    let before = page(&served).await;
    assert!(before.allowed, "{before:?}");
    let rows: [(&str, &str, Harm, &str); 8] = [
        (
            "cfg-empty-dir",
            "public.cedar",
            |path| {
                fs::remove_file(path).expect("removed");
                fs::create_dir(path).expect("a folder");
            },
            "there is no *.cedar file in",
        ),
        (
            "cfg-perm-denied",
            "public.cedar",
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o0)).expect("a mode"),
            "ermission denied",
        ),
        (
            "disk-eio",
            "public.cedar",
            |path| instead(path, |new| symlink(path, new).expect("a link to itself")),
            "cannot read",
        ),
        (
            "disk-eio",
            "schema.cedarschema",
            |path| instead(path, |new| symlink("/nowhere/at/all", new).expect("a link")),
            "No such file",
        ),
        (
            "disk-eio",
            "public.cedar",
            |path| instead(path, |new| fs::write(new, b"permit\xFF").expect("a file")),
            "UTF-8",
        ),
        (
            "cfg-huge-policy",
            "public.cedar",
            |path| {
                instead(path, |new| {
                    let file = fs::File::create(new).expect("a file");
                    file.set_len(100 << 20).expect("a file with a hole");
                });
            },
            "has more than 64",
        ),
        (
            "cfg-huge-policy",
            "public.cedar",
            |path| instead(path, |new| symlink("/dev/zero", new).expect("a link")),
            "has more than 64",
        ),
        ("cfg-yaml-bomb", "portcullis.yaml", bomb, "portcullis.yaml"),
    ];
    for (id, name, harm, says) in rows {
        catalogue::known(id);
        let path = served.file(name);
        let good = fs::read_to_string(&path).expect("a file");
        let told = served.log().len();
        harm(&path);
        if id == "cfg-perm-denied" && fs::read(&path).is_ok() {
            // Nothing is forbidden to us.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
            continue;
        }
        // What is no file is not looked into unless somebody asks for it: a pipe gives what is in it only once.
        let answer = http::send(served.admin(), "POST", "/reload", &[], Bytes::new()).await;
        assert_eq!(
            answer.expect("an answer").status(),
            422,
            "{id} ({name}): {}",
            served.log()
        );
        // The log is written by a thread of its own.
        until(&format!("{id} ({name}) is told"), async || {
            served.log()[told..].contains(says)
        })
        .await;
        assert!(readyz(&served).await.contains("[-] reload: refused "));
        let answer = page(&served).await;
        assert!(
            answer.allowed && answer.version == before.version,
            "{id}: {answer:?}"
        );
        if path.is_dir() {
            fs::remove_dir(&path).expect("removed");
        }
        exchange(&path, &good);
        until("all is well", async || {
            readyz(&served).await.contains("[+] reload: ")
        })
        .await;
    }
    // It goes on looking.
    exchange(&served.file("public.cedar"), NOBODY);
    until("the page is forbidden", async || !page(&served).await.allowed).await;
}

#[tokio::test]
async fn every_one_of_many_exchanges_is_seen() {
    catalogue::known("cfg-configmap-swap");
    let mount = ScratchDir::new("config-maps").expect("a directory");
    let mount = mount.path();
    let generation = |number: usize| {
        let folder = mount.join(format!("..{number}"));
        fs::create_dir(&folder).expect("a directory");
        let policy = format!("@id(\"g{number}\") permit(principal, action, resource is PublicPage);");
        fs::write(folder.join("public.cedar"), policy).expect("a file");
        let link = mount.join("..data_tmp");
        symlink(&folder, &link).expect("a link");
        fs::rename(link, mount.join("..data")).expect("renamed");
    };
    generation(0);
    symlink("..data/public.cedar", mount.join("public.cedar")).expect("a link");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer).replace(
        "[workspaces.cedar, public.cedar]",
        &format!("[workspaces.cedar, {}]", mount.display()),
    );
    let served = Served::start(&(config + WATCH), &[], &[("RUST_LOG", "info")]).await;
    for number in 1..=20 {
        generation(number);
        until(&format!("generation {number} counts"), async || {
            let answer = page(&served).await;
            let earlier = format!("g{}", number - 1);
            assert!(answer.allowed, "{answer:?}");
            assert!(
                answer.policies == [earlier] || answer.policies == [format!("g{number}")],
                "{answer:?}"
            );
            answer.policies == [format!("g{number}")]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_changes_is_a_few_reloads() {
    catalogue::known("cfg-reload-storm");
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let served = Served::start(
        &(stage::config_text(&issuer) + WATCH),
        &[],
        &[("RUST_LOG", "info")],
    )
    .await;
    let file = served.file("public.cedar");
    let changes = 2_000;
    let storm = tokio::task::spawn_blocking(move || {
        for number in 0..changes {
            let policy = format!("@id(\"n{number}\") permit(principal, action, resource is PublicPage);");
            exchange(&file, &policy);
        }
    });
    until("the last change counts", async || {
        let answer = page(&served).await;
        assert!(answer.allowed, "{answer:?}");
        answer.policies == [format!("n{}", changes - 1)]
    })
    .await;
    storm.await.expect("no panic");
    let reloads = served.log().matches(" reloaded ").count();
    assert!(reloads < changes / 10, "{reloads} reloads for {changes} changes");
}

/// In a namespace of its own, the process may watch nothing at all.
#[tokio::test]
async fn what_cannot_be_watched_is_looked_at() {
    catalogue::known("cfg-inotify-exhausted");
    let inside = "echo 0 > /proc/sys/user/max_inotify_instances";
    let can = std::process::Command::new("unshare")
        .args(["-U", "-r", "/bin/sh", "-c", inside])
        .output();
    if !can.is_ok_and(|tried| tried.status.success()) {
        // Where no namespaces can be made, there is nothing to take away.
        return;
    }
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + "\nreload: { poll_seconds: 1 }\n";
    let shell = format!("exec unshare -U -r /bin/sh -c '{inside}; exec \"$@\"' sh \"$@\"");
    let served = Served::start_by(&shell, &config, &[], &[("RUST_LOG", "info")]).await;
    until("it is told", async || {
        served.log().contains("files cannot be watched")
    })
    .await;
    assert!(page(&served).await.allowed);
    exchange(&served.file("public.cedar"), NOBODY);
    until("the page is forbidden", async || !page(&served).await.allowed).await;
}
