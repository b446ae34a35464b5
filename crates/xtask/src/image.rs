//! `cargo xtask image`: the container image as one file, an OCI archive, without a container engine.
//!
//! The same sources, toolchain and C library give the same bytes: nothing in it has a time, an order or a name of the
//! machine that made it.

mod oci;
mod root;
mod sbom;
mod trial;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::Workspace;

pub(crate) use trial::{Trial, run as try_out};

/// What an image may weigh, in bytes.
const LIMIT: usize = 30_000_000;

pub(crate) const HELP: &str = "\
cargo xtask image [--profile NAME] [--out FOLDER]

  Builds the server with everything in it that it needs, and writes
    portcullis-VERSION-ARCH.oci.tar      the image (skopeo, podman load, docker load)
    portcullis-VERSION-ARCH.cdx.json     what is in it (CycloneDX)

  --profile NAME   how to build it: `dist` (the default; slow, and what is to be shipped) or `release`
  --out FOLDER     where to write (default: the folder `image` in cargo's target folder)
  --try            run it afterwards, as its user with a read-only root, and ask it; needs root";

/// What the words after `image` say.
struct Order<'a> {
    profile: &'a str,
    out: Option<PathBuf>,
    tries: bool,
}

/// Builds, packs, and says where.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<(), String> {
    if words.iter().any(|word| ["--help", "-h"].contains(word)) {
        println!("{HELP}");
        return Ok(());
    }
    let order = Order::of(words)?;
    let target = Target::host()?;
    let binary = target.build(workspace, order.profile)?;
    let out = order.out.unwrap_or_else(|| workspace.target.join("image"));
    let packed = pack(workspace, &target, &binary, &out)?;
    println!(
        "{}\n  {:.1} MB, manifest {}\n  {}",
        packed.archive.display(),
        packed.size as f64 / 1e6,
        packed.digest,
        packed.sbom.display()
    );
    if !order.tries {
        return Ok(());
    }
    match try_out(workspace, &packed.archive, &binary)? {
        Trial::Passed => Ok(()),
        Trial::Impossible(why) => Err(format!("it cannot be tried here: {why}")),
    }
}

impl<'a> Order<'a> {
    fn of(words: &[&'a str]) -> Result<Self, String> {
        let mut order = Self {
            profile: "dist",
            out: None,
            tries: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match *word {
                "--profile" => order.profile = value()?,
                "--out" => order.out = Some(PathBuf::from(value()?)),
                "--try" => order.tries = true,
                other => return Err(format!("no such option: {other}\n\n{HELP}")),
            }
        }
        Ok(order)
    }
}

/// The platform that is built for: this very one.
pub(crate) struct Target {
    /// As rustc calls it.
    triple: String,
    /// The version of rustc, whose library is linked in.
    rust: String,
}

/// What was written.
pub(crate) struct Packed {
    pub(crate) archive: PathBuf,
    pub(crate) sbom: PathBuf,
    pub(crate) size: usize,
    digest: String,
}

impl Target {
    /// Asks rustc.
    pub(crate) fn host() -> Result<Self, String> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .arg("-vV")
            .output()
            .map_err(|error| format!("cannot start rustc: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
                .ok_or(format!("`rustc -vV` has no line `{name}`"))
        };
        Ok(Self {
            triple: field("host: ")?,
            rust: field("release: ")?,
        })
    }

    /// Whether images can be made for it.
    pub(crate) fn is_linux(&self) -> bool {
        self.triple.contains("-linux-")
    }

    /// The architecture in the words of OCI.
    fn architecture(&self) -> Result<&'static str, String> {
        match self.triple.split('-').next() {
            Some("x86_64") => Ok("amd64"),
            Some("aarch64") => Ok("arm64"),
            _ => Err(format!("no name of OCI is known for {}", self.triple)),
        }
    }

    /// Builds the server as one file that needs no other, and says where it is.
    ///
    /// The flags are those of this build alone, which has a folder of its own, so that no other is built again for them.
    pub(crate) fn build(&self, workspace: &Workspace, profile: &str) -> Result<PathBuf, String> {
        let mut cargo = workspace.cargo("build --locked --package portcullis --bin portcullis");
        cargo.args(["--profile", profile, "--target", &self.triple]);
        if self.is_linux() {
            let flags = env::var("RUSTFLAGS").unwrap_or_default();
            cargo.env(
                "RUSTFLAGS",
                format!("{flags} -C target-feature=+crt-static").trim_start(),
            );
        }
        let status = cargo
            .status()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        if !status.success() {
            return Err(format!(
                "cargo ended with {status}; a static program needs the C library as an archive (Debian: libc6-dev, \
                 Fedora: glibc-static)"
            ));
        }
        Ok(workspace
            .target
            .join(&self.triple)
            .join(profile)
            .join("portcullis"))
    }
}

/// Writes the image with this program in it to the folder `out`, and what it is made of beside it.
pub(crate) fn pack(
    workspace: &Workspace,
    target: &Target,
    binary: &Path,
    out: &Path,
) -> Result<Packed, String> {
    let named = |error: std::io::Error| format!("{}: {error}", binary.display());
    let program = fs::read(binary).map_err(named)?;
    let bill = sbom::bill(workspace, &target.triple, &target.rust)?;
    let licence = fs::read(workspace.root.join("LICENSE")).map_err(|error| format!("LICENSE: {error}"))?;
    let layers = [
        root::base(&licence)?,
        root::program(&program, bill.text.as_bytes())?,
    ];
    let architecture = target.architecture()?;
    let image = oci::image(&bill.version, architecture, &layers, bill.text.as_bytes())?;
    if image.archive.len() > LIMIT {
        return Err(format!(
            "the image has {} bytes; {LIMIT} are the limit",
            image.archive.len()
        ));
    }
    let name = format!("portcullis-{}-{architecture}", bill.version);
    let (archive, sbom) = (
        out.join(format!("{name}.oci.tar")),
        out.join(format!("{name}.cdx.json")),
    );
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    for (path, bytes) in [
        (&archive, image.archive.as_slice()),
        (&sbom, bill.text.as_bytes()),
    ] {
        fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(Packed {
        archive,
        sbom,
        size: image.archive.len(),
        digest: image.digest,
    })
}
