use axum::http::HeaderValue;

use super::*;

#[test]
fn what_may_be_a_page_in_a_browser() {
    for (hosts, encrypted, fits) in [
        (&["127.0.0.1:9192"][..], false, true),
        (&["127.0.0.1"], false, true),
        (&["[::1]:9192"], false, true),
        (&["[::1]"], false, true),
        (&["10.0.0.7:9192"], false, true),
        (&["localhost:9192"], false, true),
        (&["LocalHost"], false, true),
        (&["127.0.0.1", "localhost"], false, true),
        // Whose names may lead here.
        (&["gate.test"], false, false),
        (&["gate.test:9192"], false, false),
        (&["localhost.gate.test"], false, false),
        (&["127.0.0.1.gate.test"], false, false),
        (&["127.0.0.1", "gate.test"], false, false),
        (&["127.0.0.1@gate.test"], false, false),
        (&["gate.test@127.0.0.1"], false, false),
        (&["[gate.test]"], false, false),
        (&["\u{e9}"], false, false),
        (&[""], false, false),
        (&[], false, false),
        // No authority certifies it for somebody else.
        (&["gate.test:9192"], true, true),
    ] {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(
                header::HOST,
                HeaderValue::from_bytes(host.as_bytes()).expect("a value"),
            );
        }
        let path = Uri::from_static("/reload");
        assert_eq!(of_a_page(&path, &headers, encrypted).is_none(), fits, "{hosts:?}");
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:9192"));
        assert!(
            of_a_page(&path, &headers, encrypted).is_some(),
            "{hosts:?} and Origin"
        );
    }
    // In HTTP/2 it is no header.
    for (uri, fits) in [
        ("http://127.0.0.1:9192/reload", true),
        ("http://localhost/reload", true),
        ("http://gate.test/reload", false),
    ] {
        let uri: Uri = uri.parse().expect("a URI");
        assert_eq!(of_a_page(&uri, &HeaderMap::new(), false).is_none(), fits, "{uri}");
    }
}
