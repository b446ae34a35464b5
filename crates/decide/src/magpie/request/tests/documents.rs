//! Documents that are no good, whatever they ask for.

use super::*;

const OPEN: &str =
    "<w:Execute xmlns:w='http://www.opengis.net/wps/1.0.0' xmlns:o='http://www.opengis.net/ows/1.1'";
const REST: &str = "><o:Identifier>a</o:Identifier></w:Execute>";

#[test]
fn documents_that_are_refused() {
    let good = format!("{OPEN}{REST}");
    let many = |count: usize| (0..count).map(|n| format!(" a{n}=''")).collect::<String>();
    let spaces = |count: usize| (0..count).map(|n| format!(" xmlns:a{n}='u'")).collect::<String>();
    let deep = |depth: usize| format!("{}{}", "<x>".repeat(depth), "</x>".repeat(depth));
    let within = |more: &str| good.replace("<o:", &format!("{more}<o:"));
    for (document, expected) in [
        (good.clone(), "/a:execute"),
        (format!("\u{feff}{good}"), "/a:execute"),
        (
            format!("<?xml version='1.0'?>\n<!-- x -->{good}\n<!-- y -->\n"),
            "/a:execute",
        ),
        (
            format!("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>{good}"),
            "/a:execute",
        ),
        (String::new(), "denied a POST, and the proxy…"),
        (" ".to_owned(), "400 the document is not complete"),
        ("<!-- -->".to_owned(), "400 the document is not complete"),
        (
            good.replace("</w:Execute>", ""),
            "400 the document is not complete",
        ),
        (
            good.replace("</w:Execute>", "</w:Execut>"),
            "400 the document is no XML…",
        ),
        (good.replace("</o:Identifier>", ""), "400 …"),
        (
            format!("{good}{good}"),
            "400 the document has two outermost elements",
        ),
        (
            format!("{good}<x/>"),
            "400 the document has two outermost elements",
        ),
        (format!("{good}x"), "400 text outside the document's element"),
        (format!("x{good}"), "400 text outside the document's element"),
        (
            format!("<![CDATA[x]]>{good}"),
            "400 text outside the document's element",
        ),
        (format!("&amp;{good}"), "400 text outside the document's element"),
        (
            format!("<!DOCTYPE Execute>{good}"),
            "400 the document has a document type",
        ),
        (
            format!("<!DOCTYPE x [<!ENTITY p SYSTEM 'file:///etc/passwd'>]>{good}"),
            "400 the document has a document type",
        ),
        (
            format!("<?xml-stylesheet href='a'?>{good}"),
            "400 the document has a processing instruction",
        ),
        (within("<?p?>"), "400 the document has a processing instruction"),
        (
            format!("<?xml version='1.1'?>{good}"),
            "400 the document does not declare…",
        ),
        (
            format!("<?xml version='1.0' encoding='utf-7'?>{good}"),
            "400 the document does not declare…",
        ),
        (
            format!("<?xml version='1.0' encoding='utf-16'?>{good}"),
            "400 the document does not declare…",
        ),
        (
            within("<?xml version='1.0'?>"),
            "400 the document does not declare…",
        ),
        (within("\u{0}"), "400 the document has control characters"),
        (within("\u{85}"), "400 the document has control characters"),
        (within("<!-- a -- b -->"), "400 the document is no XML…"),
        (
            within("<x a='1' a='2'/>"),
            "400 the document has attributes that are no XML",
        ),
        (
            within("<x a='&other;'/>"),
            "400 the document has attributes that are no XML",
        ),
        (within("<x a=1/>"), "400 …"),
        (within("&other;"), "/a:execute"),
        (
            within("<x xmlns:p=''/>"),
            "400 the document declares a prefix for no namespace",
        ),
        (
            within("<x xmlns:xmlns='u'/>"),
            "400 the document declares a reserved prefix",
        ),
        (
            within("<x xmlns:xml='u'/>"),
            "400 the document declares a reserved prefix",
        ),
        // A namespace ends with its element.
        (
            within("<x xmlns:p='u'/><p:y/>"),
            "400 the document has a prefix that it does not declare",
        ),
        (within("<x xmlns:w='u'><w:y/></x>"), "/a:execute"),
        (
            within("<o:Identifier xmlns:o='u'>b</o:Identifier>"),
            "400 an identifier that is not…",
        ),
        (within(&format!("<x{}/>", many(500))), "/a:execute"),
        (
            within(&format!("<x{}/>", many(2000))),
            "400 an element has very many attributes",
        ),
        (within(&format!("<x{}/>", spaces(126))), "/a:execute"),
        (
            within(&format!("<x{}/>", spaces(127))),
            "400 the document declares very many namespaces",
        ),
        (within(&deep(63)), "/a:execute"),
        (within(&deep(64)), "400 the document is very deep"),
        (
            within(&" ".repeat(1024 * 1024)),
            "400 a document of more than 1 MiB",
        ),
    ] {
        let asked = "POST /?request=Execute";
        let begin: String = document.chars().take(300).collect();
        let got = ask(
            &kind("wps"),
            asked,
            Some("text/xml"),
            RequestBody::Whole(document.as_bytes()),
        );
        same(&got, expected, &begin);
    }
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, expected) in [
        (&utf16[..], "400 the document has control characters"),
        (
            &[b"\xff", good.as_bytes()].concat(),
            "400 the document is not UTF-8",
        ),
    ] {
        let got = ask(&kind("wps"), "POST /", Some("text/xml"), RequestBody::Whole(body));
        same(&got, expected, "bytes");
    }
}
