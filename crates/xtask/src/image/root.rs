//! What is in the image: one program, and the few files that such a program looks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::oci::{Entry, Layer};

/// Names for the numbers, for programs that want some.
const PASSWD: &[u8] = b"root:x:0:0:root:/:/nonexistent\nportcullis:x:65532:65532:portcullis:/:/nonexistent\n";
const GROUP: &[u8] = b"root:x:0:\nportcullis:x:65532:\n";
/// How the C library finds hosts. Both ways are in the program.
const NSSWITCH: &[u8] = b"hosts: files dns\n";
/// Where nobody puts a better one: container engines do.
const HOSTS: &[u8] = b"127.0.0.1 localhost\n::1 localhost\n";

/// What is the same for all versions for a long time.
pub(super) fn base(licence: &[u8]) -> Result<Layer, String> {
    let authorities = certificate_authorities();
    Layer::of(
        "certificate authorities, a user without rights, and how to find hosts",
        &[
            // Where an engine puts what every container has.
            ("dev", Entry::Folder(0o755)),
            ("proc", Entry::Folder(0o555)),
            ("sys", Entry::Folder(0o555)),
            ("etc", Entry::Folder(0o755)),
            ("etc/group", Entry::File(0o644, GROUP)),
            ("etc/hosts", Entry::File(0o644, HOSTS)),
            ("etc/nsswitch.conf", Entry::File(0o644, NSSWITCH)),
            ("etc/passwd", Entry::File(0o644, PASSWD)),
            // Where the configuration is to be.
            ("etc/portcullis", Entry::Folder(0o755)),
            ("etc/ssl", Entry::Folder(0o755)),
            ("etc/ssl/certs", Entry::Folder(0o755)),
            (
                "etc/ssl/certs/ca-certificates.crt",
                Entry::File(0o644, authorities.as_bytes()),
            ),
            ("run", Entry::Folder(0o755)),
            ("run/secrets", Entry::Folder(0o755)),
            ("tmp", Entry::Folder(0o1777)),
            ("usr", Entry::Folder(0o755)),
            ("usr/share", Entry::Folder(0o755)),
            ("usr/share/doc", Entry::Folder(0o755)),
            ("usr/share/doc/portcullis", Entry::Folder(0o755)),
            ("usr/share/doc/portcullis/LICENSE", Entry::File(0o644, licence)),
        ],
    )
}

/// The program, and what it is made of.
pub(super) fn program(program: &[u8], bill: &[u8]) -> Result<Layer, String> {
    Layer::of(
        "the program",
        &[
            ("usr/bin", Entry::Folder(0o755)),
            ("usr/bin/portcullis", Entry::File(0o755, program)),
            ("usr/share/doc/portcullis/sbom.cdx.json", Entry::File(0o644, bill)),
        ],
    )
}

/// Mozilla's, as PEM. Issuers over HTTPS are verified with the files of the system, and this image is the system. They come
/// from a crate, so that Cargo.lock says which, and not the machine that builds.
fn certificate_authorities() -> String {
    let mut pem = String::new();
    for authority in TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(authority).as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
