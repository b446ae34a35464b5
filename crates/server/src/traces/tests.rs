use super::*;

#[test]
fn a_traceparent_is_read_strictly() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    for (text, expected) in [
        (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
        (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
        (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
        (format!("cc-{TRACE}-{SPAN}-01-what-comes"), Some(true)),
        (format!("cc-{TRACE}-{SPAN}-01"), Some(true)),
        (format!("00-{TRACE}-{SPAN}-01-more"), None),
        (format!("ff-{TRACE}-{SPAN}-01"), None),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), None),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
        (format!("00-{TRACE}-{SPAN}-0g"), None),
        (format!("00-{TRACE}-{SPAN}-1"), None),
        (format!("00-{TRACE}-{SPAN}"), None),
        (format!("00-{SPAN}-{TRACE}-01"), None),
        (format!(" 00-{TRACE}-{SPAN}-01"), None),
        ("00-é".to_owned(), None),
        (String::new(), None),
    ] {
        let parent = Parent::parse(&text);
        assert_eq!(parent.map(|parent| parent.is_sampled), expected, "{text}");
        if let Some(parent) = parent {
            assert_eq!(parent.trace_id.to_string(), TRACE);
            assert_eq!(parent.span_id.to_string(), SPAN);
        }
    }
}
