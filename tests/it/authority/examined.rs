//! `portcullis doctor` tries the store in PostgreSQL as the server will, and finds what keeps the server from using it.

use std::sync::Arc;

use authority::{Authority, StoreSettings};
use portcullis::demo::stage;

use super::postgres::{Line, PostgresServer};
use crate::served::Served;

/// Whether the store can be used.
async fn opens(url: &str) -> bool {
    let settings = StoreSettings {
        store: url.to_owned().into(),
        ..StoreSettings::default()
    };
    let authority = Authority::start(&settings, Arc::new(|_| {})).await;
    authority.is_ok_and(|authority| authority.status().connected)
}

#[tokio::test]
async fn doctor_finds_what_keeps_a_server_from_its_store() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    server.user("keeper", "s3cret");
    server.stop().await;
    server.run().await;
    let line = Line::to(&server).await;
    for (database, owner) in [
        ("own", "keeper"),
        ("elses", "portcullis"),
        ("made", "portcullis"),
        ("reading", "keeper"),
    ] {
        server.sql(&format!("CREATE DATABASE {database} OWNER {owner}"));
    }
    assert!(opens(&line.url("made")).await);
    server.sql_in("made", "GRANT CREATE ON SCHEMA public TO keeper");
    server.sql("ALTER DATABASE reading SET default_transaction_read_only = on");
    for (user, database, good, found) in [
        (
            "keeper:s3cret",
            "own",
            true,
            "lets keeper in; its tables will be made",
        ),
        (
            "keeper:s3cret",
            "own",
            true,
            "lets keeper in; its tables are there",
        ),
        (
            "portcullis",
            "made",
            true,
            "lets portcullis in; its tables are there",
        ),
        (
            "keeper:wr0ng",
            "own",
            false,
            "refuses: password authentication failed for user \"keeper\"",
        ),
        ("keeper", "own", false, "PostgreSQL at 127.0.0.1:"),
        (
            "keeper:s3cret",
            "nowhere",
            false,
            "refuses: database \"nowhere\" does not exist",
        ),
        ("keeper:s3cret", "elses", false, "who may make no tables there"),
        (
            "keeper:s3cret",
            "made",
            false,
            "who may not read and write its tables",
        ),
        ("keeper:s3cret", "reading", false, "and takes no changes"),
    ] {
        let url = line.url_of(user, database);
        let section = format!(
            "\nauthority: {{ issuer: 'https://gate.example.test', listen: '127.0.0.1:0', store: '{url}' }}\n"
        );
        let (well, said) = Served::asked("doctor", &(stage::DEFAULT_CONFIG.to_owned() + &section)).await;
        let mark = if good { "[+]" } else { "[-]" };
        let about = said
            .lines()
            .find(|line| line.contains(" authority.store: "))
            .unwrap_or_else(|| panic!("nothing of the store: {said}"));
        assert!(
            about.starts_with(mark) && about.contains(found),
            "{user} {database}: no {found:?} in {about}"
        );
        assert!(!said.contains("s3cret") && !said.contains("wr0ng"), "{said}");
        assert!(good || !well, "{user} {database}: {said}");
        assert_eq!(opens(&url).await, good, "{user} {database}: the store itself");
    }
}
