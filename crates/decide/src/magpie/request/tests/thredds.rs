use super::*;

#[test]
fn paths() {
    let thredds = kind("thredds");
    for (asked, expected) in [
        // Browsing the service itself.
        ("GET ", ":browse"),
        ("GET /", ":browse"),
        ("GET /catalog", ":browse"),
        ("GET /catalog.html", ":browse"),
        ("GET /catalog.xml", ":browse"),
        ("GET /catalog/catalog.html", ":browse"),
        ("GET /catalog/catalog.xml", ":browse"),
        // Directories.
        ("GET /catalog/dir1", "/dir1:browse"),
        ("GET /catalog/dir1/", "/dir1:browse"),
        ("GET /catalog/dir1/dir2/catalog.html", "/dir1/dir2:browse"),
        ("GET /catalog/dir1/catalog.xml?dataset=x", "/dir1:browse"),
        ("GET /fileServer/dir1/catalog.html", "/dir1:read"),
        ("GET /dodsC/dir1", "/dir1:read"),
        // Files, whatever the format.
        ("GET /fileServer/dir4/2.nc", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.dds", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.das", "/dir4/2.nc:read"),
        ("GET /dap4/dir4/2.nc.dmr.xml", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.html", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.ascii?a[0:1]", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.ascii?", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.nc4", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc.nc", "/dir4/2.nc:read"),
        ("GET /dodsC/dir4/2.nc4", "/dir4/2.nc:read"),
        ("HEAD /wms/2.nc?request=GetMap", "/2.nc:read"),
        ("GET /wcs/2.nc", "/2.nc:read"),
        ("GET /ncml/dir4/2.nc", "/dir4/2.nc:browse"),
        ("GET /uddc/dir4/2.nc", "/dir4/2.nc:browse"),
        ("GET /iso/dir4/2.nc", "/dir4/2.nc:browse"),
        ("GET /fileServer/dir/readme.txt", "/dir/readme.txt:read"),
        ("GET /fileServer/.nc", "/.nc:read"),
        ("GET /fileServer/a%20b/2.NC", "/a b/2.NC:read"),
        // The file is needed for what is behind its name, too.
        (
            "GET /wms/d/2.nc/dataset.html",
            "/d/2.nc:read /d/2.nc/dataset.html:read",
        ),
        ("GET /wms/d.nc.d/3.nc.html", "/d.nc:read /d.nc.d/3.nc:read"),
        // The prefix to skip.
        ("GET /thredds", ":browse"),
        ("GET /thredds/catalog/dir1", "/dir1:browse"),
        ("GET /thredds/fileServer/thredds/2.nc", "/thredds/2.nc:read"),
        ("GET /threddsX/fileServer/2.nc", "denied `threddsX` is no prefix…"),
        // Prefixes nobody knows.
        ("GET /random/dir4/2.nc", "denied `random` is no prefix…"),
        ("GET /fileserver/2.nc", "denied `fileserver` is no prefix…"),
        ("GET /fileServerX/2.nc", "denied `fileServerX` is no prefix…"),
        ("GET /catalogue/2.nc", "denied `catalogue` is no prefix…"),
        (
            "GET /catalog.html.exe/2.nc",
            "denied `catalog.html.exe` is no prefix…",
        ),
        ("GET /ncss/grid/2.nc", "denied `ncss` is no prefix…"),
        ("GET /thredds/thredds/catalog", "denied `thredds` is no prefix…"),
        // Nothing writes.
        ("POST /fileServer/2.nc", "denied POST neither reads nor browses"),
        ("PUT /fileServer/2.nc", "denied PUT neither reads nor browses"),
        ("GET /fileServer//2.nc", "400 the path…"),
    ] {
        check(&thredds, asked, expected);
    }
}

#[test]
fn configurations() {
    let custom = configured(
        "thredds",
        serde_json::json!({
            "skip_prefix": "/data/thredds/",
            "file_patterns": [r".*\.ncml", r".*\.nc"],
            "data_type": {"prefixes": ["dodsC", "fileServer", "ncss/grid", "both"]},
            "metadata_type": {"prefixes": [null, "catalog", "both|either"]},
        }),
    );
    let closed = configured(
        "thredds",
        serde_json::json!({"skip_prefix": "", "metadata_type": {"prefixes": ["catalog"]}, "file_patterns": [".*"]}),
    );
    for (kind, asked, expected) in [
        (&custom, "GET /catalog/dir", "/dir:browse"),
        (&custom, "GET /catalog/dir/x.nc", "/dir/x.nc:browse"),
        (&custom, "GET /dodsC/dir/x.nc", "/dir/x.nc:read"),
        (&custom, "GET /fileServer/dir/x.nc.html", "/dir/x.nc:read"),
        (&custom, "GET /dodsC/dir/x.ncml", "/dir/x.ncml:read"),
        (&custom, "GET /dodsC/dir/x.nc.ncml", "/dir/x.nc.ncml:read"),
        (&custom, "GET /ncss/grid/dir/x.nc", "/dir/x.nc:read"),
        (&custom, "GET /ncss/grid", ":read"),
        (&custom, "GET /ncss/point/dir/x.nc", "denied `ncss` is no prefix…"),
        (&custom, "GET /ncss", "denied `ncss` is no prefix…"),
        (&custom, "GET /ncml/dir/x.nc", "denied `ncml` is no prefix…"),
        (&custom, "GET /dap4/dir", "denied `dap4` is no prefix…"),
        (
            &custom,
            "GET /catalog.html",
            "denied `catalog.html` is no prefix…",
        ),
        // Browsing is tried first; an alternative is all of the prefix.
        (&custom, "GET /both/dir", "/dir:browse"),
        (&custom, "GET /eitherX/dir", "denied…"),
        (&custom, "GET /", ":browse"),
        (&custom, "GET /data/thredds/catalog/dir", "/dir:browse"),
        (&custom, "GET /data/thredds", ":browse"),
        (
            &custom,
            "GET /thredds/catalog/dir",
            "denied `thredds` is no prefix…",
        ),
        (&closed, "GET /", "denied `` is no prefix…"),
        (&closed, "GET /thredds/catalog", "denied `thredds` is no prefix…"),
        (&closed, "GET /catalog/x.nc.html", "/x.nc.html:browse"),
        (&closed, "GET /fileServer/x.nc", "/x.nc:read"),
    ] {
        check(kind, asked, expected);
    }
}
