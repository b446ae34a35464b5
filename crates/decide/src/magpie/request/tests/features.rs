use super::*;

#[test]
fn queries() {
    let known = serde_json::json!({"namespaces": {"http://topp": "topp"}});
    let (bare, known) = (kind("wfs"), configured("wfs", known));
    for (asked, expected) in [
        (
            "GET /?service=WFS&request=GetCapabilities&typenames=a",
            ":getcapabilities",
        ),
        ("GET /?request=GetFeature&typenames=a", "/a:getfeature"),
        ("GET /?request=GetFeature&typename=topp:a", "/topp:a:getfeature"),
        (
            "GET /?request=GetFeature&typeNames=a,b",
            "/a:getfeature /b:getfeature",
        ),
        (
            "GET /?request=GetFeature&typeName=a&typeNames=b",
            "/b:getfeature /a:getfeature",
        ),
        (
            "GET /?request=GetFeature&typeName=a&featureid=b.1",
            "/a:getfeature",
        ),
        (
            "GET /?request=GetPropertyValue&typenames=a&valuereference=x",
            "/a:getpropertyvalue",
        ),
        (
            "GET /?request=GetFeatureWithLock&typenames=a",
            "/a:getfeaturewithlock",
        ),
        ("GET /?request=LockFeature&typename=a", "/a:lockfeature"),
        (
            "GET /?request=DescribeFeatureType&typename=a,b",
            "/a:describefeaturetype /b:describefeaturetype",
        ),
        (
            "GET /?request=Transaction&operation=Delete&typename=a",
            "/a:transaction",
        ),
        ("GET /?request=ListStoredQueries", ":liststoredqueries"),
        (
            "GET /?request=DescribeStoredQueries&storedquery_id=x",
            ":describestoredqueries",
        ),
        ("GET /?request=DropStoredQuery&id=x", ":dropstoredquery"),
        // Never decided on the service alone because nothing is named.
        ("GET /?request=GetFeature", "/**:getfeature"),
        ("GET /?request=DescribeFeatureType", "/**:describefeaturetype"),
        ("GET /?request=GetFeature&featureid=a.1", "/**:getfeature"),
        ("GET /?request=GetFeature&resourceid=a.1", "/**:getfeature"),
        ("GET /?request=LockFeature&lockid=1", "/**:lockfeature"),
        (
            "GET /?request=GetFeature&storedquery_id=urn:x&id=a.1",
            "/**:getfeature",
        ),
        (
            "GET /?request=GetFeature&typenames=a&STOREDQUERY_ID=urn:x",
            "/a:getfeature /**:getfeature",
        ),
        ("GET /?request=GetGmlObject&gmlobjectid=a.1", "/**:getgmlobject"),
        ("GET /?request=GetFeature&layers=a", "/**:getfeature"),
        (
            "GET /?request=GetFeature&typenames=",
            "400 `typenames` has the name ``",
        ),
        (
            "GET /?request=GetFeature&typenames=a,,b",
            "400 `typenames` has the name ``",
        ),
        (
            "GET /?request=GetFeature&typenames=(a)(b)",
            "400 `typenames` has the name `(a)(b)`",
        ),
        (
            "GET /?request=GetFeature&typenames=*",
            "400 `typenames` has the name `*`",
        ),
        (
            "GET /?request=GetFeature&typenames=a:b:c",
            "400 `a:b:c` is no name of a feature type",
        ),
        (
            "GET /?request=GetFeature&typenames=:b",
            "400 `a prefix` has the name ``",
        ),
        (
            "GET /?request=GetFeature&typenames=b:",
            "400 `a feature type` has the name ``",
        ),
        (
            "GET /?request=GetFeature&typenames=a&TypeNames=b",
            "400 the query has `typenames` several times",
        ),
        (
            "GET /?request=GetMap&typenames=a",
            "denied services of this type have no permission `getmap`",
        ),
        (
            "GET /?request=GetFeature&service=WMS&typenames=a",
            "400 `service` is `WMS`…",
        ),
    ] {
        check(&bare, asked, expected);
        check(&known, asked, expected);
    }
    // What a prefix stands for is the request's word, until the configuration knows the namespace.
    for (asked, of_bare, of_known) in [
        (
            "GET /?request=GetFeature&typenames=public:a&namespaces=xmlns(public,http%3A//topp)",
            "/**:getfeature",
            "/topp:a:getfeature",
        ),
        (
            "GET /?request=GetFeature&typenames=a,b:c&namespace=xmlns(http://topp),xmlns(b=http://topp)",
            "/**:getfeature",
            "/topp:a:getfeature /topp:c:getfeature",
        ),
        (
            "GET /?request=GetFeature&typenames=b:c&namespaces=xmlns(b,http://other)",
            "/**:getfeature",
            "/**:getfeature",
        ),
        (
            "GET /?request=GetFeature&typenames=b:c&namespaces=xmlns(d,http://other)",
            "/b:c:getfeature",
            "/b:c:getfeature",
        ),
        (
            "GET /?request=GetFeature&typenames=b:c&namespaces=xmlns(b,http://topp),xmlns(b,http://other)",
            "400 `namespaces` is…",
            "400 `namespaces` is…",
        ),
        (
            "GET /?request=GetFeature&typenames=b:c&namespaces=xmlns(b,http://topp),",
            "400 `namespaces` is…",
            "400 `namespaces` is…",
        ),
        (
            "GET /?request=GetFeature&typenames=b:c&namespaces=XMLNS(b,http://topp)",
            "400 `namespaces` is…",
            "400 `namespaces` is…",
        ),
    ] {
        check(&bare, asked, of_bare);
        check(&known, asked, of_known);
    }
}

#[test]
fn documents() {
    let known = configured(
        "wfs",
        serde_json::json!({"namespaces": {"http://topp": "topp", "http://o": "o"}}),
    );
    let of = |operation: &str, attributes: &str, inside: &str| {
        format!(
            "<wfs:{operation} service='WFS' xmlns:wfs='http://www.opengis.net/wfs' xmlns:ogc='http://www.opengis.net/ogc' \
             xmlns:topp='http://topp' xmlns:o='http://o' xmlns:x='http://x' {attributes}>{inside}</wfs:{operation}>"
        )
    };
    for (operation, attributes, inside, expected) in [
        ("GetCapabilities", "", "", ":getcapabilities"),
        ("GetFeature", "", "<wfs:Query typeName='a'/>", "/a:getfeature"),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='topp:a'><ogc:Filter/></wfs:Query>",
            "/topp:a:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='topp:a'/><wfs:Query typeName='o:b'/>",
            "/topp:a:getfeature /o:b:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='topp:a,o:b'/>",
            "/topp:a:getfeature /o:b:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeNames='topp:a o:b'/>",
            "/topp:a:getfeature /o:b:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='a' typeNames='b'/>",
            "/a:getfeature /b:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='topp&#58;a'/>",
            "/topp:a:getfeature",
        ),
        // The prefix of the request is not the name of the workspace.
        (
            "GetFeature",
            "xmlns:public='http://topp'",
            "<wfs:Query typeName='public:a'/>",
            "/topp:a:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query xmlns:o='http://topp' typeName='o:a'/>",
            "/topp:a:getfeature",
        ),
        (
            "GetFeature",
            "xmlns='http://topp'",
            "<wfs:Query typeName='a'/>",
            "/topp:a:getfeature",
        ),
        (
            "GetFeature",
            "xmlns='http://www.opengis.net/wfs'",
            "<Query typeName='a'/>",
            "/a:getfeature",
        ),
        ("GetFeature", "", "<wfs:Query typeName='x:a'/>", "/**:getfeature"),
        (
            "GetFeature",
            "xmlns='http://x'",
            "<wfs:Query typeName='a'/>",
            "/**:getfeature",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='unbound:a'/>",
            "/unbound:a:getfeature",
        ),
        ("GetFeature", "", "", "/**:getfeature"),
        (
            "GetFeature",
            "",
            "<wfs:Query/>",
            "400 `Query` names no feature type",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typename='a'/>",
            "400 `Query` names no feature type",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName=''/>",
            "400 `typeName` has the name ``",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='a  b'/>",
            "400 `typeName` has the name ``",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeNames='schema-element(a)'/>",
            "400 `typeName` has the name `schema-element(a)`",
        ),
        ("GetFeature", "", "<wfs:StoredQuery id='x'/>", "/**:getfeature"),
        (
            "GetFeature",
            "",
            "<Query typeName='a'/>",
            "denied which feature types `Query`…",
        ),
        (
            "GetFeature",
            "",
            "<wfs:Query typeName='a'/><ogc:FeatureId fid='b.1'/>",
            "/a:getfeature /**:getfeature",
        ),
        (
            "GetFeatureWithLock",
            "",
            "<wfs:Query typeName='a'/>",
            "/a:getfeaturewithlock",
        ),
        (
            "LockFeature",
            "",
            "<wfs:Lock typeName='a'/><wfs:Query typeNames='b'/>",
            "/a:lockfeature /b:lockfeature",
        ),
        (
            "GetPropertyValue",
            "",
            "<wfs:Query typeNames='a'/>",
            "/a:getpropertyvalue",
        ),
        (
            "DescribeFeatureType",
            "",
            "<wfs:TypeName>topp:a</wfs:TypeName>",
            "/topp:a:describefeaturetype",
        ),
        ("DescribeFeatureType", "", "", "/**:describefeaturetype"),
        (
            "DescribeFeatureType",
            "",
            "<wfs:TypeName>a<!-- -->b</wfs:TypeName>",
            "400 a name that is not one plain text",
        ),
        ("GetGmlObject", "", "<ogc:GmlObjectId/>", "/**:getgmlobject"),
        ("ListStoredQueries", "", "", ":liststoredqueries"),
        (
            "CreateStoredQuery",
            "",
            "<wfs:StoredQueryDefinition><wfs:Query typeName='x:a'/></wfs:StoredQueryDefinition>",
            ":createstoredquery",
        ),
        (
            "Transaction",
            "",
            "<wfs:LockId>1</wfs:LockId><wfs:Insert><topp:a><topp:b/></topp:a><o:c/></wfs:Insert>\
             <wfs:Update typeName='topp:d'><wfs:Property/></wfs:Update><wfs:Delete typeName='e'><ogc:Filter/></wfs:Delete>",
            "/topp:a:transaction /o:c:transaction /topp:d:transaction /e:transaction",
        ),
        (
            "Transaction",
            "",
            "<wfs:Replace><topp:a/><ogc:Filter/></wfs:Replace>",
            "/topp:a:transaction",
        ),
        (
            "Transaction",
            "",
            "<wfs:Insert><x:a/></wfs:Insert>",
            "/**:transaction",
        ),
        (
            "Transaction",
            "",
            "<wfs:Insert><wfs:FeatureCollection/></wfs:Insert>",
            "/**:transaction",
        ),
        (
            "Transaction",
            "",
            "<wfs:Insert><a/></wfs:Insert>",
            "/a:transaction",
        ),
        ("Transaction", "", "<wfs:Insert/>", "/**:transaction"),
        (
            "Transaction",
            "",
            "<wfs:Native vendorId='v'/><wfs:Delete typeName='a'/>",
            "denied which feature types `Native`…",
        ),
        (
            "Transaction",
            "",
            "<wfs:Query typeName='a'/>",
            "denied which feature types `Query`…",
        ),
        (
            "Transaction",
            "",
            "<wfs:Delete/>",
            "400 `Delete` names no feature type",
        ),
        (
            "Explain",
            "",
            "",
            "400 there is no permission for the request `Explain`",
        ),
        (
            "GetMap",
            "",
            "",
            "denied services of this type have no permission `getmap`",
        ),
    ] {
        check_body(&known, "POST /", &of(operation, attributes, inside), expected);
        let newer = of(operation, attributes, inside)
            .replace("www.opengis.net/wfs", "www.opengis.net/wfs/2.0")
            .replace("www.opengis.net/ogc", "www.opengis.net/fes/2.0");
        check_body(&known, "POST /", &newer, expected);
    }
    let one = of("GetFeature", "", "<wfs:Query typeName='topp:a'/>");
    for (asked, document, expected) in [
        (
            "POST /?request=GetFeature&service=wfs&version=1.1.0",
            one.clone(),
            "/topp:a:getfeature",
        ),
        (
            "POST /?request=GetCapabilities",
            one.clone(),
            "400 the query asks for something else…",
        ),
        (
            "POST /?typenames=topp:b",
            one.clone(),
            "400 `typenames` is in the query, and there is a document",
        ),
        (
            "POST /?featureid=b.1",
            one.clone(),
            "400 `featureid` is in the query, and there is a document",
        ),
        (
            "POST /?namespaces=xmlns(topp,http://o)",
            one.clone(),
            "400 `namespaces` is in the query…",
        ),
        (
            "POST /",
            one.replace("net/wfs'", "net/wfs/3.0'"),
            "denied the document is no request of WFS 1.0 to 2.0",
        ),
        (
            "POST /",
            one.replace("'WFS'", "'WPS'"),
            "400 the document is for another service",
        ),
    ] {
        check_body(&known, asked, &document, expected);
    }
    let insert = |features: &str| of("Transaction", "", &format!("<wfs:Insert>{features}</wfs:Insert>"));
    let different = |count: usize| -> String { (0..count).map(|number| format!("<o:a{number}/>")).collect() };
    // However many features there are, types count once.
    check_body(
        &known,
        "POST /",
        &insert(&"<o:a/>".repeat(3000)),
        "/o:a:transaction",
    );
    check_body(
        &known,
        "POST /",
        &insert(&different(256)),
        "/o:a0:transaction /o:a1…",
    );
    check_body(
        &known,
        "POST /",
        &insert(&different(257)),
        "400 more than 256 names",
    );
}
