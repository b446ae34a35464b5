//! What is no gRPC call from a proxy gets a 4xx, and nobody is asked.

use super::*;

/// Sends a call that would be allowed, after `edit` spoilt it.
async fn check(name: &str, status: u16, edit: impl FnOnce(&mut Request<Full<Bytes>>)) {
    let mut request = call(full(&framed("/open")));
    edit(&mut request);
    let answer = answer(&service(Mood::Now), request).await;
    let code = (status == 200).then_some(0);
    assert_eq!((answer.status, answer.code), (status, code), "{name}");
    assert_eq!(
        answer.heard.is_empty(),
        status != 200,
        "{name}: {:?}",
        answer.heard
    );
}

#[tokio::test]
async fn only_the_path_of_the_method_is_answered() {
    for (path, status) in [
        ("/envoy.service.auth.v3.Authorization/Check", 200),
        (
            "http://authority.example.org/envoy.service.auth.v3.Authorization/Check",
            200,
        ),
        ("/", 404),
        ("/healthz", 404),
        ("/envoy.service.auth.v2.Authorization/Check", 404),
        ("/envoy.service.auth.v3.Authorization/Other", 404),
        ("/envoy.service.auth.v3.Authorization", 404),
        ("/envoy.service.auth.v3.Authorization/check", 404),
        ("/envoy.service.auth.v3.Authorization/Check/", 404),
        ("/envoy.service.auth.v3.Authorization/Check?", 404),
        ("/envoy.service.auth.v3.Authorization/Check?a=b", 404),
        ("//envoy.service.auth.v3.Authorization/Check", 404),
        ("/envoy.service.auth.v3.Authorization/%43heck", 404),
        ("/prefix/envoy.service.auth.v3.Authorization/Check", 404),
        ("/grpc.health.v1.Health/Check", 404),
        ("*", 404),
        ("authority.example.org:443", 404),
    ] {
        check(path, status, |request| *request.uri_mut() = path.parse().unwrap()).await;
    }
}

#[tokio::test]
async fn only_post_is_answered() {
    for (method, status) in [
        ("POST", 200),
        ("GET", 405),
        ("HEAD", 405),
        ("PUT", 405),
        ("OPTIONS", 405),
        ("CONNECT", 405),
        ("PROPFIND", 405),
        ("post", 405),
    ] {
        check(method, status, |request| {
            *request.method_mut() = method.parse().unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn only_what_a_grpc_library_says_of_itself_is_answered() {
    for (name, values, status) in [
        ("content-type", &["application/grpc"][..], 200),
        ("content-type", &["application/grpc+proto"], 200),
        ("content-type", &["application/grpc;charset=utf-8"], 200),
        ("content-type", &[], 415),
        ("content-type", &[""], 415),
        ("content-type", &["application/grpc-web"], 415),
        ("content-type", &["application/grpc-web+proto"], 415),
        ("content-type", &["application/grpcfoo"], 415),
        ("content-type", &["application/json"], 415),
        ("content-type", &["text/plain, application/grpc"], 415),
        ("content-type", &["application/grpc", "text/plain"], 415),
        ("content-type", &["text/plain", "application/grpc"], 415),
        ("te", &["trailers"], 200),
        ("te", &[], 415),
        ("te", &[""], 415),
        ("te", &["gzip"], 415),
        ("te", &["trailers, gzip"], 415),
        ("te", &["trailers;q=1"], 415),
        ("te", &["trailers", "trailers"], 415),
    ] {
        check(&format!("{name}: {values:?}"), status, |request| {
            request.headers_mut().remove(name);
            for value in values {
                request
                    .headers_mut()
                    .append(name, HeaderValue::from_static(value));
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_call_without_any_message_is_no_call() {
    // A proxy that takes this port for an HTTP contract forwards no body: not even a 200 that denies may go there.
    check("no body", 400, |request| *request.body_mut() = full(b"")).await;
    let empty = answer(&service(Mood::Now), call(parts(vec![Ok(b"")]))).await;
    assert_eq!((empty.status, empty.heard), (400, Vec::new()));
}

/// What a peer that may not ask sends is not read: there is no room for it here, and the rest of it never comes.
#[tokio::test]
async fn a_strange_peer_is_denied_without_its_message() {
    async fn check<B>(name: &str, body: B, expected: (u16, Option<i32>, &str))
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut service = service(Mood::Now).for_stranger([192, 0, 2, 1].into());
        service.listener.room = crate::Room::new(0);
        let answer = answer(&service, call(body)).await;
        assert_eq!((answer.status, answer.code, &*answer.reason), expected, "{name}");
    }
    let denied = (200, Some(7), "strange_peer");
    check("a message", full(&framed("/open")), denied).await;
    check("no frame", full(b"x"), denied).await;
    check("the beginning of a message", unfinished(b"\0"), denied).await;
    check("an empty part first", parts(vec![Ok(b""), Ok(b"\0")]), denied).await;
    check("no message", full(b""), (400, None, "")).await;
    check("nothing but an empty part", parts(vec![Ok(b"")]), (400, None, "")).await;
}
