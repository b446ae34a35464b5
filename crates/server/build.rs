//! Puts the packs into the binary for `portcullis init`: every folder of `/policies` with a `portcullis.yaml`, with all that
//! is in it. What is hidden is left out.
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const ROOT: &str = "../../policies";
/// The same for the compiler, who looks for it anew: the clone may have moved since this ran.
const HERE: &str = r#"env!("CARGO_MANIFEST_DIR"), "/../../policies/""#;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut list = String::from("static PACKS: &[Pack] = &[\n");
    let root = Path::new(ROOT).canonicalize()?;
    for folder in entries(&root)? {
        if !folder.join("portcullis.yaml").is_file() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default();
        writeln!(list, "Pack {{ name: {name:?}, files: &[")?;
        for file in files(&folder)? {
            // With `/`, wherever it is built.
            let parts = file.strip_prefix(&folder)?.iter();
            let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
            let (name, path) = (parts.join("/"), file.strip_prefix(&root)?);
            writeln!(list, "({name:?}, include_str!(concat!({HERE}, {path:?}))),")?;
        }
        list.push_str("] },\n");
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("packs.rs"), list)?;
    Ok(())
}

/// What is in a folder and not hidden, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The files in and below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}
