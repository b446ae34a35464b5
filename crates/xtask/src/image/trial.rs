//! The image as a container engine would run it: unpacked, with its own user, a root that nobody can write to and
//! nothing else of this machine; then asked.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::Archive;

use super::oci::digest;
use crate::workspace::Workspace;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Makes the first argument the root, with the second as /etc/portcullis and the devices that every container has, all of
/// it read-only; then becomes the user (third) and the program (the rest).
const CONFINED: &str = r#"
set -eu
mount --bind "$1" "$1"
mount --bind "$2" "$1/etc/portcullis"
mount -o remount,bind,ro "$1/etc/portcullis"
mount --bind /proc "$1/proc"
mount -o remount,bind,ro "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero full random urandom; do
    : > "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
mount -o remount,ro "$1/dev"
mount -o remount,bind,ro "$1"
root=$1 user=$3
shift 3
exec env -i PATH="$PATH" chroot --groups= --userspec="$user" "$root" "$@"
"#;
const CONFIG: &str = "portcullis.yaml";
/// A public key, which nobody here has the other half of (RFC 7517, appendix A.1).
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"1",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// What became of it.
pub(crate) enum Trial {
    /// All is as it must be.
    Passed,
    /// This system does not let us be somebody else in another root.
    Impossible(String),
}

/// Unpacks the archive, runs it, and asks it; `binary` is the same program outside, to ask with.
pub(crate) fn run(workspace: &Workspace, archive: &Path, binary: &Path) -> Result<Trial, String> {
    if let Some(why) = impossible() {
        return Ok(Trial::Impossible(why));
    }
    let scratch = workspace.target.join("image/trial");
    let _ = fs::remove_dir_all(&scratch);
    let (root, settings) = (scratch.join("root"), scratch.join("config"));
    for folder in [&root, &settings] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let image = unpack(archive, &root)?;
    let issuer = Issuer::start()?;
    configure(workspace, &settings, issuer.address)?;
    let mut running = Running::start(&image, &root, &settings, &scratch.join("log"))?;
    let outcome = questions(&mut running, binary, &settings, &issuer);
    let log = fs::read_to_string(&running.log).unwrap_or_default();
    outcome.map_err(|why| format!("{why}\nits log:\n{log}"))?;
    println!(
        "the image runs as {} with a read-only root, finds its issuer by name, and decides",
        image.user
    );
    let _ = fs::remove_dir_all(&scratch);
    Ok(Trial::Passed)
}

fn impossible() -> Option<String> {
    let probe = Command::new("unshare")
        .args(["--mount", "sh", "-c", "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && chroot --groups= --userspec=65532:65532 / true"])
        .output();
    match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("cannot start unshare: {error}")),
    }
}

/// What the configuration of an image says.
struct Image {
    user: String,
    command: Vec<String>,
}

/// Follows the index to the layers, believing no blob that is not what its name says.
fn unpack(archive: &Path, root: &Path) -> Result<Image, String> {
    let file = fs::read(archive).map_err(|error| format!("{}: {error}", archive.display()))?;
    let mut blobs = Vec::new();
    for entry in Archive::new(file.as_slice())
        .entries()
        .map_err(|error| error.to_string())?
    {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = entry
            .path()
            .map_err(|error| error.to_string())?
            .display()
            .to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        blobs.push((name, bytes));
    }
    let file = |name: &str| {
        let found = blobs.iter().find(|(there, _)| there == name);
        found
            .map(|(_, bytes)| bytes.as_slice())
            .ok_or(format!("no {name} in the archive"))
    };
    let follow = |descriptor: &Value| {
        let name = descriptor["digest"]
            .as_str()
            .ok_or("a descriptor without digest")?;
        let bytes = file(&format!("blobs/{}", name.replace(':', "/")))?;
        if digest(bytes) == name {
            Ok(bytes)
        } else {
            Err(format!("{name} is something else"))
        }
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
    let index = json(file("index.json")?)?;
    let manifest = json(follow(&index["manifests"][0])?)?;
    let config = json(follow(&manifest["config"])?)?;
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let mut layer = Archive::new(GzDecoder::new(follow(layer)?));
        layer.set_preserve_permissions(true);
        layer.unpack(root).map_err(|error| format!("a layer: {error}"))?;
    }
    let words = |name: &str| config["config"][name].as_array().cloned().unwrap_or_default();
    let command = words("Entrypoint").into_iter().chain(words("Cmd"));
    Ok(Image {
        user: config["config"]["User"].as_str().unwrap_or_default().to_owned(),
        command: command
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect(),
    })
}

/// The default policies, with ports that the kernel chooses and an issuer that is known by name.
fn configure(workspace: &Workspace, folder: &Path, issuer: SocketAddr) -> Result<(), String> {
    let pack = workspace.root.join("policies/default");
    let read = |name: &str| fs::read_to_string(pack.join(name)).map_err(|error| format!("{name}: {error}"));
    let mut text = read(CONFIG)?;
    for (there, here) in [
        ("127.0.0.1:9191", "127.0.0.1:0".to_owned()),
        ("127.0.0.1:9192", "127.0.0.1:0".to_owned()),
        (
            "http://127.0.0.1:8080",
            format!("http://localhost:{}", issuer.port()),
        ),
    ] {
        if !text.contains(there) {
            return Err(format!("policies/default/{CONFIG} has no {there}"));
        }
        text = text.replacen(there, &here, 1);
    }
    put(folder, CONFIG, &text)?;
    for name in ["schema.cedarschema", "workspaces.cedar", "public.cedar"] {
        put(folder, name, &read(name)?)?;
    }
    Ok(())
}

/// Adds an issuer over HTTPS, for which the certificate authorities of the image are read, while the server runs.
fn add_issuer_over_https(folder: &Path, issuer: SocketAddr) -> Result<(), String> {
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let added = format!(
        "issuers:\n  - name: elsewhere\n    issuer: https://localhost:{}/realms/demo\n    audiences: [workspace-api]\n",
        issuer.port()
    );
    put(folder, CONFIG, &text.replacen("issuers:\n", &added, 1))
}

/// Half of a file is never there.
fn put(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let (half, whole) = (folder.join(format!(".{name}")), folder.join(name));
    let put = fs::write(&half, text).and_then(|()| fs::rename(&half, &whole));
    put.map_err(|error| format!("{}: {error}", whole.display()))
}

/// Hands out one key set, over HTTP.
struct Issuer {
    address: SocketAddr,
}

impl Issuer {
    fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let base = format!("http://localhost:{}/realms/demo", address.port());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let base = base.clone();
                thread::spawn(move || hand_out(stream, &base));
            }
        });
        Ok(Self { address })
    }
}

fn hand_out(stream: TcpStream, base: &str) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut lines = BufReader::new(&stream).lines();
    let first = lines.next()?.ok()?;
    lines.map_while(Result::ok).find(String::is_empty)?;
    let body = if first.contains("openid-configuration") {
        format!(r#"{{"issuer":"{base}","jwks_uri":"{base}/certs"}}"#)
    } else {
        KEYS.to_owned()
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    write!(&stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).ok()
}

/// The image, running. Dropped, it is gone.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(image: &Image, root: &Path, settings: &Path, log: &Path) -> Result<Self, String> {
        let into = || File::create(log).map_err(|error| format!("{}: {error}", log.display()));
        let output = into()?;
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", CONFINED, "sh"])
            .args([root, settings])
            .arg(&image.user)
            .args(&image.command)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(|error| error.to_string())?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("cannot start unshare: {error}"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// The address that it says it has under this name, as soon as it says so.
    fn address(&mut self, name: &str) -> Result<SocketAddr, String> {
        self.until(&format!("it says where `{name}` is"), |this| {
            let log = fs::read_to_string(&this.log).ok()?;
            let line = log.lines().find(|line| line.contains(" answers "))?;
            line.split_once(&format!("{name}="))?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
    }

    /// Waits until it has ended.
    fn end(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => return Ok(status),
                None if Instant::now() > deadline => {
                    return Err(format!(
                        "told to stop, it has not ended after {} s",
                        PATIENCE.as_secs()
                    ));
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until there is an answer.
    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("before {what}, it ended with {status}"));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "after {} s it is still not so that {what}",
                    PATIENCE.as_secs()
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn questions(running: &mut Running, binary: &Path, settings: &Path, issuer: &Issuer) -> Result<(), String> {
    let (grpc, admin) = (running.address("envoy_grpc")?, running.address("admin")?);
    confined(running.child.id())?;
    running.until("it is alive", |_| (get(admin, "/livez")?.0 == 200).then_some(()))?;
    // Ready is who has the keys of the issuer, and finds it by a name.
    running.until("it is ready", |_| (get(admin, "/readyz")?.0 == 200).then_some(()))?;
    let healthy = Command::new(binary)
        .args(["healthcheck", "--address", &admin.to_string()])
        .stdout(Stdio::null())
        .status();
    if !healthy.is_ok_and(|status| status.success()) {
        return Err("`healthcheck` says that it is not ready".to_owned());
    }
    for (path, code) in [("/public/hello", 0), ("/workspaces/ws-alice", 3)] {
        let status = Command::new(binary)
            .args(["check", "--server", &grpc.to_string(), "GET"])
            .arg(format!("https://api.example.test{path}"))
            .stdout(Stdio::null())
            .status()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        if status.code() != Some(code) {
            return Err(format!(
                "`check` of {path} ended with {status}, which should be {code}"
            ));
        }
    }
    // Nobody speaks TLS at that port. What matters is that it was tried: without certificate authorities nothing is.
    add_issuer_over_https(settings, issuer.address)?;
    running.until("an issuer over HTTPS was tried", |_| {
        let told = get(admin, "/readyz?verbose")?.1;
        let line = told.lines().find(|line| line.contains("issuer elsewhere"))?;
        line.contains("last fetch failed: https://localhost")
            .then_some(())
    })?;
    let stopped = Command::new("kill").arg(running.child.id().to_string()).status();
    stopped.map_err(|error| format!("cannot start kill: {error}"))?;
    let status = running.end()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("told to stop, it ended with {status}"))
    }
}

/// The process is nobody, and can write nowhere.
fn confined(process: u32) -> Result<(), String> {
    let read = |name: &str| {
        let path = format!("/proc/{process}/{name}");
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    };
    let status = read("status")?;
    for (field, expected) in [
        ("Uid:", "65532"),
        ("Gid:", "65532"),
        ("CapEff:", "0000000000000000"),
    ] {
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .unwrap_or_default();
        if line.split_whitespace().nth(1) != Some(expected) {
            return Err(format!("it runs with `{line}` instead of {expected}"));
        }
    }
    // All that is mounted below its root.
    let mounts = read("mountinfo")?;
    let field = |line: &str, number: usize| line.split(' ').nth(number).unwrap_or_default().to_owned();
    let device = |line: &&str| field(line, 4).starts_with("/dev/");
    let writable = mounts
        .lines()
        .filter(|line| !device(line))
        .find(|line| !field(line, 5).starts_with("ro"));
    match writable {
        None if mounts.lines().any(|line| field(line, 4) == "/") => Ok(()),
        _ => Err(format!(
            "it can write somewhere, or is not where it was put:\n{mounts}"
        )),
    }
}

/// Status and body of a small answer.
fn get(address: SocketAddr, target: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}
