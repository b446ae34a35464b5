use super::*;

#[test]
fn one_service_alone() {
    let (wms, wfs, wps) = (kind("geoserverwms"), kind("geoserverwfs"), kind("geoserverwps"));
    for (kind, asked, expected) in [
        // GetCapabilities is decided on the service, as something below it if the path has a workspace.
        (&wms, "GET /wms?request=getcapabilities", ":getcapabilities"),
        (&wms, "GET /ws1/wms?request=getcapabilities", "/*:getcapabilities"),
        (&wms, "GET /wms?request=getmap&layers=ws1:L", "/ws1/L:getmap"),
        (&wms, "GET /ws1/wms?request=getmap&layers=ws1:L", "/ws1/L:getmap"),
        (&wms, "GET /ws1/WMS?request=getmap&layers=L", "/ws1/L:getmap"),
        (
            &wms,
            "GET /ws1/ows?service=WMS&request=getmap&layers=L",
            "/ws1/L:getmap",
        ),
        (&wms, "GET ?request=getmap&layers=ws1:L", "/ws1/L:getmap"),
        (
            &wms,
            "GET /ws1/wms?request=GetLegendGraphic&layer=L",
            "/ws1/L:getlegendgraphic",
        ),
        // Another workspace than that of the path, or none: decided on the service.
        (&wms, "GET /ws1/wms?request=getmap&layers=ws2:L", "/**:getmap"),
        (&wms, "GET /ws1/wms?request=getmap&layers=WS1:L", "/**:getmap"),
        (&wms, "GET /wms?request=getmap&layers=L", "/**:getmap"),
        (
            &wms,
            "GET /wms?request=getmap&layers=ws1:L,M",
            "/ws1/L:getmap /**:getmap",
        ),
        (
            &wms,
            "GET /wms?request=getmap&layers=M,ws1:L,ws2:L",
            "/**:getmap /ws1/L:getmap /ws2/L:getmap",
        ),
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=ws1:L,M",
            "/ws1/L:getmap /ws1/M:getmap",
        ),
        (&wms, "GET /ws1/wms?request=getmap", "/ws1/*:getmap"),
        (&wms, "GET /wms?request=getmap", "/*:getmap"),
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=a:b:c",
            "400 `a:b:c` is no name of a layer",
        ),
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=:c",
            "400 `a workspace` has the name ``",
        ),
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=ws1:",
            "400 `a layer` has the name ``",
        ),
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=ws1:%20c",
            "400 `a layer` has the name ` c`",
        ),
        // Beside layers, a style sheet only says how they look.
        (
            &wms,
            "GET /ws1/wms?request=getmap&layers=L&sld=x",
            "/ws1/L:getmap",
        ),
        (&wms, "GET /ws1/wms?request=getmap&sld_body=x", "/ws1/**:getmap"),
        // Other paths.
        (
            &wms,
            "GET /wfs?request=getmap&layers=ws1:L",
            "denied the service has no Wfs",
        ),
        (
            &wms,
            "GET /ws1/wfs?service=WMS&request=getmap&layers=L",
            "denied the service has no Wfs",
        ),
        (
            &wms,
            "GET /ws1?request=getmap&layers=L",
            "denied the path does not end in…",
        ),
        (
            &wms,
            "GET /ws1/L/wms?request=getmap",
            "denied the path goes through more than a workspace",
        ),
        (
            &wms,
            "GET /wms/reflect?layers=ws1:L",
            "denied the path does not end in…",
        ),
        (
            &wms,
            "GET /wfs/wms?request=getmap&layers=L",
            "denied the path goes through two services",
        ),
        (
            &wfs,
            "GET /wfs?request=GetFeature&typenames=ws1:L",
            "/ws1/L:getfeature",
        ),
        (
            &wfs,
            "GET /wfs?request=GetFeature&typename=ws1:L&typenames=ws1:L",
            "/ws1/L:getfeature",
        ),
        (
            &wfs,
            "GET /ws1/wfs?request=GetFeature&typenames=L,ws2:M",
            "/ws1/L:getfeature /**:getfeature",
        ),
        (&wfs, "GET /ws1/wfs?request=GetFeature", "/ws1/**:getfeature"),
        (
            &wfs,
            "GET /ws1/wfs?request=GetFeature&featureid=L.1",
            "/ws1/**:getfeature",
        ),
        (
            &wfs,
            "GET /ws1/wfs?request=ListStoredQueries",
            "/ws1/*:liststoredqueries",
        ),
        (&wfs, "GET /wfs?request=ListStoredQueries", "/*:liststoredqueries"),
        // A process' workspace is in the path only.
        (
            &wps,
            "GET /ws1/wps?request=DescribeProcess&identifier=p,gs:q",
            "/ws1/p:describeprocess /ws1/gs:q:describeprocess",
        ),
        (
            &wps,
            "GET /wps?request=DescribeProcess&identifier=ws1:p",
            "/**:describeprocess",
        ),
        (&wps, "GET /ws1/wps?request=Execute", "/ws1/*:execute"),
    ] {
        check(kind, asked, expected);
        check(kind, &asked.replacen(" /", " /geoserver/", 1), expected);
    }
    let api = kind("geoserverapi");
    for (asked, expected) in [
        ("GET /rest/workspaces", "/rest/workspaces:read"),
        ("OPTIONS /geoserver/rest", "/rest:write"),
        ("GET /", ":read"),
        ("GET /wms?request=GetMap", "denied the service has no Wms"),
        (
            "GET /rest?request=GetMap",
            "denied an OGC request where none is read",
        ),
    ] {
        check(&api, asked, expected);
    }
}

#[test]
fn all_services_at_once() {
    let all = kind("geoserver");
    let some = configured("geoserver", serde_json::json!({"wps": false, "api": false}));
    for (asked, expected) in [
        ("GET /wms?request=GetCapabilities", ":getcapabilities"),
        ("GET /wfs?request=GetCapabilities", ":getcapabilities"),
        ("GET /w1/wfs?request=GetCapabilities", "/*:getcapabilities"),
        (
            "GET /ows?service=wfs&request=GetFeature&typenames=w1:L",
            "/w1/L:getfeature",
        ),
        (
            "GET /w1/ows?service=WMS&request=GetFeatureInfo&layers=L",
            "/w1/L:getfeatureinfo",
        ),
        (
            "GET ?service=wfs&request=GetFeature&typenames=w1:L",
            "/w1/L:getfeature",
        ),
        (
            "GET /wfs?request=GetFeature&typeNames=w1:L1,w1:L2",
            "/w1/L1:getfeature /w1/L2:getfeature",
        ),
        (
            "GET /wfs?request=GetFeature&typeNames=w1:L1,w1:L1",
            "/w1/L1:getfeature",
        ),
        (
            "GET /w1/wfs?request=GetFeature&typeNames=w1:L1,w2:L1",
            "/w1/L1:getfeature /**:getfeature",
        ),
        ("GET /wx/wfs?request=GetFeature&typeNames=w1:L1", "/**:getfeature"),
        ("GET /wms?request=GetMap&layers=w1:L2", "/w1/L2:getmap"),
        ("GET /w1/wms?request=GetMap&layers=L2", "/w1/L2:getmap"),
        ("GET /wms?request=GetFeatureInfo&layers=w1", "/**:getfeatureinfo"),
        // One service's permission at another, and one's parameters.
        (
            "GET /wms?request=GetFeature&layers=w1:L1",
            "denied services of this type have no permission `getfeature`",
        ),
        (
            "GET /w1/wps?request=GetFeature&typeNames=L1",
            "denied services of this type have no permission `getfeature`",
        ),
        ("GET /wms?request=GetMap&typeNames=w1:L1", "/*:getmap"),
        ("GET /w1/wms?request=GetMap&typeNames=w1:L1", "/w1/*:getmap"),
        ("GET /w1/wfs?request=GetFeature&layers=w1:L1", "/w1/**:getfeature"),
        // The path says one service, `service` another.
        (
            "GET /wms?service=WFS&request=GetFeature&typenames=w1:L1",
            "400 `service` is `WFS`…",
        ),
        (
            "GET /ows?request=GetFeature&typenames=w1:L1",
            "400 neither the path nor `service`…",
        ),
        (
            "GET /ows?service=WCS&request=GetCoverage",
            "denied `service` is `WCS`",
        ),
        (
            "GET /ows?service=WFS&SERVICE=WMS&request=GetMap",
            "400 the query has `service` several times",
        ),
    ] {
        for kind in [&all, &some] {
            if !asked.contains("/wps") {
                check(kind, asked, expected);
            }
        }
        check(&all, &asked.replacen(" /", " /GeoServer/", 1), expected);
    }
    for (asked, of_all, of_some) in [
        (
            "GET /w1/wps?request=DescribeProcess&identifier=P",
            "/w1/P:describeprocess",
            "denied the service has no Wps",
        ),
        (
            "GET /ows?service=WPS&request=GetCapabilities",
            ":getcapabilities",
            "denied the service has no Wps",
        ),
        (
            "GET /wps?request=DescribeProcess&identifier=w1:P",
            "/**:describeprocess",
            "denied…",
        ),
        ("GET /route1", "/route1:read", "denied the path does not end…"),
        (
            "GET /route1/route2?a=1&a=2",
            "/route1/route2:read",
            "denied the path does not end…",
        ),
        ("POST /route1", "/route1:write", "denied the path does not end…"),
        ("GET /", ":read", "400 neither the path nor `service`…"),
        // Requests that a path might hide from here.
        (
            "GET /route1?service=WFS&request=GetFeature",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /route1?x=1&ReQuest=GetFeature",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /route1?re%71uest=GetFeature",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /route1?%FF=GetFeature",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /route1?x;request=GetFeature",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /wms/reflect?layers=w1:L1",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /WMS/kml",
            "denied an OGC request where none is read",
            "denied…",
        ),
        (
            "GET /gwc/service/wms?layers=w1:L1",
            "denied the path goes through more…",
            "denied…",
        ),
        ("GET /wcs", "denied an OGC request where none is read", "denied…"),
        (
            "GET /w1/L1/wfs",
            "denied the path goes through more than a workspace",
            "denied…",
        ),
    ] {
        check(&all, asked, of_all);
        check(&some, asked, of_some);
    }
    // A prefix is the request's word for a namespace.
    let document = "<GetFeature xmlns='http://www.opengis.net/wfs' xmlns:open='http://closed'>\
                    <Query typeName='open:L1'/></GetFeature>";
    let namespaces = configured(
        "geoserver",
        serde_json::json!({"namespaces": {"http://closed": "closed"}}),
    );
    check_body(&all, "POST /wfs", document, "/**:getfeature");
    check_body(&namespaces, "POST /wfs", document, "/closed/L1:getfeature");
    check_body(&namespaces, "POST /open/wfs", document, "/**:getfeature");
    check_body(
        &namespaces,
        "POST /ows",
        document,
        "400 neither the path nor `service`…",
    );
    check_body(
        &namespaces,
        "POST /ows?service=WFS",
        document,
        "/closed/L1:getfeature",
    );
    check_body(
        &namespaces,
        "POST /ows?service=WPS",
        document,
        "denied the document is no request of WPS…",
    );
}
