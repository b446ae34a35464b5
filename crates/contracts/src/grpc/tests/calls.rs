//! What reaches the method is answered with a verdict, whatever is wrong with it.

use super::*;

#[track_caller]
fn check_heard(name: &str, answer: &Answer, expected: &[&str]) {
    assert_eq!(answer.heard.len(), expected.len(), "{name}: {answer:?}");
    for (heard, expected) in answer.heard.iter().zip(expected) {
        assert!(
            heard.starts_with(expected),
            "{name}: {heard:?} is not {expected:?}"
        );
    }
}

#[tokio::test]
async fn a_question_gets_its_verdict() {
    for (name, mood, path, code, reason, heard) in [
        ("allow", Mood::Now, "/open", 0, "permitted", &["now"][..]),
        ("deny", Mood::Now, "/shut", 7, "no_permit", &["now"]),
        (
            "allow on the cold path",
            Mood::Later,
            "/open",
            0,
            "permitted",
            &["now", "later"],
        ),
        (
            "deny on the cold path",
            Mood::Later,
            "/shut",
            7,
            "no_permit",
            &["now", "later"],
        ),
        (
            "an ambiguous path",
            Mood::Now,
            "/open/..",
            7,
            "ambiguous_path",
            &["refuse ambiguous_path"],
        ),
        (
            "a panic",
            Mood::PanicsNow,
            "/open",
            7,
            "internal",
            &["now", "refuse internal a panic"],
        ),
        (
            "a panic on the cold path",
            Mood::PanicsLater,
            "/open",
            7,
            "internal",
            &["now", "later", "refuse internal"],
        ),
        (
            "panics all the way",
            Mood::PanicsAlways,
            "/open",
            7,
            "internal",
            &["now", "refuse internal"],
        ),
        (
            "panics over a malformed request",
            Mood::PanicsAlways,
            "/open/..",
            7,
            "internal",
            &["refuse ambiguous_path", "refuse internal"],
        ),
    ] {
        let answer = answer(&service(mood), call(full(&framed(path)))).await;
        assert_eq!(
            (answer.status, answer.code, answer.reason.as_str()),
            (200, Some(code), reason),
            "{name}"
        );
        check_heard(name, &answer, heard);
    }
}

#[tokio::test]
async fn a_message_that_is_none_is_a_denial_and_not_an_error() {
    let whole = framed("/open");
    let message = &whole[5..];
    let mut compressed = whole.clone();
    compressed[0] = 1;
    let mut longer = whole.clone();
    longer.push(0);
    for (name, body, detail) in [
        ("one byte", vec![0], "the gRPC frame is shorter"),
        ("four bytes", vec![0; 4], "the gRPC frame is shorter"),
        (
            "no message behind the head",
            whole[..5].to_vec(),
            "the length in the gRPC frame",
        ),
        (
            "a byte short",
            whole[..whole.len() - 1].to_vec(),
            "the length in the gRPC frame",
        ),
        ("a byte long", longer, "the length in the gRPC frame"),
        (
            "two messages",
            [&whole[..], &whole[..]].concat(),
            "the length in the gRPC frame",
        ),
        (
            "a length of 4 GiB",
            [&[0, 255, 255, 255, 255], message].concat(),
            "the length in the gRPC frame",
        ),
        ("compressed", compressed, "the message is compressed"),
        (
            "flags of nobody",
            frame(0x80, message),
            "the message is compressed",
        ),
        (
            "no protobuf",
            frame(0, b"GET / HTTP/1.1\r\n"),
            "the CheckRequest cannot be read",
        ),
        (
            "at the limit",
            frame(0, &[0; 1000]),
            "the CheckRequest cannot be read",
        ),
        (
            "a byte over the limit",
            frame(0, &[0; 1001]),
            "the message is larger than 1000 bytes",
        ),
        (
            "far over the limit",
            frame(0, &[0; 100_000]),
            "the message is larger than 1000 bytes",
        ),
    ] {
        let answer = answer(&service(Mood::Now), call(full(&body))).await;
        assert_eq!(
            (answer.status, answer.code, answer.reason.as_str()),
            (200, Some(7), "malformed"),
            "{name}"
        );
        check_heard(name, &answer, &[&format!("refuse malformed {detail}")]);
    }
    // The empty message is a question about a connection of which nothing is known.
    let empty = answer(&service(Mood::Now), call(full(&frame(0, b"")))).await;
    assert_eq!(
        (empty.status, empty.code, empty.reason.as_str()),
        (200, Some(7), "no_permit")
    );
}

#[tokio::test]
async fn a_message_arrives_in_parts_or_not_at_all() {
    let whole: &'static [u8] = framed("/open").leak();
    let (head, rest) = whole.split_at(3);
    let reset = || Err(io::Error::other("the stream was reset"));
    for (name, body, code, reason, heard) in [
        ("two parts", vec![Ok(head), Ok(rest)], 0, "permitted", "now"),
        (
            "empty parts",
            vec![Ok(&b""[..]), Ok(whole), Ok(&b""[..])],
            0,
            "permitted",
            "now",
        ),
        (
            "broken off",
            vec![Ok(head), reset()],
            7,
            "malformed",
            "refuse malformed the message broke off",
        ),
        (
            "broken at once",
            vec![reset()],
            7,
            "malformed",
            "refuse malformed the message broke off",
        ),
        (
            "broken behind the end",
            vec![Ok(whole), reset()],
            7,
            "malformed",
            "refuse malformed the message broke off",
        ),
    ] {
        let answer = answer(&service(Mood::Now), call(parts(body))).await;
        assert_eq!(
            (answer.status, answer.code, answer.reason.as_str()),
            (200, Some(code), reason),
            "{name}"
        );
        check_heard(name, &answer, &[heard]);
    }
}

#[tokio::test]
async fn a_message_that_does_not_end_is_denied_in_time() {
    let mut service = service(Mood::Now);
    service.read_timeout = Duration::from_millis(20);
    let answer = answer(&service, call(unfinished(b"\0\0\0\0"))).await;
    assert_eq!(
        (answer.status, answer.code, answer.reason.as_str()),
        (200, Some(7), "timeout")
    );
    check_heard("unfinished", &answer, &["refuse timeout"]);
}

#[tokio::test]
async fn a_message_that_does_not_end_is_denied_while_the_caller_waits() {
    let mut service = service(Mood::Now);
    service.read_timeout = Duration::from_secs(3600);
    let mut call = call(unfinished(b"\0\0\0\0"));
    call.headers_mut()
        .insert("grpc-timeout", HeaderValue::from_static("50m"));
    let answer = answer(&service, call).await;
    assert_eq!(
        (answer.status, answer.code, answer.reason.as_str()),
        (200, Some(7), "timeout")
    );
}

#[tokio::test]
async fn the_timeout_of_the_caller_reaches_the_judge() {
    let nanos = |nanos| Some(Duration::from_nanos(nanos));
    let secs = |secs| Some(Duration::from_secs(secs));
    for (sent, expected) in [
        ("200m", Some(Duration::from_millis(200))),
        ("1S", secs(1)),
        ("2M", secs(120)),
        ("3H", secs(3 * 3600)),
        ("5u", nanos(5_000)),
        ("7n", nanos(7)),
        ("0m", secs(0)),
        ("00000200m", Some(Duration::from_millis(200))),
        ("99999999H", secs(99_999_999 * 3600)),
        // What the protocol does not allow says nothing.
        ("000000200m", None),
        ("999999999n", None),
        ("", None),
        ("m", None),
        ("200", None),
        ("200s", None),
        ("200ms", None),
        ("+1S", None),
        ("-1S", None),
        ("1.5S", None),
        (" 1S", None),
        ("1 S", None),
        ("0x1S", None),
    ] {
        let mut request = call(full(&framed("/open")));
        request
            .headers_mut()
            .insert("grpc-timeout", HeaderValue::from_static(sent));
        let answer = answer(&service(Mood::Later), request).await;
        assert_eq!(
            answer.heard,
            [format!("now {expected:?}"), format!("later {expected:?}")],
            "{sent:?}"
        );
    }
    let mut request = call(full(&framed("/open")));
    request
        .headers_mut()
        .insert("grpc-timeout", HeaderValue::from_bytes(b"\xff1S").unwrap());
    assert_eq!(answer(&service(Mood::Now), request).await.heard, ["now None"]);
    assert_eq!(
        answer(&service(Mood::Now), call(full(&framed("/open"))))
            .await
            .heard,
        ["now None"]
    );
}

#[tokio::test]
async fn what_finds_no_room_and_who_may_not_ask_are_denied() {
    let question = framed("/open");
    for (room, stranger, code, reason) in [
        (question.len(), None, 0, "permitted"),
        (question.len() - 1, None, 7, "overloaded"),
        (0, None, 7, "overloaded"),
        (question.len(), Some([192, 0, 2, 1].into()), 7, "strange_peer"),
    ] {
        let mut service = service(Mood::Now);
        service.listener.room = crate::Room::new(room);
        service.stranger = stranger;
        for _ in 0..2 {
            let answer = answer(&service, call(full(&question))).await;
            assert_eq!(
                (answer.code, answer.reason.as_str()),
                (Some(code), reason),
                "{room}"
            );
        }
    }
}
