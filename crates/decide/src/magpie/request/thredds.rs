//! Services of type `thredds`: a prefix of the path tells data (`read`) from what describes it (`browse`), the rest is
//! directories and a file. Nothing asks for `write`.

use regex::Regex;
use serde::Deserialize;

use super::{Need, Needs, Permission, Reach, ServiceRequest, Unclear, names};

/// The `configuration` of such a service, as Magpie has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ThreddsConfiguration {
    /// What may stand before the prefix; `thredds` unless said otherwise.
    skip_prefix: Option<String>,
    /// What of the last name of a path is the name of the file, whatever format is asked for: the first expression that
    /// fits its beginning. `.*\.nc` unless said otherwise.
    file_patterns: Option<Vec<String>>,
    /// Prefixes of data.
    data_type: Prefixes,
    /// Prefixes of descriptions; `null`: no prefix, the service itself.
    metadata_type: Prefixes,
}

/// Expressions for prefixes; none: those that Magpie has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Prefixes {
    prefixes: Vec<Option<String>>,
}

/// How the paths of one service are read.
#[derive(Clone, Debug)]
pub(crate) struct ThreddsRules {
    skip: Vec<String>,
    files: Vec<Regex>,
    /// Tried in this order.
    prefixes: Vec<(Prefix, Permission)>,
}

/// What a path may begin with.
#[derive(Clone, Debug)]
enum Prefix {
    /// Nothing: the path is empty.
    None,
    /// This many names that, with `/` between them, are all of what the expression says.
    Names(usize, Regex),
}

const SKIP_PREFIX: &str = "thredds";
const FILE_PATTERNS: [&str; 1] = [r".*\.nc"];
const DATA: [Option<&str>; 5] = [
    Some("fileServer"),
    Some("dodsC"),
    Some("dap4"),
    Some("wcs"),
    Some("wms"),
];
const METADATA: [Option<&str>; 6] = [
    None,
    Some(r"catalog\.\w+"),
    Some("catalog"),
    Some("ncml"),
    Some("uddc"),
    Some("iso"),
];

impl ThreddsRules {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Texts about all expressions that are none.
    pub(crate) fn new(configuration: &ThreddsConfiguration) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut compile = |whole: &str, expression: &str| {
            let compiled = Regex::new(&whole.replace("{}", expression));
            // Not inside the anchors: `a)(b` is one only there.
            compiled
                .and_then(|compiled| Regex::new(expression).map(|_| compiled))
                .map_err(|error| wrong.push(format!("`{expression}` is no regular expression: {error}")))
                .ok()
        };
        let defaults = || FILE_PATTERNS.map(str::to_owned).to_vec();
        let patterns = configuration.file_patterns.clone().unwrap_or_else(defaults);
        let files = patterns
            .iter()
            .filter_map(|pattern| compile(r"\A(?:{})", pattern))
            .collect();
        let mut prefixes = Vec::new();
        for (configured, defaults, permission) in [
            (&configuration.metadata_type, &METADATA[..], Permission::Browse),
            (&configuration.data_type, &DATA[..], Permission::Read),
        ] {
            let defaults = || defaults.iter().map(|prefix| prefix.map(str::to_owned)).collect();
            let listed = Some(configured.prefixes.clone()).filter(|prefixes| !prefixes.is_empty());
            for prefix in listed.unwrap_or_else(defaults) {
                match prefix {
                    None => prefixes.push((Prefix::None, permission)),
                    Some(expression) => {
                        let expression = expression.trim_matches('/');
                        let names = expression.matches('/').count() + 1;
                        if let Some(compiled) = compile(r"\A(?:{})\z", expression) {
                            prefixes.push((Prefix::Names(names, compiled), permission));
                        }
                    }
                }
            }
        }
        let skip = configuration.skip_prefix.as_deref().unwrap_or(SKIP_PREFIX);
        let skip = skip.split('/').filter(|name| !name.is_empty());
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            skip: skip.map(str::to_owned).collect(),
            files,
            prefixes,
        })
    }

    /// What the path begins with: how many names, and what it asks for.
    fn prefix(&self, path: &[String]) -> Option<(usize, Permission)> {
        self.prefixes
            .iter()
            .find_map(|(prefix, permission)| match prefix {
                Prefix::None => path.is_empty().then_some((0, *permission)),
                Prefix::Names(count, expression) => {
                    let begins = path.get(..*count)?.join("/");
                    expression.is_match(&begins).then_some((*count, *permission))
                }
            })
    }

    /// The name of the file that is meant by `name`, if it is one of a file: without the formats behind it.
    fn file<'n>(&self, name: &'n str) -> Option<&'n str> {
        let found = self.files.iter().find_map(|file| file.find(name))?;
        let mut file = found.as_str();
        // `file.nc.nc` and `file.nc.nc4` are `file.nc` as a file again.
        while let Some(inner) = file.strip_suffix(".nc").filter(|inner| inner.ends_with(".nc")) {
            file = inner;
        }
        (!file.is_empty()).then_some(file)
    }
}

/// The file or directory of the path.
///
/// A listing, `catalog.html` or `catalog.xml` at the end, is of the directory. Some services have names behind that of the
/// file (`file.nc/dataset.html`): then both are needed, the file and what is named behind it.
pub(super) fn needs(request: &ServiceRequest<'_>, rules: &ThreddsRules) -> Result<Needs, Unclear> {
    if !matches!(request.method, "GET" | "HEAD") {
        return Err(Unclear::Unknown(format!(
            "{} neither reads nor browses",
            request.method.escape_debug()
        )));
    }
    let path = names(request.segments)?;
    let path = path.strip_prefix(rules.skip.as_slice()).unwrap_or(&path);
    let Some((count, permission)) = rules.prefix(path) else {
        let first = path.first().map_or("", String::as_str);
        return Err(Unclear::Unknown(format!(
            "`{}` is no prefix that the configuration of the service knows",
            first.escape_debug()
        )));
    };
    let below = path.get(count..).unwrap_or_default();
    let Some((last, directories)) = below.split_last() else {
        return Ok(Needs::service(permission));
    };
    let need = |resource: Vec<String>| Need {
        resource,
        reach: Reach::Exact,
        permission,
    };
    let mut needed = Vec::new();
    for (depth, name) in directories.iter().enumerate() {
        if let Some(file) = rules.file(name) {
            let mut resource = directories.get(..depth).unwrap_or_default().to_vec();
            resource.push(file.to_owned());
            needed.push(need(resource));
        }
    }
    let mut resource = directories.to_vec();
    match rules.file(last) {
        Some(file) => resource.push(file.to_owned()),
        None if matches!(last.as_str(), "catalog.html" | "catalog.xml") => {}
        None => resource.push(last.clone()),
    }
    needed.push(need(resource));
    Needs::all(needed)
}
