//! The format: layers, a configuration, a manifest and an index, each named by its SHA-256, in one tar file.
//! (OCI image specification 1.1; `manifest.json` besides is for engines that know only Docker's own format.)

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// The user and group that everything runs as: nobody's, and a number, because who runs it may have to see that it is not root.
pub(super) const USER: &str = "65532:65532";

/// Nothing has a time of its own.
const CREATED: &str = "1970-01-01T00:00:00Z";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What is at a path in a layer.
pub(super) enum Entry<'a> {
    /// A folder with this mode.
    Folder(u32),
    /// A file with this mode.
    File(u32, &'a [u8]),
}

/// One layer.
pub(super) struct Layer {
    /// What `history` says of it.
    what: &'static str,
    compressed: Vec<u8>,
    /// Of the tar file in it.
    diff_id: String,
}

/// A whole image.
pub(super) struct Image {
    pub(super) archive: Vec<u8>,
    /// Of the manifest: the name by which a registry knows the image.
    pub(super) digest: String,
}

impl Layer {
    /// Packs these, which come in the order in which they are to be unpacked.
    pub(super) fn of(what: &'static str, entries: &[(&str, Entry<'_>)]) -> Result<Self, String> {
        let tar = tar_of(entries).map_err(|error| format!("{what}: {error}"))?;
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        let compressed = gzip.write_all(&tar).and_then(|()| gzip.finish());
        Ok(Self {
            what,
            compressed: compressed.map_err(|error| format!("{what}: {error}"))?,
            diff_id: digest(&tar),
        })
    }
}

/// The image of these layers; `bill` is what they are made of, which the manifest names by its digest.
pub(super) fn image(
    version: &str,
    architecture: &str,
    layers: &[Layer],
    bill: &[u8],
) -> Result<Image, String> {
    let about = json!({
        "org.opencontainers.image.title": "portcullis",
        "org.opencontainers.image.description": "An external authorization server for ingress proxies; Cedar policies decide",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| json!({ "created": CREATED, "created_by": "cargo xtask image", "comment": layer.what }))
        .collect();
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = json!({
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": USER,
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/portcullis"],
            "Cmd": ["serve", "--config", "/etc/portcullis/portcullis.yaml"],
            "WorkingDir": "/etc/portcullis",
            "ExposedPorts": { "9191/tcp": {}, "9192/tcp": {} },
            "StopSignal": "SIGTERM",
            // Docker's own, and not of OCI: Kubernetes does not look at it, and has probes. Who asks it restarts what is not
            // well, so it must not say no while an issuer is away.
            "Healthcheck": { "Test": ["CMD", "/usr/bin/portcullis", "healthcheck", "--live"], "Interval": 10_000_000_000_u64, "Timeout": 5_000_000_000_u64 },
            "Labels": about,
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    })
    .to_string()
    .into_bytes();
    let descriptors: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(LAYER, &layer.compressed))
        .collect();
    let mut annotations = about;
    annotations["dev.portcullis.sbom.cyclonedx"] = json!(digest(bill));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": descriptors,
        "annotations": annotations,
    })
    .to_string()
    .into_bytes();
    let name = format!("portcullis:{version}");
    let mut listed = descriptor(MANIFEST, &manifest);
    listed["platform"] = json!({ "architecture": architecture, "os": "linux" });
    listed["annotations"] =
        json!({ "org.opencontainers.image.ref.name": version, "io.containerd.image.name": name });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [listed] }).to_string();
    let files: Vec<String> = layers
        .iter()
        .map(|layer| blob(&digest(&layer.compressed)))
        .collect();
    let docker =
        json!([{ "Config": blob(&digest(&config)), "RepoTags": [name], "Layers": files }]).to_string();
    let (config_at, manifest_at) = (blob(&digest(&config)), blob(&digest(&manifest)));
    let mut entries = vec![
        (
            "oci-layout",
            Entry::File(0o644, br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
        ),
        ("index.json", Entry::File(0o644, index.as_bytes())),
        ("manifest.json", Entry::File(0o644, docker.as_bytes())),
        ("blobs", Entry::Folder(0o755)),
        ("blobs/sha256", Entry::Folder(0o755)),
        (&config_at, Entry::File(0o644, &config)),
        (&manifest_at, Entry::File(0o644, &manifest)),
    ];
    for (file, layer) in files.iter().zip(layers) {
        entries.push((file, Entry::File(0o644, &layer.compressed)));
    }
    Ok(Image {
        archive: tar_of(&entries).map_err(|error| format!("the archive: {error}"))?,
        digest: digest(&manifest),
    })
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// Where a blob is in the archive.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// `sha256:` and 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// All of it root's and without a time.
fn tar_of(entries: &[(&str, Entry<'_>)]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, entry) in entries {
        let mut header = Header::new_ustar();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let (kind, mode, bytes): (_, _, &[u8]) = match entry {
            Entry::Folder(mode) => (EntryType::Directory, *mode, &[]),
            Entry::File(mode, bytes) => (EntryType::Regular, *mode, bytes),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        let path = match entry {
            Entry::Folder(_) => format!("{path}/"),
            Entry::File(..) => (*path).to_owned(),
        };
        tar.append_data(&mut header, path, bytes)?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests;
