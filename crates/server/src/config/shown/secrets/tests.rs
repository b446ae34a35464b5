use super::without_password;

#[test]
fn no_password_is_shown() {
    for (text, shown) in [
        ("sqlite:portcullis.db", "sqlite:portcullis.db"),
        (
            "postgres://db.example.test/portcullis",
            "postgres://db.example.test/portcullis",
        ),
        ("postgres://u@db/portcullis", "postgres://u@db/portcullis"),
        ("postgres://u:s3cret@db/x", "postgres://u:(hidden)@db/x"),
        ("postgres://u:@db/x", "postgres://u:(hidden)@db/x"),
        (
            "postgres://u:s3cret@db:5432/x?sslmode=require",
            "postgres://u:(hidden)@db:5432/x?sslmode=require",
        ),
        // Not encoded as it must be.
        ("postgres://u:s3c@ret@db/x", "postgres://u:(hidden)@db/x"),
        ("postgres://u:s3/cret@db/x", "postgres://(hidden)@db/x"),
        ("postgres://u:s3?cret@db/x", "postgres://(hidden)"),
        ("postgres://u:s3#cret@db/x", "postgres://(hidden)@db/x"),
        ("postgres://u:s3:cret@db/x", "postgres://u:(hidden)@db/x"),
        // Parameters.
        (
            "postgres://db/x?user=u&password=s3cret&a=b",
            "postgres://db/x?user=u&password=(hidden)&a=b",
        ),
        (
            "postgres://db/x?sslpassword=s3cret",
            "postgres://db/x?sslpassword=(hidden)",
        ),
        (
            "postgres://db/x?PassWord=s3cret",
            "postgres://db/x?PassWord=(hidden)",
        ),
        (
            "postgres://db/x?p%61ssword=s3cret",
            "postgres://db/x?p%61ssword=(hidden)",
        ),
        ("postgres://u:s3cret@db/x?password=s3@cret", "postgres://(hidden)"),
        (
            "postgres://u@db/x?password=s3@cret",
            "postgres://u@db/x?password=(hidden)",
        ),
        ("postgres://u:3/s3cret@db/x", "postgres://(hidden)@db/x"),
        ("postgres://u:3#s3cret@db/x", "postgres://(hidden)@db/x"),
        ("postgres://u:3?s3cret@db/x", "postgres://(hidden)"),
        ("postgres://u:s3@cret/s3@db/x", "postgres://(hidden)@db/x"),
        ("https://id.example.test/@demo", "https://id.example.test/@demo"),
        // References, whose values nobody looks at.
        (
            "postgres://u:s3cret@${PGHOST}/db",
            "postgres://(hidden)@${PGHOST}/db",
        ),
        ("postgres://u:${PGPASSWORD}@db/x", "postgres://(hidden)@db/x"),
        ("postgres://u:s3${SALT}cret@db/x", "postgres://(hidden)@db/x"),
        (
            "postgres://${PGHOST}/db?password=s3cret",
            "postgres://${PGHOST}/db?(hidden)",
        ),
        (
            "postgres://${PGHOST}/db?p%61ssword=s3cret",
            "postgres://${PGHOST}/db?(hidden)",
        ),
        ("postgres://${PGHOST}/db?password=s3@cret", "postgres://(hidden)"),
        (
            "postgres://${PGHOST}/db?sslmode=require",
            "postgres://${PGHOST}/db?sslmode=require",
        ),
        ("${STORE}", "${STORE}"),
        (
            "${STORE:-postgres://u:s3cret@db/x}",
            "${STORE:-postgres://(hidden)@db/x}",
        ),
        ("https://${HOST}/realms/demo", "https://${HOST}/realms/demo"),
    ] {
        assert_eq!(without_password(text), shown, "{text}");
        assert!(
            !["s3", "cret"]
                .iter()
                .any(|part| shown.replace("SALT", "").contains(part)),
            "{shown}"
        );
    }
}
