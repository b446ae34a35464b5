use super::*;

/// The normal form of an entitlement, `None` if it is not one of this kind.
fn normalised(entitlement: &str) -> Option<String> {
    Membership::parse(entitlement)?.implied().pop()
}

/// Whether the holder of `actual` has what `required` demands.
#[track_caller]
fn satisfies(actual: &str, required: &str) -> bool {
    let required = normalised(required).expect("a required entitlement is one");
    groups(&[actual]).contains(&required)
}

const ADMIN: &str = "urn:geant:h-df.de:group:aai-admin";

#[test]
fn what_satisfies_what() {
    let below = |rest: &str| format!("{ADMIN}{rest}");
    for (what, actual, required, expected) in [
        ("equal", below("#a.de"), below("#a.de"), true),
        ("equal, subgroup", below(":sub#a.de"), below(":sub#a.de"), true),
        ("equal, role", below(":role=member"), below(":role=member"), true),
        ("other authority", below("#b.de"), below("#a.de"), true),
        (
            "other authority, role",
            below(":role=member#b.de"),
            below(":role=member#a.de"),
            true,
        ),
        ("no authority required", below("#b.de"), below(""), true),
        ("no authority given", below(""), below("#a.de"), true),
        (
            "other group",
            below(""),
            "urn:geant:h-df.de:group:users".to_owned(),
            false,
        ),
        (
            "other namespace",
            below(""),
            "urn:geant:kit.edu:group:aai-admin".to_owned(),
            false,
        ),
        (
            "other nid",
            below(""),
            "urn:mace:h-df.de:group:aai-admin".to_owned(),
            false,
        ),
        ("longer name", below("s"), below(""), false),
        // Subgroups.
        (
            "a subgroup for its parent",
            below(":special#a.de"),
            below(""),
            true,
        ),
        ("far below", below(":a:b:c"), below(":a"), true),
        ("a parent for its subgroup", below(""), below(":special"), false),
        ("beside it", below(":a"), below(":b"), false),
        (
            "other order",
            below(":s2:s1:s3:role=m"),
            below(":s1:s2:s3:role=m"),
            false,
        ),
        (
            "deeper than required, role",
            below(":s1:s2:s3:role=m"),
            below(":s1:s2:role=m"),
            false,
        ),
        (
            "less deep than required, role",
            below(":s1:s2:role=m"),
            below(":s1:s2:s3:role=m"),
            false,
        ),
        // Roles.
        ("role not required", below(":role=member#b.de"), below(""), true),
        (
            "role not required, of the parent",
            below(":sub:role=member"),
            below(""),
            true,
        ),
        ("role required", below(""), below(":role=member"), false),
        ("other role", below(":role=guest"), below(":role=member"), false),
        (
            "role in a subgroup for the parent's",
            below(":special:role=admin"),
            below(":role=admin"),
            false,
        ),
        (
            "role in the parent for a subgroup's",
            below(":role=admin"),
            below(":special:role=admin"),
            false,
        ),
        (
            "role in the parent for a subgroup",
            below(":role=admin"),
            below(":special"),
            false,
        ),
        // Namespaces.
        (
            "order of sub-namespaces",
            "urn:geant:h-df.de:s2:s1:group:g".to_owned(),
            "urn:geant:h-df.de:s1:s2:group:g".to_owned(),
            false,
        ),
        (
            "required one is deeper",
            "urn:geant:h-df.de:s1:group:g".to_owned(),
            "urn:geant:h-df.de:s1:s2:group:g".to_owned(),
            false,
        ),
        (
            "a part of the namespace does not speak for the whole",
            "urn:geant:h-df.de:s1:s2:group:g".to_owned(),
            "urn:geant:h-df.de:s1:group:g".to_owned(),
            false,
        ),
        // Case and escapes.
        (
            "case of the namespace",
            "URN:Geant:H-DF.de:group:aai-admin".to_owned(),
            below(""),
            true,
        ),
        (
            "case of the group",
            "urn:geant:h-df.de:group:AAI-admin".to_owned(),
            below(""),
            false,
        ),
        (
            "case of the role",
            below(":role=Member"),
            below(":role=member"),
            false,
        ),
        (
            "case of escapes",
            below(":Ryhm%c3%a4ni"),
            below(":Ryhm%C3%A4ni"),
            true,
        ),
        ("an escape is no letter", below(":%61"), below(":a"), false),
        (
            "other components",
            below("?+resolve?=query#a.de"),
            below(""),
            true,
        ),
        (
            "a q-component, role",
            below(":role=member?=x:y"),
            below(":role=member"),
            true,
        ),
    ] {
        assert_eq!(satisfies(&actual, &required), expected, "{what}");
    }
}

#[test]
fn normal_forms() {
    let normal = "urn:nid:example.org:group:Minun%20Ryhm%C3%A4ni";
    for text in [
        "URN:NID:EXAMPLE.ORG:group:Minun%20Ryhm%C3%A4ni",
        "UrN:NiD:ExAmPlE.oRg:group:Minun%20Ryhm%c3%a4ni",
        "urn:nid:example.org:group:Minun%20Ryhm%c3%A4ni#Authority",
        normal,
    ] {
        assert_eq!(normalised(text).as_deref(), Some(normal), "{text}");
    }
    for (text, normal) in [
        (
            "urn:x-y:A:B%c3:group:G:S:role=R%3aq",
            "urn:x-y:a:b%C3:group:G:S:role=R%3Aq",
        ),
        (
            "urn:nid:ns:group:g/a@b:role=group",
            "urn:nid:ns:group:g/a@b:role=group",
        ),
    ] {
        assert_eq!(normalised(text).as_deref(), Some(normal), "{text}");
    }
}

#[test]
fn all_that_is_implied_once() {
    assert_eq!(
        groups(&[
            "urn:nid:ns:group:a:b:role=r",
            "urn:nid:ns:group:a:c",
            "nonsense",
            "urn:nid:ns:group:a"
        ]),
        [
            "urn:nid:ns:group:a",
            "urn:nid:ns:group:a:b",
            "urn:nid:ns:group:a:b:role=r",
            "urn:nid:ns:group:a:c",
        ]
    );
    assert_eq!(groups(&[]), [""; 0]);
}

#[test]
fn what_is_no_group() {
    let deep = format!("urn:nid:ns:group{}", ":g".repeat(MAX_DEPTH + 1));
    let long = format!("urn:nid:ns:group:{}", "g".repeat(MAX_NAME_BYTES));
    for text in [
        "",
        "urn",
        "urn:mace:dir:entitlement:common-lib-terms",
        "https://example.org/entitlement",
        // Parts that are missing or empty.
        "urn:nid:group:g",
        "urn:nid:ns:group",
        "urn:nid:ns:group:",
        "urn:nid:ns:group::s",
        "urn:nid:ns:group:g:",
        "urn:nid:ns:group:g:role=",
        "urn:nid:ns:group:role=r",
        "urn:nid::group:g",
        "urn:nid:ns::group:g",
        "urn::ns:group:g",
        "nid:ns:group:g",
        " urn:nid:ns:group:g",
        // Where the namespace ends would be a guess.
        "urn:nid:ns:group:a:group:b",
        "urn:nid:group:group:g",
        "urn:nid:GROUP:group:g",
        "urn:nid:ns:GROUP:g",
        // Reserved characters, and escapes that are none.
        "urn:nid:ns:group:g=h",
        "urn:nid:ns:group:g:role=r:s",
        "urn:nid:ns:group:g:role=r:role=s",
        "urn:nid:ns:group:g:role=r=s",
        "urn:nid:ns:group:g?h",
        "urn:nid:ns:group:100%",
        "urn:nid:ns:group:%4",
        "urn:nid:ns:group:%4x",
        "urn:nid:ns:group:%%41",
        "urn:nid:ns:group:a b",
        "urn:nid:ns:group:\u{e4}",
        "urn:nid:ns:group:%\u{e4}",
        "urn:nid:ns:group:g\n",
        "urn:nid:n\u{212a}s:group:g",
        "urn:-nid:ns:group:g",
        // By RFC 8141 the name ends before these.
        "urn:nid:ns?+r:group:g",
        "urn:nid:ns?=q:group:g",
        "urn:nid:ns#f:group:g",
        deep.as_str(),
        long.as_str(),
    ] {
        assert_eq!(groups(&[text]), [""; 0], "{text}");
        assert_eq!(normalised(text), None, "{text}");
    }
}
