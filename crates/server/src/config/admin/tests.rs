use super::*;

#[test]
fn only_the_admin_listener_is_read() {
    let folder = std::env::temp_dir().join(format!("portcullis-admin-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("portcullis.yaml");
    let usual = "127.0.0.1:9192";
    for (text, expected) in [
        ("admin: 127.0.0.1:9000\n", Some(("127.0.0.1:9000", false))),
        ("policies: { schema: [], files: [] }\n", Some((usual, false))),
        (
            "admin: '[::]:9000'\nadmin_options: { tls: { certificate: a, key: b } }\n",
            Some(("[::]:9000", true)),
        ),
        (
            "admin: 127.0.0.1:9000\nadmin_options: { policies: [] }\n",
            Some(("127.0.0.1:9000", false)),
        ),
        (
            "admin: '${PORTCULLIS_NOT_SET:-127.0.0.1:9000}'\n",
            Some(("127.0.0.1:9000", false)),
        ),
        // All else may be wrong.
        (
            "admin: 127.0.0.1:9000\npolicies: 7\n",
            Some(("127.0.0.1:9000", false)),
        ),
        (
            "admin: 127.0.0.1:9000\nlimits: { max_connections: many }\nx: y\n",
            Some(("127.0.0.1:9000", false)),
        ),
        (
            "admin: 127.0.0.1:9000\nissuers: '${PORTCULLIS_NOT_SET}'\n",
            Some(("127.0.0.1:9000", false)),
        ),
        (
            "admin: 127.0.0.1:9000\nadmin_options: { tls: { certificate: 7 } }\n",
            Some(("127.0.0.1:9000", true)),
        ),
        ("policies: [\n", Some((usual, false))),
        ("", Some((usual, false))),
        // Without it there is nobody to ask.
        ("admin: 9192\n", None),
        ("admin: localhost:9192\n", None),
        ("admin: '${PORTCULLIS_NOT_SET}'\n", None),
        ("admin: { address: 127.0.0.1:9192 }\n", None),
    ] {
        std::fs::write(&file, text).expect("a file");
        let expected = expected.map(|(address, encrypted)| AdminAt {
            address: address.parse().expect("an address"),
            encrypted,
        });
        let got = admin(&file, &Overrides::default());
        assert_eq!(got.as_ref().ok(), expected.as_ref(), "{text}");
        let said = Overrides::of(&[("admin", "127.0.0.1:1".to_owned())], []);
        let got = admin(&file, &said).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(got.address.to_string(), "127.0.0.1:1", "{text}");
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
    assert!(admin(&file, &Overrides::default()).is_err(), "it is gone");
}
