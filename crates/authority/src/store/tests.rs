use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use model::{Before, HouseView, Revoked};
use secrecy::ExposeSecret;
use sqlx::Row;

use super::*;
use crate::{Authority, NewRevocation, prune};

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("portcullis-store-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("house.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Views = Arc<Mutex<Vec<HouseView>>>;

async fn start(file: &Path) -> Result<(Authority, Views), StoreError> {
    let settings = StoreSettings {
        store: format!("sqlite:{}", file.display()).into(),
        ..StoreSettings::default()
    };
    let views = Views::default();
    let kept = Arc::clone(&views);
    let authority =
        Authority::start(&settings, Arc::new(move |view| kept.lock().unwrap().push(view))).await?;
    Ok((authority, views))
}

fn token(id: &str) -> NewRevocation {
    NewRevocation {
        issuer: "main".to_owned(),
        what: Revoked::Token(id.to_owned()),
        before: Before::Ever,
        reason: Some("leaked".to_owned()),
        expires_at: None,
    }
}

async fn sql(file: &Path, statement: &'static str) {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let made = async |file: &Path| {
        let (authority, _) = start(file).await.unwrap();
        authority.revoke("ada", token("a")).await.unwrap();
        authority.store.0.pool.close().await;
    };
    type Harm = fn(&Path);
    let rows: [(&str, Harm, &str); 6] = [
        ("others may read it", |file| mode(file, 0o644), "chmod 600"),
        ("the group may write it", |file| mode(file, 0o620), "chmod 600"),
        (
            "others may read what is beside it",
            |file| {
                let wal = file.with_extension("db-wal");
                fs::write(&wal, "").unwrap();
                mode(&wal, 0o604);
            },
            "chmod 600",
        ),
        (
            "text",
            |file| fs::write(file, "a shopping list, and nothing else").unwrap(),
            "no database",
        ),
        (
            "damaged pages",
            |file| {
                let mut bytes = fs::read(file).unwrap();
                let length = bytes.len();
                bytes[4096..length].fill(0x5a);
                fs::write(file, bytes).unwrap();
            },
            "restore it from a backup",
        ),
        (
            "a folder",
            |file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            },
            "no file",
        ),
    ];
    for (name, harm, expected) in rows {
        let folder = Folder::new();
        made(&folder.file()).await;
        harm(&folder.file());
        let error = start(&folder.file()).await.map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("house.db"),
            "{name}: {error}"
        );
    }
    let folder = Folder::new();
    made(&folder.file()).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', TRUE, x'00', 0)";
    sql(&folder.file(), newer).await;
    let error = start(&folder.file()).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Invalid(why) if why.contains("another version")),
        "{error}"
    );
    for path in ["/nowhere/at/all/house.db", "", ":memory:", "house.db?mode=memory"] {
        assert!(start(Path::new(path)).await.is_err(), "{path}");
    }
}

fn mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn files_are_for_nobody_else() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    authority.revoke("ada", token("a")).await.unwrap();
    for name in ["house.db", "house.db-wal", "house.db-shm"] {
        let data = fs::metadata(folder.0.join(name)).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // By the name of a file, `%` and blanks included.
    let odd = folder.0.join("a b%20ö.db");
    start(&odd).await.unwrap();
    assert!(odd.is_file());
}

#[tokio::test]
async fn a_file_that_was_replaced_acknowledges_nothing() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    fs::rename(folder.file(), folder.0.join("away")).unwrap();
    let gone = authority.revoke("ada", token("a")).await.unwrap_err();
    assert!(matches!(gone, StoreError::Unavailable(_)), "{gone}");
    fs::copy(folder.0.join("away"), folder.file()).unwrap();
    mode(&folder.file(), 0o600);
    let error = authority.revoke("ada", token("a")).await.unwrap_err();
    assert!(error.to_string().contains("was replaced"), "{error}");
    fs::remove_file(folder.file()).unwrap();
    fs::rename(folder.0.join("away"), folder.file()).unwrap();
    authority.revoke("ada", token("a")).await.unwrap();
}

#[tokio::test]
async fn contents_that_went_back_are_never_published() {
    const BACK: [&str; 2] = [
        "UPDATE revision SET number = 1; DELETE FROM audit WHERE revision > 1; DELETE FROM revocations WHERE name = 'b'",
        // And forward again to the same number.
        "UPDATE revision SET mark = 'another'; UPDATE audit SET mark = 'another' WHERE revision = 2; DELETE FROM revocations",
    ];
    for back in BACK {
        let folder = Folder::new();
        let (authority, views) = start(&folder.file()).await.unwrap();
        authority.revoke("ada", token("a")).await.unwrap();
        authority.revoke("ada", token("b")).await.unwrap();
        sql(&folder.file(), back).await;
        let error = authority.store.look().await.unwrap_err();
        assert!(error.to_string().contains("went back"), "{back}: {error}");
        let error = authority.revoke("ada", token("c")).await.unwrap_err();
        assert!(error.to_string().contains("went back"), "{back}: {error}");
        assert_eq!(views.lock().unwrap().last().unwrap().revision, 2, "{back}");
        // Whoever starts now knows no better.
        assert!(start(&folder.file()).await.is_ok(), "{back}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_committed_never_happened() {
    let folder = Folder::new();
    let (authority, views) = start(&folder.file()).await.unwrap();
    let before = views.lock().unwrap().len();
    let audit = Audit {
        by: "ada",
        what: "revoke",
        object: "x",
        details: None,
    };
    let mut change = authority.store.change(audit, &[Part::Revocations]).await.unwrap();
    change.execute(sqlx::query("DELETE FROM audit")).await.unwrap();
    drop(change);
    assert_eq!(authority.store.look().await, Ok(()));
    assert!(
        views.lock().unwrap()[before..]
            .iter()
            .all(|view| view.revision == 0)
    );
    authority.revoke("ada", token("a")).await.unwrap();
    assert_eq!(views.lock().unwrap().last().unwrap().revision, 1);
}

#[tokio::test]
async fn each_change_says_who_did_what() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    let id = authority
        .revoke("User::\"main/ada\"", token("a"))
        .await
        .unwrap()
        .id;
    authority.lift("User::\"main/bob\"", &id).await.unwrap();
    let rows = sqlx::query("SELECT revision, changed_by, what, object, details FROM audit ORDER BY revision");
    let rows = authority.store.rows(rows).await.unwrap();
    let rows: Vec<(i64, String, String, String, Option<String>)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
        .collect();
    let leaked = Some("leaked".to_owned());
    assert_eq!(
        rows,
        [
            (
                1,
                "User::\"main/ada\"".to_owned(),
                "revoke".to_owned(),
                "main/token/a".to_owned(),
                leaked
            ),
            (2, "User::\"main/bob\"".to_owned(), "lift".to_owned(), id, None),
        ]
    );
}

#[tokio::test]
async fn no_flood_pushes_what_people_did_out_of_the_audit() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    for name in ["a", "b", "c"] {
        authority.revoke("ada", token(name)).await.unwrap();
    }
    // The second is routine, the third was long ago; then there are as many changes as are kept in any case.
    let flood = "UPDATE audit SET what = 'exchange' WHERE revision = 2; UPDATE audit SET changed_at = 0 WHERE revision = 3; \
                 UPDATE revision SET number = 10003; \
                 INSERT INTO audit SELECT 10003, mark, changed_at, changed_by, what, object, details FROM audit \
                 WHERE revision = 3";
    sql(&folder.file(), flood).await;
    authority.revoke("ada", token("d")).await.unwrap();
    let rows = sqlx::query("SELECT revision FROM audit ORDER BY revision");
    let rows = authority.store.rows(rows).await.unwrap();
    let left: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, [1, 10_003, 10_004]);
}

#[tokio::test]
async fn only_what_is_long_past_is_removed() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    // What the token was exchanged for outlives it, and nobody verified when it ends.
    let today = now();
    let end = today + prune::REVOKED_FOR + 1000;
    for (id, expires_at) in [
        ("ended", Some(today - 1)),
        ("past", Some(today + 999)),
        ("now", Some(today + 1000)),
        ("later", Some(today + 1001)),
        ("ever", None),
    ] {
        authority
            .revoke(
                "ada",
                NewRevocation {
                    expires_at,
                    ..token(id)
                },
            )
            .await
            .unwrap();
    }
    prune::prune(&authority.store, today + prune::REVOKED_FOR - 1000)
        .await
        .unwrap();
    assert_eq!(
        authority.status().revision,
        5,
        "said to have ended, revoked today"
    );
    prune::prune(&authority.store, end).await.unwrap();
    prune::prune(&authority.store, end).await.unwrap();
    let page = Page {
        after: None,
        limit: 10,
    };
    let left = authority
        .revocations(&page)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|it| it.what);
    let left: Vec<Revoked> = left.collect();
    assert_eq!(
        left,
        ["now", "later", "ever"].map(|id| Revoked::Token(id.to_owned()))
    );
    assert_eq!(
        authority.status().revision,
        6,
        "the second time there was nothing to do"
    );
}

#[tokio::test]
async fn what_cannot_be_revoked() {
    let folder = Folder::new();
    let (authority, _) = start(&folder.file()).await.unwrap();
    let long = "x".repeat(1025);
    let rows = [
        NewRevocation {
            issuer: String::new(),
            ..token("a")
        },
        NewRevocation {
            issuer: long.clone(),
            ..token("a")
        },
        token(""),
        token(&long),
        token("a\0b"),
        NewRevocation {
            reason: Some(long),
            ..token("a")
        },
        NewRevocation {
            what: Revoked::Subject(String::new()),
            ..token("a")
        },
        NewRevocation {
            before: Before::Time(f64::NAN),
            ..token("a")
        },
        NewRevocation {
            before: Before::Time(f64::INFINITY),
            ..token("a")
        },
    ];
    for row in rows {
        let error = authority.revoke("ada", row.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{row:?}: {error}");
    }
    assert_eq!(authority.status().revision, 0);
}

#[test]
fn addresses_of_servers() {
    // The address, and the mode of TLS or a part of the error.
    let rows = [
        ("postgres://u:secret@db.example.org/house", "sslmode=verify-full"),
        (
            "postgres://u:secret@db.example.org/house?application_name=a",
            "&sslmode=verify-full",
        ),
        (
            "postgresql://u:secret@10.0.0.1:5433/house?sslmode=require",
            "sslmode=require",
        ),
        ("postgres://u:secret@127.0.0.1/house", "sslmode=disable"),
        ("postgres://u:secret@[::1]/house", "sslmode=disable"),
        ("postgres://u:secret@localhost/house", "sslmode=disable"),
        ("postgres:///house?host=/run/postgresql&user=u", "sslmode=disable"),
        (
            "postgres://u:secret@db.example.org/house?host=/run/postgresql",
            "sslmode=disable",
        ),
        (
            "postgres://u:secret@db.example.org/house?sslmode=prefer",
            "turn TLS off",
        ),
        (
            "postgres://u:secret@db.example.org/house?sslmode=allow",
            "turn TLS off",
        ),
        (
            "postgres://u:secret@db.example.org/house?sslmode=maybe",
            "cannot be read",
        ),
        (
            "postgres://u:secret@db.example.org/house?sslmod=disable",
            "`sslmod`",
        ),
        ("postgres://u:secret@db.example.org:port/house", "cannot be read"),
        ("mysql://u:secret@db.example.org/house", "must be sqlite:PATH"),
        ("u:secret@db.example.org/house", "must be sqlite:PATH"),
    ];
    for (address, expected) in rows {
        let place = Place::parse(&address.into());
        let said = match &place {
            Ok(Place::Server(server)) => {
                assert!(!format!("{server:?}").contains("secret"), "{address}");
                server.url().to_owned()
            }
            Ok(Place::File(_)) => panic!("{address} is no file"),
            Err(error) => {
                assert!(!error.to_string().contains("secret"), "{error}");
                error.to_string()
            }
        };
        assert!(said.contains(expected), "{address}: {said}");
    }
    assert_eq!(
        StoreSettings::default().store.expose_secret(),
        "sqlite:portcullis.db"
    );
}
