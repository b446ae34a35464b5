//! Nothing that is asked makes the reader fall over, and every answer is one.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

static KINDS: LazyLock<Vec<ServiceKind>> = LazyLock::new(|| {
    let mut kinds: Vec<ServiceKind> = kind::TYPES.iter().map(|name| kind(name)).collect();
    let namespaces = serde_json::json!({"namespaces": {"http://topp": "topp"}});
    kinds.push(configured("geoserver", namespaces));
    kinds
});

/// Parts of requests, so that many of them are nearly right.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "request",
        "REQUEST",
        "service",
        "layers",
        "typenames",
        "identifier",
        "dataset",
        "GetCapabilities",
        "GetMap",
        "GetFeature",
        "Execute",
        "DescribeProcess",
        "Transaction",
        "wms",
        "wfs",
        "wps",
        "ows",
        "topp:a",
        "a,b",
        "catalog",
        "fileServer",
        "x.nc",
        "x.nc.dds",
        "geoserver",
        "",
        "%",
        "%41",
        "%C3",
        ":",
        "&",
        "=",
        "<",
        ">",
        "</",
        "/>",
        "'",
        "<w:Execute xmlns:w='http://www.opengis.net/wps/1.0.0' xmlns:o='http://www.opengis.net/ows/1.1'>",
        "<o:Identifier>",
        "</o:Identifier>",
        "</w:Execute>",
        "<f:Transaction xmlns:f='http://www.opengis.net/wfs'>",
        "<f:Insert>",
        "</f:Insert>",
        "<f:Delete typeName='a'/>",
        "</f:Transaction>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&amp;",
        "<?xml version='1.0'?>",
        "<!DOCTYPE x>",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => ".{0,6}"]
}

fn query() -> impl Strategy<Value = Option<String>> {
    let pairs = vec((word(), word()), 0..5).prop_map(|pairs| {
        pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("&")
    });
    prop::option::of(pairs)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_request_has_an_answer(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", ""]),
        path in vec(word(), 0..5),
        query in query(),
        content_type in prop::option::of(prop::sample::select(vec!["text/xml", "application/xml;charset=utf-8", "x"])),
        pieces in vec(word(), 0..12),
        bytes in vec(any::<u8>(), 0..4),
        body in 0..4_u8,
    ) {
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = pieces.concat();
        let noise = [text.as_bytes(), &bytes].concat();
        let body = match body {
            0 => RequestBody::Unseen,
            1 => RequestBody::Truncated,
            2 => RequestBody::Whole(text.as_bytes()),
            _ => RequestBody::Whole(&noise),
        };
        let request = ServiceRequest { method, segments: &segments, query: query.as_deref(), content_type, body };
        for kind in KINDS.iter() {
            if let Ok(needs) = needs(kind, &request) {
                prop_assert!(!needs.asked.is_empty() && needs.asked.len() <= MOST_NEEDS);
                let empty = |need: &Need| need.resource.iter().any(String::is_empty);
                prop_assert!(!needs.asked.iter().any(empty), "{needs:?}");
                let twice = |(at, need): (usize, &Need)| needs.asked[..at].contains(need);
                prop_assert!(!needs.asked.iter().enumerate().any(twice), "{needs:?}");
                if method == "PUT" {
                    let write = |need: &Need| matches!(need.permission, Permission::Write | Permission::Access);
                    prop_assert!(needs.asked.iter().all(write), "{needs:?}");
                }
            }
        }
    }

    /// Whatever is written around it, no query gets more than what its one `request` says.
    #[test]
    fn what_is_asked_is_what_is_needed(before in query(), after in query(), name in "[a-zA-Z_.]{1,8}") {
        let rest = |query: Option<String>| query.map_or(String::new(), |query| format!("&{query}"));
        let query = format!("identifier={name}{}&request=Execute{}", rest(before), rest(after));
        let request = ServiceRequest {
            method: "GET",
            segments: &[],
            query: Some(&query),
            content_type: None,
            body: RequestBody::Unseen,
        };
        if let Ok(needs) = needs(&kind("wps"), &request) {
            prop_assert_eq!(told(&Ok(needs)), format!("/{name}:execute"));
        }
    }
}
