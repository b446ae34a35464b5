use super::*;

#[test]
fn queries() {
    for (asked, expected) in [
        ("GET /?service=WPS&request=GetCapabilities", ":getcapabilities"),
        // GetCapabilities is about the service, whatever else it says.
        (
            "GET /?service=WPS&request=GETCAPABILITIES&identifier=Process2",
            ":getcapabilities",
        ),
        (
            "GET /?service=WPS&request=DescribeProcess&identifier=Process1",
            "/Process1:describeprocess",
        ),
        (
            "GET /?service=WPS&request=EXECUTE&identifier=Process1",
            "/Process1:execute",
        ),
        (
            "GET /?SERVICE=wps&REQUEST=execute&IDENTIFIER=Process1",
            "/Process1:execute",
        ),
        ("GET /?request=execute&identifier=Process1", "/Process1:execute"),
        ("HEAD /wps?request=execute&identifier=a%3Ab", "/a:b:execute"),
        ("GET /?request=execute&identifier=process1", "/process1:execute"),
        // None is named: decided on the service, for something below it.
        ("GET /?service=WPS&request=DescribeProcess", "/*:describeprocess"),
        ("GET /?service=WPS&request=EXECUTE", "/*:execute"),
        (
            "GET /?request=DescribeProcess&identifier=a,b,a",
            "/a:describeprocess /b:describeprocess",
        ),
        (
            "GET /?request=DescribeProcess&identifier=a,ALL",
            "/a:describeprocess /**:describeprocess",
        ),
        (
            "GET /?request=Execute&identifier=a,b",
            "400 `identifier` has the name `a,b`",
        ),
        (
            "GET /?request=Execute&identifier=",
            "400 `identifier` has the name ``",
        ),
        (
            "GET /?request=Execute&identifier",
            "400 `identifier` has the name ``",
        ),
        (
            "GET /?request=DescribeProcess&identifier=a,,b",
            "400 `identifier` has the name ``",
        ),
        (
            "GET /?request=DescribeProcess&identifier=a,+b",
            "400 `identifier` has the name ` b`",
        ),
        (
            "GET /?request=Execute&identifier=a%00",
            "400 `identifier` has the name `a\\0`",
        ),
        ("GET /", "400 there is no parameter `request`"),
        (
            "GET /?service=WPS&identifier=a",
            "400 there is no parameter `request`",
        ),
        ("GET /?request=", "400 there is no permission for the request ``"),
        (
            "GET /?request=GetMap",
            "denied services of this type have no permission `getmap`",
        ),
        (
            "GET /?request=GetStatus&jobid=1",
            "400 there is no permission for the request `GetStatus`",
        ),
        ("GET /?request=%20Execute", "400 there is no permission…"),
        (
            "GET /?service=WFS&request=Execute&identifier=a",
            "400 `service` is `WFS` at a service of type WPS",
        ),
        // What two readers could take differently.
        (
            "GET /?request=GetCapabilities&request=Execute",
            "400 the query has `request` several times",
        ),
        (
            "GET /?request=GetCapabilities&REQUEST=GetCapabilities",
            "400 the query has `request` several times",
        ),
        (
            "GET /?request=GetCapabilities&re%71uest=Execute",
            "400 the query has `request` several times",
        ),
        (
            "GET /?x=1&X=2&request=GetCapabilities",
            "400 the query has `x` several times",
        ),
        (
            "GET /?request=GetCapabilities&reque%C5%BFt=Execute",
            "400 the query has a parameter called `requeſt`",
        ),
        (
            "GET /?request=GetCapabilities&request%00=Execute",
            "400 the query has a parameter called `request\\0`",
        ),
        (
            "GET /?request=GetCapabilities&+request=Execute",
            "400 the query has a parameter called ` request`",
        ),
        (
            "GET /?request=GetCapabilities;request=Execute",
            "400 the query has a `;`",
        ),
        (
            "GET /?request=Execute&identifier=%FF",
            "400 the query has escapes…",
        ),
        (
            "GET /?request=Execute&identifier=%zz",
            "400 the query has escapes…",
        ),
        ("GET /?request=Execute&identifier=%2562", "/%62:execute"),
        // GeoServer asks itself with its own rights.
        (
            "GET /?request=Execute&identifier=a&datainputs=f=@href=http%3A//GeoServer/wfs%3Frequest=GetFeature",
            "denied an input is a request…",
        ),
        (
            "GET /?request=Execute&identifier=a&datainputs=f=@href=http%253A%252F%252Fgeoserver%252Fwfs",
            "denied an input is a request…",
        ),
        // Methods and bodies.
        (
            "POST /?request=Execute&identifier=a",
            "denied a POST, and the proxy did not pass its body on",
        ),
        (
            "PUT /?request=Execute&identifier=a",
            "denied PUT asks for nothing here",
        ),
        (
            "OPTIONS /?request=GetCapabilities",
            "denied OPTIONS asks for nothing here",
        ),
        (
            "get /?request=GetCapabilities",
            "denied get asks for nothing here",
        ),
    ] {
        check(&kind("wps"), asked, expected);
    }
    let many: Vec<String> = (0..257).map(|number| format!("p{number}")).collect();
    let asked = format!("GET /?request=DescribeProcess&identifier={}", many.join(","));
    check(&kind("wps"), &asked, "400 more than 256 names");
}

#[test]
fn bodies_that_are_no_document() {
    let form: &[u8] = b"service=WPS&request=Execute&identifier=Process3";
    let both: &[u8] = b"<Execute/><!--&request=Execute&identifier=Process3-->";
    let execute = "POST /?request=Execute&identifier=a";
    for (asked, content_type, body, expected) in [
        (
            execute,
            None,
            RequestBody::Whole(b""),
            "denied a POST, and the proxy did not pass its body on",
        ),
        (
            "GET /?request=Execute&identifier=a",
            None,
            RequestBody::Whole(b""),
            "/a:execute",
        ),
        (
            "GET /?request=Execute&identifier=a",
            None,
            RequestBody::Whole(form),
            "400 a GET with a body",
        ),
        (
            "HEAD /?request=Execute&identifier=a",
            None,
            RequestBody::Truncated,
            "400 a HEAD with a body",
        ),
        (
            execute,
            Some("text/xml"),
            RequestBody::Truncated,
            "denied the proxy passed on only…",
        ),
        (
            execute,
            Some("application/x-www-form-urlencoded"),
            RequestBody::Whole(form),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("application/x-www-form-urlencoded"),
            RequestBody::Whole(both),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("text/plain"),
            RequestBody::Whole(both),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("text/xml; charset=utf-7"),
            RequestBody::Whole(both),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("text/xml, text/plain"),
            RequestBody::Whole(both),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("text/html+xml"),
            RequestBody::Whole(both),
            "denied bodies of type…",
        ),
        (
            execute,
            Some("application/json"),
            RequestBody::Whole(b"{}"),
            "denied bodies of type…",
        ),
        (
            execute,
            None,
            RequestBody::Whole(both),
            "denied a body without a type",
        ),
        (
            execute,
            Some("text/xml"),
            RequestBody::Whole(form),
            "400 text outside…",
        ),
        (
            execute,
            Some("application/gml+xml; subtype=gml/3.1"),
            RequestBody::Whole(both),
            "denied the document is no request…",
        ),
        (
            execute,
            Some("Text/XML;charset=\"UTF-8\""),
            RequestBody::Whole(both),
            "denied the document is no request…",
        ),
    ] {
        same(&ask(&kind("wps"), asked, content_type, body), expected, asked);
    }
}

/// An Execute of `process` in WPS 1.0, as GeoServer's documentation has it.
fn execute(process: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<wps:Execute version="1.0.0" service="WPS" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns="http://www.opengis.net/wps/1.0.0" xmlns:ows="http://www.opengis.net/ows/1.1"
    xmlns:xlink="http://www.w3.org/1999/xlink">
  {process}
  <wps:DataInputs>
    <wps:Input>
      <ows:Identifier>geom</ows:Identifier>
      <wps:Data><wps:ComplexData mimeType="application/wkt"><![CDATA[POINT(0 0)]]></wps:ComplexData></wps:Data>
    </wps:Input>
  </wps:DataInputs>
  <wps:ResponseForm><wps:RawDataOutput><ows:Identifier>result</ows:Identifier></wps:RawDataOutput></wps:ResponseForm>
</wps:Execute>"#
    )
}

#[test]
fn documents() {
    let inner = |input: &str| {
        let input = format!("</wps:DataInputs>{input}<wps:DataInputs>");
        execute("<ows:Identifier>a</ows:Identifier>")
            .replace("</wps:DataInputs>", &format!("{input}</wps:DataInputs>"))
    };
    for (process, expected) in [
        ("<ows:Identifier>Process2</ows:Identifier>", "/Process2:execute"),
        (
            "<ows:Identifier>\n Process3\t</ows:Identifier>",
            "/Process3:execute",
        ),
        (
            "<ows:Identifier><![CDATA[gs:Bounds]]></ows:Identifier>",
            "/gs:Bounds:execute",
        ),
        (
            "<!-- a --><ows:Identifier xmlns:ows='http://www.opengis.net/ows/1.1'>a</ows:Identifier>",
            "/a:execute",
        ),
        // Only the process' own identifier counts.
        ("", "400 the document names no process"),
        (
            "<x><ows:Identifier>a</ows:Identifier></x>",
            "400 the document names no process",
        ),
        (
            "<ows:Identifier>a</ows:Identifier><ows:Identifier>b</ows:Identifier>",
            "400 the document executes two processes",
        ),
        (
            "<Identifier>a</Identifier><ows:Identifier>b</ows:Identifier>",
            "400 an identifier that is not…",
        ),
        (
            "<ows:identifier>a</ows:identifier><ows:Identifier>b</ows:Identifier>",
            "400 an identifier that is not…",
        ),
        (
            "<ows:Identifier>a<!-- -->b</ows:Identifier>",
            "400 a name that is not one plain text",
        ),
        (
            "<ows:Identifier><!-- -->b</ows:Identifier>",
            "400 a name that is no plain text",
        ),
        (
            "<ows:Identifier>a<b/></ows:Identifier>",
            "400 a name that is not one plain text",
        ),
        (
            "<ows:Identifier>a&amp;b</ows:Identifier>",
            "400 a name that is not one plain text",
        ),
        (
            "<ows:Identifier>&#97;b</ows:Identifier>",
            "400 a name that is no plain text",
        ),
        (
            "<ows:Identifier>a,b</ows:Identifier>",
            "400 `Identifier` has the name `a,b`",
        ),
        (
            "<ows:Identifier> </ows:Identifier>",
            "400 `Identifier` has the name ``",
        ),
        ("<ows:Identifier/>", "400 a name that is no plain text"),
        (
            "<o:Identifier>a</o:Identifier>",
            "400 the document has a prefix that it does not declare",
        ),
        ("<ows:Identifier>all</ows:Identifier>", "/**:execute"),
    ] {
        check_body(&kind("wps"), "POST /", &execute(process), expected);
    }
    let one = execute("<ows:Identifier>a</ows:Identifier>");
    for (asked, expected) in [
        ("POST /?service=WPS&request=execute&version=1.0.0", "/a:execute"),
        (
            "POST /?request=GetCapabilities",
            "400 the query asks for something else than the document",
        ),
        (
            "POST /?service=WFS",
            "400 `service` is `WFS` at a service of type WPS",
        ),
        (
            "POST /?identifier=b",
            "400 `identifier` is in the query, and there is a document",
        ),
        ("POST /?x=1&x=2", "400 the query has `x` several times"),
        ("GET /", "400 a GET with a body"),
        ("PUT /", "denied PUT…"),
    ] {
        check_body(&kind("wps"), asked, &one, expected);
    }
    for (document, expected) in [
        (
            one.replace("wps/1.0.0", "wps/3.0"),
            "denied the document is no request of WPS 1.0 or 2.0",
        ),
        (
            one.replace("wps/1.0.0", "wps/2.0"),
            "400 an identifier that is not…",
        ),
        (
            one.replace("wps/1.0.0", "wps/2.0").replace("ows/1.1", "ows/2.0"),
            "/a:execute",
        ),
        (
            one.replace("service=\"WPS\"", "service=\"WFS\""),
            "400 the document is for another service",
        ),
        (
            one.replace("wps:Execute", "wps:GetCapabilities"),
            ":getcapabilities",
        ),
        (
            one.replace("wps:Execute", "wps:DescribeProcess"),
            "/a:describeprocess",
        ),
        (
            execute("<ows:Identifier>a</ows:Identifier><ows:Identifier>b</ows:Identifier>")
                .replace("wps:Execute", "wps:DescribeProcess"),
            "/a:describeprocess /b:describeprocess",
        ),
        (
            one.replace("wps:Execute", "wps:Dismiss"),
            "400 there is no permission for the request `Dismiss`",
        ),
        // A process as the input of another, and GeoServer's own services as input.
        (
            inner("<wps:Reference><wps:Body><wps:Execute/></wps:Body></wps:Reference>"),
            "denied an input is…",
        ),
        (
            inner("<wps:Body><w:GetFeature xmlns:w='http://www.opengis.net/wfs'/></wps:Body>"),
            "denied an input is…",
        ),
        (
            inner("<wps:Reference xlink:href='http://GEOSERVER/wfs'/>"),
            "denied an input is…",
        ),
        (
            inner("<wps:Reference xlink:href='http://&#103;eoserver/wfs'/>"),
            "denied an input is…",
        ),
        (
            inner("<wps:Reference xlink:href='http://elsewhere/wfs'/>"),
            "/a:execute",
        ),
    ] {
        check_body(&kind("wps"), "POST /", &document, expected);
    }
}
