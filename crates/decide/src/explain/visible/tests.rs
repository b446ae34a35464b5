//! What is shown and kept of a query.

use super::*;

type Shown<'s> = &'s [(&'s str, Option<&'s str>)];

#[test]
fn of_a_query_only_what_policies_may_see_is_shown_and_kept() {
    let expose = Expose {
        query: ["page", "token"].map(str::to_owned).to_vec(),
        ..Visible::nothing().expose.clone()
    };
    let visible = Visible {
        expose: &expose,
        places: &[Place::Query("token".to_owned())],
    };
    let rows: &[(&str, Shown<'_>, Option<&str>)] = &[
        ("", &[], Some("")),
        ("page=2", &[("page", Some("2"))], Some("page=2")),
        ("p%61ge=2%20", &[("p%61ge", Some("2 "))], Some("p%61ge=2%20")),
        ("page", &[("page", Some(""))], Some("page")),
        (
            "page=1&page=2",
            &[("page", None), ("page", None)],
            Some("page=1&page=2"),
        ),
        (
            "key=secret&page=2",
            &[("key", None), ("page", Some("2"))],
            Some("key=&page=2"),
        ),
        ("secret&page=2", &[("page", Some("2"))], Some("page=2")),
        ("secret", &[], Some("")),
        ("&&page=2&", &[("page", Some("2"))], Some("page=2")),
        ("token=secret", &[("token", None)], Some("token=")),
        ("t%6fken=secret", &[("t%6fken", None)], Some("t%6fken=")),
        ("token", &[], Some("")),
        (
            "%zz=secret&page=2",
            &[("%zz", None), ("page", None)],
            Some("%zz=&page=2"),
        ),
        ("%zzsecret&page=2", &[("page", None)], Some("%&page=2")),
        ("page=1;key=secret", &[("page", None), ("key", None)], None),
        ("page=1;secret&key=secret", &[("page", None), ("key", None)], None),
    ];
    for (query, shown, kept) in rows {
        let all = visible.query(Some(query));
        let all: Vec<(&str, Option<&str>)> = all
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        assert_eq!(all, *shown, "{query}");
        assert_eq!(visible.kept_query(query).as_deref(), *kept, "{query}");
    }
    assert_eq!(visible.query(None), []);
}
