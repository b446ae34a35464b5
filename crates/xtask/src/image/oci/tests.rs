use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use tar::Archive;

use super::*;
use crate::image::root;

fn example() -> Image {
    let layers = [
        root::base(b"the licence").expect("a layer"),
        root::program(b"the program", b"{}").expect("a layer"),
    ];
    image("1.2.3", "amd64", &layers, b"{}").expect("an image")
}

/// A file, as a tar file has it.
#[derive(Debug)]
struct Found {
    mode: u32,
    times_and_owners: (u64, u64, u64),
    bytes: Vec<u8>,
}

fn files(tar: &[u8]) -> BTreeMap<String, Found> {
    let mut archive = Archive::new(tar);
    let files = archive.entries().expect("a tar file").map(|entry| {
        let mut entry = entry.expect("an entry");
        let header = entry.header();
        let mode = header.mode().expect("a mode");
        let times_and_owners = (
            header.mtime().expect("a time"),
            header.uid().expect("a user"),
            header.gid().expect("a group"),
        );
        let path = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        (
            path,
            Found {
                mode,
                times_and_owners,
                bytes,
            },
        )
    });
    files.collect()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

#[test]
fn the_same_contents_are_the_same_bytes() {
    assert_eq!(example().archive, example().archive);
}

#[test]
fn every_blob_is_what_its_name_says_and_is_named_by_another() {
    let made = example();
    let files = files(&made.archive);
    let json = |name: &str| -> Value { serde_json::from_slice(&files[name].bytes).expect("JSON") };
    assert_eq!(json("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }));
    let mut reached = Vec::new();
    let mut follow = |descriptor: &Value| -> Vec<u8> {
        let name = descriptor["digest"].as_str().expect("a digest").to_owned();
        let file = &files[&blob(&name)];
        assert_eq!(digest(&file.bytes), name);
        assert_eq!(descriptor["size"], json!(file.bytes.len()));
        reached.push(blob(&name));
        file.bytes.clone()
    };
    let index = json("index.json");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(index["manifests"][0]["digest"], json!(made.digest));
    let manifest: Value = serde_json::from_slice(&follow(&index["manifests"][0])).expect("JSON");
    let config: Value = serde_json::from_slice(&follow(&manifest["config"])).expect("JSON");
    let layers = manifest["layers"].as_array().expect("layers");
    let tars: Vec<String> = layers
        .iter()
        .map(|layer| digest(&gunzip(&follow(layer))))
        .collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(tars));
    assert_eq!(config["history"].as_array().map(Vec::len), Some(layers.len()));
    for (pointer, expected) in [
        ("/architecture", json!("amd64")),
        ("/config/User", json!("65532:65532")),
        ("/config/Entrypoint", json!(["/usr/bin/portcullis"])),
        // Who is asked whether it is well is restarted if not: never because an issuer is away.
        (
            "/config/Healthcheck/Test",
            json!(["CMD", "/usr/bin/portcullis", "healthcheck", "--live"]),
        ),
        (
            "/config/Cmd",
            json!(["serve", "--config", "/etc/portcullis/portcullis.yaml"]),
        ),
        ("/config/Labels/org.opencontainers.image.version", json!("1.2.3")),
    ] {
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(
        manifest["annotations"]["dev.portcullis.sbom.cyclonedx"],
        json!(digest(b"{}"))
    );
    let docker = &json("manifest.json")[0];
    let mut named: Vec<String> = docker["Layers"]
        .as_array()
        .expect("layers")
        .iter()
        .chain([&docker["Config"]])
        .map(|name| name.as_str().expect("a name").to_owned())
        .collect();
    reached.sort_unstable();
    let blobs: Vec<String> = files
        .keys()
        .filter(|name| name.starts_with("blobs/sha256/") && name.len() > 20)
        .cloned()
        .collect();
    assert_eq!(reached, blobs, "a blob that nobody names");
    named.push(blob(&made.digest));
    named.sort_unstable();
    assert_eq!(named, blobs);
}

#[test]
fn nothing_in_a_layer_is_writable_by_its_user_or_has_a_time() {
    let files_of = |layer: Result<Layer, String>| files(&gunzip(&layer.expect("a layer").compressed));
    let base = files_of(root::base(b"the licence"));
    let program = files_of(root::program(b"the program", b"{}"));
    for (name, found) in base.iter().chain(&program) {
        assert_eq!(found.times_and_owners, (0, 0, 0), "{name}");
        let writable = found.mode & 0o022 != 0;
        assert_eq!(writable, name == "tmp/", "{name} {:o}", found.mode);
        assert_eq!(found.mode & 0o6000, 0, "{name} changes who runs it");
    }
    assert_eq!(program["usr/bin/portcullis"].mode, 0o755);
    assert_eq!(program["usr/bin/portcullis"].bytes, b"the program");
    let authorities = String::from_utf8_lossy(&base["etc/ssl/certs/ca-certificates.crt"].bytes).into_owned();
    let count = authorities.matches("-----BEGIN CERTIFICATE-----\n").count();
    assert!(count > 100, "{count} authorities");
    assert!(authorities.lines().all(|line| line.len() <= 64));
    let user = String::from_utf8_lossy(&base["etc/passwd"].bytes).into_owned();
    assert!(user.contains(&format!("portcullis:x:{USER}:")), "{user}");
}
