use super::*;

#[test]
fn wms() {
    for (asked, expected) in [
        (
            "GET /?service=WMS&request=GetCapabilities&layers=a",
            ":getcapabilities",
        ),
        ("GET /?request=GetMap&layers=a", "/a:getmap"),
        (
            "GET /?REQUEST=getmap&LAYERS=a,b,a&styles=,",
            "/a:getmap /b:getmap",
        ),
        (
            "GET /?request=GetFeatureInfo&layers=a&query_layers=b,a",
            "/a:getfeatureinfo /b:getfeatureinfo",
        ),
        ("GET /?request=GetFeatureInfo&query_layers=b", "/b:getfeatureinfo"),
        ("GET /?request=GetLegendGraphic&layer=a", "/a:getlegendgraphic"),
        (
            "GET /?request=DescribeLayer&layers=a,b",
            "/a:describelayer /b:describelayer",
        ),
        ("GET /?request=GetMap", "/*:getmap"),
        ("GET /?request=GetMap&layers=", "400 `layers` has the name ``"),
        ("GET /?request=GetMap&layers=a,", "400 `layers` has the name ``"),
        (
            "GET /?request=GetMap&layers=a&LAYERS=b",
            "400 the query has `layers` several times",
        ),
        (
            "GET /?request=GetMap&layers=a&sld=http://x/y",
            "/a:getmap /**:getmap",
        ),
        (
            "GET /?request=GetFeatureInfo&query_layers=a&sld_body=x",
            "/a:getfeatureinfo /**:getfeatureinfo",
        ),
        ("GET /?request=GetCapabilities&sld=x", ":getcapabilities"),
        (
            "GET /?request=GetMap&sld_body=%3CStyledLayerDescriptor/%3E",
            "/**:getmap",
        ),
        ("GET /?request=GetMap&SLD=http://x/y", "/**:getmap"),
        (
            "GET /?request=GetMetadata&layername=a",
            "denied services of this type have no permission `getmetadata`",
        ),
        (
            "GET /?request=GetStyles&layers=a",
            "400 there is no permission for the request `GetStyles`",
        ),
        (
            "GET /?request=map&layers=a",
            "400 there is no permission for the request `map`",
        ),
        (
            "GET /?service=WFS&request=GetMap&layers=a",
            "400 `service` is `WFS`…",
        ),
        ("GET /?layers=a", "400 there is no parameter `request`"),
    ] {
        check(&kind("wms"), asked, expected);
    }
    check_body(&kind("wms"), "POST /", "<GetMap/>", "denied XML in the body…");
}

/// Only the service itself is known, and its own word behind it.
#[test]
fn paths() {
    for (service, word, other) in [
        ("wms", "wms", "/wfs"),
        ("ncwms", "wms", "/ncwms"),
        ("wfs", "wfs", "/wms"),
        ("wps", "wps", "/wfs"),
    ] {
        let query = format!("service={word}&request=GetCapabilities");
        for path in ["", "/", "/ows", &format!("/{word}")] {
            check(&kind(service), &format!("GET {path}?{query}"), ":getcapabilities");
        }
        for path in [
            "//",
            "/ows/",
            "/OWS",
            "/other",
            "/wcs",
            "/wps/wms",
            "/wms/wms",
            "/rest/layers",
            other,
        ] {
            let asked = format!("GET {path}?{query}");
            check(&kind(service), &asked, "denied the path below the service is…");
            check(
                &kind(service),
                &asked.replacen("GET", "POST", 1),
                "denied the path below the service is…",
            );
        }
    }
}

#[test]
fn ncwms() {
    for (asked, expected) in [
        ("GET /wms?service=WMS&request=GetCapabilities", ":getcapabilities"),
        (
            "GET /?request=GetCapabilities&dataset=outputs/sub/a_1961.nc",
            "/outputs/sub/a_1961.nc:getcapabilities",
        ),
        (
            "GET /?request=GetMap&layers=outputs/a.nc/PCP",
            "/outputs/a.nc:getmap",
        ),
        (
            "GET /?request=GetMap&layers=outputs%2Fa.nc%2FPCP,o/b.nc/T",
            "/outputs/a.nc:getmap /o/b.nc:getmap",
        ),
        ("GET /?request=GetMap&layers=o/a.nc/P,o/a.nc/T", "/o/a.nc:getmap"),
        ("GET /?request=GetMap&layers=a.nc", "/a.nc:getmap"),
        (
            "GET /?request=GetFeatureInfo&layers=o/a.nc/P&query_layers=o/b.nc/P",
            "/o/a.nc:getfeatureinfo /o/b.nc:getfeatureinfo",
        ),
        (
            "GET /?request=GetLegendGraphic&layer=o/a.nc/P",
            "/o/a.nc:getlegendgraphic",
        ),
        (
            "GET /?request=GetLegendGraphic&colorbaronly=true",
            "/**:getlegendgraphic",
        ),
        (
            "GET /?request=GetMetadata&item=layerDetails&layerName=o/a.nc/P&dataset=o/b.nc",
            "/o/a.nc:getmetadata /o/b.nc:getmetadata",
        ),
        (
            "GET /?request=GetMetadata&item=TIMESTEPS&layerName=o/a.nc/P",
            "/o/a.nc:getmetadata",
        ),
        (
            "GET /?request=GetMetadata&item=minmax&layers=o/a.nc/P",
            "/o/a.nc:getmetadata",
        ),
        (
            "GET /?request=GetMetadata&item=animationTimesteps&layerName=o/a.nc/P",
            "/o/a.nc:getmetadata",
        ),
        ("GET /?request=GetMetadata&item=layerDetails", "/**:getmetadata"),
        // What is not narrowed by names tells of every data set.
        ("GET /?request=GetMetadata&item=menu", "/**:getmetadata"),
        (
            "GET /?request=GetMetadata&item=menu&dataset=o/a.nc",
            "/o/a.nc:getmetadata /**:getmetadata",
        ),
        (
            "GET /?request=GetMetadata&item=other&layerName=o/a.nc/P",
            "/o/a.nc:getmetadata /**:getmetadata",
        ),
        (
            "GET /?request=GetMetadata&layerName=o/a.nc/P",
            "/o/a.nc:getmetadata /**:getmetadata",
        ),
        // The layers of a style sheet come in place of those that the query names.
        (
            "GET /?request=GetMap&layers=o/a.nc/P&sld_body=%3CStyledLayerDescriptor/%3E",
            "/o/a.nc:getmap /**:getmap",
        ),
        (
            "GET /?request=GetFeatureInfo&query_layers=o/a.nc/P&SLD=http://x/y",
            "/o/a.nc:getfeatureinfo /**:getfeatureinfo",
        ),
        (
            "GET /?request=GetLegendGraphic&layer=o/a.nc/P&SLD_Body=",
            "/o/a.nc:getlegendgraphic /**:getlegendgraphic",
        ),
        (
            "GET /?request=GetCapabilities&dataset=o/a.nc&sld=x",
            "/o/a.nc:getcapabilities",
        ),
        (
            "GET /?request=GetMap&layers=o/../b.nc/P",
            "400 the data set `o/..…",
        ),
        ("GET /?request=GetMap&layers=/o/b.nc/P", "400 the data set…"),
        ("GET /?request=GetMap&layers=o//b.nc/P", "400 the data set…"),
        ("GET /?request=GetMap&layers=/P", "400 the data set ``…"),
        ("GET /?request=GetMap&layers=o%255Cb.nc/P", "400 the data set…"),
        ("GET /?request=GetMap&layers=o%5Cb.nc/P", "400 the data set…"),
        (
            "GET /?request=DescribeLayer&layers=a",
            "denied services of this type have no permission…",
        ),
        (
            "GET /?request=GetTimeseries&layers=a",
            "400 there is no permission…",
        ),
    ] {
        check(&kind("ncwms"), asked, expected);
    }
}
