//! The store keeps what it acknowledges and tells all replicas, the same in a SQLite file and in PostgreSQL.

use std::time::Duration;

use authority::{Page, StoreError, StoreSettings, Timing};
use model::{Before, Revoked};
use portcullis::demo::scratch::ScratchDir;

use super::postgres::PostgresServer;
use super::replica::{ALICE, Replica, Who};
use crate::house::until;

/// What happens, and what decisions find afterwards: of somebody's credential with that id, what revokes it.
struct Row {
    name: &'static str,
    steps: &'static [Step],
    finds: &'static [(Who, &'static str, Option<&'static str>)],
}

enum Step {
    Token(&'static str),
    Subject(&'static str, Before),
    Client(&'static str, Before),
    Issuer(Before),
    /// Takes back what that step revoked.
    Lift(usize),
}

const OTHER: Who = Who {
    subject: "bob",
    client: "job",
    issued_at: 2000.0,
};

const ROWS: &[Row] = &[
    Row {
        name: "nothing",
        steps: &[],
        finds: &[(ALICE, "a", None), (OTHER, "b", None)],
    },
    Row {
        name: "a token",
        steps: &[Step::Token("a")],
        finds: &[
            (ALICE, "a", Some("token")),
            (ALICE, "b", None),
            (OTHER, "a", Some("token")),
        ],
    },
    Row {
        name: "a token twice, taken back once",
        steps: &[Step::Token("a"), Step::Token("a"), Step::Lift(1)],
        finds: &[(ALICE, "a", None)],
    },
    Row {
        name: "one of two tokens taken back",
        steps: &[Step::Token("a"), Step::Token("b"), Step::Lift(0)],
        finds: &[(ALICE, "a", None), (ALICE, "b", Some("token"))],
    },
    Row {
        name: "names are not looked into",
        steps: &[
            Step::Token("'; DROP TABLE revocations; --"),
            Step::Token("ä\u{1F600}%_"),
            Step::Token("A"),
        ],
        finds: &[
            (ALICE, "'; DROP TABLE revocations; --", Some("token")),
            (ALICE, "ä\u{1F600}%_", Some("token")),
            (ALICE, "ä\u{1F600}xy", None),
            (ALICE, "a", None),
        ],
    },
    Row {
        name: "a subject",
        steps: &[Step::Subject("alice", Before::Ever)],
        finds: &[(ALICE, "a", Some("subject")), (OTHER, "a", None)],
    },
    Row {
        name: "a subject before a time, to the fraction",
        steps: &[
            Step::Subject("alice", Before::Time(1000.25)),
            Step::Subject("bob", Before::Time(2000.0)),
        ],
        finds: &[(ALICE, "a", Some("subject")), (OTHER, "a", None)],
    },
    Row {
        name: "a later time widens, an earlier one does not narrow",
        steps: &[
            Step::Subject("alice", Before::Time(900.0)),
            Step::Subject("alice", Before::Time(1001.0)),
            Step::Subject("alice", Before::Time(10.0)),
        ],
        finds: &[(ALICE, "a", Some("subject"))],
    },
    Row {
        name: "a time never narrows what is for ever",
        steps: &[
            Step::Client("portal", Before::Ever),
            Step::Client("portal", Before::Time(1.0)),
        ],
        finds: &[(ALICE, "a", Some("client")), (OTHER, "a", None)],
    },
    Row {
        name: "an issuer before a time",
        steps: &[Step::Issuer(Before::Time(1500.0))],
        finds: &[(ALICE, "a", Some("issuer")), (OTHER, "a", None)],
    },
];

#[tokio::test]
async fn a_file_keeps_what_was_revoked() {
    let dir = ScratchDir::new("store").expect("a folder");
    for (number, row) in ROWS.iter().enumerate() {
        check(row, &format!("sqlite:{}/{number}.db", dir.path().display())).await;
    }
    two_writers(&format!("sqlite:{}/writers.db", dir.path().display())).await;
    pages(&format!("sqlite:{}/pages.db", dir.path().display())).await;
}

#[tokio::test]
async fn a_server_keeps_what_was_revoked() {
    let Some(server) = PostgresServer::start().await else {
        return;
    };
    for (number, row) in ROWS.iter().enumerate() {
        check(row, &server.database(&format!("row_{number}"))).await;
    }
    two_writers(&server.database("writers")).await;
    pages(&server.database("pages")).await;
    told_and_not_asked(&server.database("told")).await;
}

/// The steps on two replicas in turn: in force on the one before it is acknowledged, and on the other soon.
async fn check(row: &Row, url: &str) {
    let replicas = [Replica::start(url).await, Replica::start(url).await];
    let mut ids: Vec<String> = Vec::new();
    for (number, step) in row.steps.iter().enumerate() {
        let here = &replicas[number % 2];
        let id = match step {
            Step::Token(id) => here.revoke_token(id).await,
            Step::Subject(name, before) => here.revoke(Revoked::Subject((*name).to_owned()), *before).await,
            Step::Client(name, before) => here.revoke(Revoked::Client((*name).to_owned()), *before).await,
            Step::Issuer(before) => here.revoke(Revoked::Issuer, *before).await,
            Step::Lift(of) => here
                .authority
                .lift("ada", &ids[*of])
                .await
                .map(|()| String::new()),
        };
        ids.push(id.unwrap_or_else(|error| panic!("{}: step {number}: {error}", row.name)));
        let revision = u64::try_from(number + 1).expect("few steps");
        assert_eq!(
            here.view().revision,
            revision,
            "{}: in force before it is acknowledged",
            row.name
        );
        until("the other replica knows", async || {
            replicas[(number + 1) % 2].view().revision == revision
        })
        .await;
    }
    let third = Replica::start(url).await;
    for replica in replicas.iter().chain([&third]) {
        for (who, id, expected) in row.finds {
            assert_eq!(replica.verdict(*who, id), *expected, "{}: {who:?} {id}", row.name);
        }
    }
}

/// Two replicas write at the same time: nothing is lost, and each change has a revision of its own.
async fn two_writers(url: &str) {
    let (one, other) = (Replica::start(url).await, Replica::start(url).await);
    let many = async |replica: &Replica, name: &str| {
        for number in 0..20 {
            let id = format!("{name}-{number}");
            replica.revoke_token(&id).await.expect("it waits for the other");
            assert!(!replica.allows(&id), "{id}");
        }
    };
    tokio::join!(many(&one, "one"), many(&other, "other"), many(&one, "more"));
    for replica in [&one, &other] {
        until("all is known", async || replica.view().revision == 60).await;
        for name in ["one", "other", "more"] {
            assert!(
                (0..20).all(|number| !replica.allows(&format!("{name}-{number}"))),
                "{name}"
            );
        }
    }
}

/// All entries come once, whatever the size of the pages.
async fn pages(url: &str) {
    let replica = Replica::start(url).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(
            replica
                .revoke_token(&number.to_string())
                .await
                .expect("a revocation"),
        );
    }
    for limit in [1, 3, 6, 7, 8, 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = replica
                .authority
                .revocations(&Page { after, limit })
                .await
                .expect("a page");
            assert!(page.items.len() <= limit as usize);
            found.extend(page.items.into_iter().map(|revocation| revocation.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ids, "pages of {limit}");
    }
    assert_eq!(
        replica.authority.lift("ada", "nothing").await,
        Err(StoreError::NotFound)
    );
    assert_eq!(replica.view().revision, 7, "what failed is no change");
}

/// Replicas that do not look by themselves hear of a change.
async fn told_and_not_asked(url: &str) {
    let patient = StoreSettings {
        store: url.into(),
        max_stale_seconds: 7200,
        timing: Timing {
            poll: Duration::from_secs(3600),
            ..Timing::default()
        },
    };
    let one = Replica::start_with(patient.clone()).await.expect("a store");
    let other = Replica::start_with(patient).await.expect("a store");
    for id in ["a", "b", "c"] {
        one.revoke_token(id).await.expect("a revocation");
        until("the other one was told", async || !other.allows(id)).await;
    }
}
