//! The configuration in force, without secrets, and where each value came from (`portcullis config show`).

mod secrets;

use std::path::Path;

use decide::policy::Sources;
use serde_json::{Map, Value, json};

use super::described::{Default, Described};
use super::load::{read_settings, text_of};
use super::overrides::{By, Overrides};
use super::reads::Reader;
use super::{Invalid, yaml};

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";
/// Where comments begin, if the value is short.
const COLUMN: usize = 48;

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Shown(Node);

/// A value and where it came from.
#[derive(Debug)]
struct Node {
    tree: Tree,
    origin: Origin,
}

#[derive(Debug)]
enum Tree {
    Scalar(Value),
    /// No value, and what that means.
    Words(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Where a value came from.
#[derive(Clone, Debug)]
enum Origin {
    Default,
    /// A line of the file.
    Line(usize),
    /// The same, by way of this reference.
    Reference(usize, String),
    By(By),
}

impl Shown {
    /// The configuration of the file at `path`. Policies are not looked at.
    ///
    /// # Errors
    /// Every problem of the settings.
    pub(crate) fn load(path: &Path, overrides: &Overrides) -> Result<Self, Invalid> {
        let reader = Reader::default();
        let (name, text) = text_of(path, &reader)?;
        let written = yaml::Document::parse(&name, &text)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let (document, _, problems) = read_settings(written.clone(), (folder, &reader), overrides)?;
        let errors = problems
            .iter()
            .filter(|it| it.severity == decide::problem::Severity::Error);
        if errors.count() > 0 {
            return Err(Invalid::new(document, Sources::default(), problems));
        }
        let described = Described::new();
        let walk = Walk {
            described: &described,
            written: &written,
            overrides,
        };
        let mut values = document.value().clone();
        super::schema::convert(&mut values, document.references().replaced());
        Ok(Self(walk.node(
            "",
            described.root(),
            (Some(written.value()), &values),
        )))
    }

    /// As YAML, with where each value came from as comments if that is wanted.
    pub(crate) fn yaml(&self, origins: bool, file: &Path) -> String {
        let mut lines = Vec::new();
        write(&self.0, "", &mut lines);
        let mut text = String::new();
        for (line, origin) in lines {
            text += &line;
            if let Some(origin) = origin.filter(|_| origins) {
                let gap = COLUMN.saturating_sub(line.chars().count()).max(2);
                text += &format!("{:gap$}# {}", "", origin.in_words(file));
            }
            text.push('\n');
        }
        text
    }

    /// As JSON: the configuration itself.
    pub(crate) fn json(&self) -> Value {
        self.0.json()
    }

    /// As JSON: a list of all values, each with where it came from.
    pub(crate) fn json_with_origins(&self, file: &Path) -> Value {
        let mut rows = Vec::new();
        self.0.rows("", file, &mut rows);
        Value::Array(rows)
    }
}

struct Walk<'a> {
    described: &'a Described,
    /// As it stands in the file, references and all.
    written: &'a yaml::Document,
    overrides: &'a Overrides,
}

impl Walk<'_> {
    /// `written`: what stands in the file, if anything; `resolved`: the same with references replaced.
    fn node(&self, pointer: &str, schema: &Value, (written, resolved): (Option<&Value>, &Value)) -> Node {
        let said = |(place, by): (String, &By)| (place == pointer).then(|| by.clone());
        if let Some(by) = self.overrides.places().find_map(said) {
            return Node {
                tree: Tree::Scalar(self.typed(schema, resolved)),
                origin: Origin::By(by),
            };
        }
        let Some(written) = written else {
            return self.default(pointer, schema, resolved);
        };
        let line = self.written.line(pointer);
        if schema["writeOnly"] == true {
            let origin = match bare_reference(written) {
                Some(reference) => Origin::Reference(line, reference),
                None => Origin::Line(line),
            };
            return Node {
                tree: plain(&hidden(written)),
                origin,
            };
        }
        if let Some(reference) = reference(written) {
            // A number or a boolean is no secret; texts from elsewhere are shown as the reference.
            let tree = match resolved {
                Value::Number(_) | Value::Bool(_) => resolved,
                _ => &without_password(written),
            };
            return Node {
                tree: plain(tree),
                origin: Origin::Reference(line, secrets::without_password(&reference)),
            };
        }
        let origin = Origin::Line(line);
        let target = self.described.target(schema, Some(written));
        let tree = match written {
            Value::Object(members) => Tree::Map(self.members(pointer, target, (members, resolved))),
            Value::Array(entries) => Tree::List(
                entries
                    .iter()
                    .enumerate()
                    .map(|(index, entry)| {
                        let below = format!("{pointer}/{index}");
                        self.node(&below, &target["items"], (Some(entry), &resolved[index]))
                    })
                    .collect(),
            ),
            scalar => Tree::Scalar(without_password(scalar)),
        };
        Node { tree, origin }
    }

    /// The members of a group or map: those that are known in the order of the schema, then the others.
    fn members(
        &self,
        pointer: &str,
        target: &Value,
        (written, resolved): (&Map<String, Value>, &Value),
    ) -> Vec<(String, Node)> {
        let below = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        let known = target["properties"].as_object();
        let mut members = Vec::new();
        for (name, schema) in known.into_iter().flatten() {
            let node = self.node(&below(name), schema, (written.get(name), &resolved[name]));
            if !matches!(&node.tree, Tree::Map(inner) if inner.is_empty() && !written.contains_key(name)) {
                members.push((name.clone(), node));
            }
        }
        for (name, value) in written {
            if known.is_none_or(|known| !known.contains_key(name)) {
                // What nobody knows may be a secret with a misspelt name.
                let unknown = json!({ "writeOnly": true });
                let schema = match known {
                    Some(_) => &unknown,
                    None => &target["additionalProperties"],
                };
                members.push((
                    name.clone(),
                    self.node(&below(name), schema, (Some(value), &resolved[name])),
                ));
            }
        }
        members
    }

    /// What holds if the file does not say it.
    fn default(&self, pointer: &str, schema: &Value, resolved: &Value) -> Node {
        let origin = Origin::Default;
        let optional = schema["anyOf"].is_array() || schema["type"].is_array();
        let tree = match Described::default(schema) {
            // To say it would be something else than to leave it out, where it does not apply.
            Default::Value(value) if optional && schema["default"].is_null() => Tree::Words(scalar(&value)),
            Default::Value(value) => plain(&value),
            Default::Words(words) => Tree::Words(words),
            Default::Nothing => {
                let target = self.described.target(schema, None);
                match target["properties"].is_object() && !optional {
                    true => Tree::Map(self.members(pointer, target, (&Map::new(), resolved))),
                    // An optional part that is not there.
                    false => Tree::Map(Vec::new()),
                }
            }
        };
        Node { tree, origin }
    }

    /// What a flag or a variable says, as the type of the setting.
    fn typed(&self, schema: &Value, said: &Value) -> Value {
        let whole = schema["type"] == "integer" || schema["type"][0] == "integer";
        let number = said
            .as_str()
            .filter(|_| whole)
            .and_then(|text| text.parse::<u64>().ok());
        number.map_or_else(|| said.clone(), Value::from)
    }
}

/// What a value refers to, if it does.
fn reference(written: &Value) -> Option<String> {
    match written {
        Value::String(text) if text.replace("$${", "").contains("${") => Some(text.clone()),
        Value::Object(members) if members.len() == 1 => {
            let (kind, named) = members.iter().next()?;
            let kind = ["$env", "$file", "$include"]
                .iter()
                .find(|known| *known == kind)?;
            Some(format!("{kind}: {}", named.as_str().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The same, if there is nothing but one reference, without anything that would count in its place.
fn bare_reference(written: &Value) -> Option<String> {
    let name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let bare = match written {
        Value::String(text) => text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(name),
        Value::Object(members) => members.values().all(Value::is_string),
        _ => false,
    };
    reference(written).filter(|_| bare)
}

/// A secret that stands in the file, or a part of one; a reference to one is none.
fn hidden(written: &Value) -> Value {
    match written {
        Value::Array(entries) => entries.iter().map(hidden).collect(),
        written if bare_reference(written).is_some() => written.clone(),
        _ => HIDDEN.into(),
    }
}

/// A text without the password of a URL in it.
fn without_password(value: &Value) -> Value {
    value
        .as_str()
        .map_or_else(|| value.clone(), |text| secrets::without_password(text).into())
}

/// A value whose parts all came from the same place.
fn plain(value: &Value) -> Tree {
    let node = |value: &Value| Node {
        tree: plain(value),
        origin: Origin::Default,
    };
    match value {
        Value::Object(members) if reference(value).is_none() => Tree::Map(
            members
                .iter()
                .map(|(name, value)| (name.clone(), node(value)))
                .collect(),
        ),
        value => Tree::Scalar(value.clone()),
    }
}

impl Origin {
    fn in_words(&self, file: &Path) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::Line(line) => format!("{}:{line}", file.display()),
            Self::Reference(line, reference) => format!("{}:{line}, {reference}", file.display()),
            Self::By(By::Flag(name) | By::Variable(name)) => name.clone(),
        }
    }

    fn json(&self, file: &Path) -> Value {
        let file = file.display().to_string();
        match self {
            Self::Default => json!({ "from": "default" }),
            Self::Line(line) => json!({ "from": "file", "file": file, "line": line }),
            Self::Reference(line, reference) => {
                json!({ "from": "file", "file": file, "line": line, "reference": reference })
            }
            Self::By(By::Flag(name)) => json!({ "from": "flag", "flag": name }),
            Self::By(By::Variable(name)) => json!({ "from": "environment", "variable": name }),
        }
    }
}

impl Node {
    fn is_comment(&self) -> bool {
        matches!(self.tree, Tree::Words(_))
    }

    fn json(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::Words(_) => Value::Null,
            Tree::List(entries) => entries.iter().map(Self::json).collect(),
            Tree::Map(members) => {
                let members = members.iter().map(|(name, node)| (name.clone(), node.json()));
                Value::Object(members.collect())
            }
        }
    }

    fn rows(&self, path: &str, file: &Path, rows: &mut Vec<Value>) {
        let mut row = |value: Value, words: Option<&str>| {
            let mut row = json!({ "setting": path, "value": value, "origin": self.origin.json(file) });
            if let Some(words) = words {
                row["meaning"] = words.into();
            }
            rows.push(row);
        };
        match &self.tree {
            Tree::Scalar(value) => row(value.clone(), None),
            Tree::Words(words) => row(Value::Null, Some(words)),
            Tree::List(entries) if entries.is_empty() => row(json!([]), None),
            Tree::Map(members) if members.is_empty() => row(json!({}), None),
            Tree::List(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    entry.rows(&format!("{path}[{index}]"), file, rows);
                }
            }
            Tree::Map(members) => {
                for (name, node) in members {
                    let below = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    node.rows(&below, file, rows);
                }
            }
        }
    }
}

/// Lines of YAML, each with the origin of its value.
type Lines<'n> = Vec<(String, Option<&'n Origin>)>;

fn write<'n>(node: &'n Node, indent: &str, lines: &mut Lines<'n>) {
    match &node.tree {
        Tree::Map(members) => {
            for (name, node) in members {
                let name = word(name);
                match &node.tree {
                    Tree::Scalar(value) => {
                        lines.push((format!("{indent}{name}: {}", scalar(value)), Some(&node.origin)))
                    }
                    Tree::Words(words) => {
                        lines.push((format!("{indent}# {name}: {words}"), Some(&node.origin)))
                    }
                    Tree::List(entries) if entries.is_empty() => {
                        lines.push((format!("{indent}{name}: []"), Some(&node.origin)));
                    }
                    Tree::Map(members) if members.iter().all(|(_, node)| node.is_comment()) => {
                        lines.push((format!("{indent}{name}: {{}}"), Some(&node.origin)));
                        write(node, &format!("{indent}  "), lines);
                    }
                    Tree::List(_) | Tree::Map(_) => {
                        lines.push((format!("{indent}{name}:"), None));
                        write(node, &format!("{indent}  "), lines);
                    }
                }
            }
        }
        Tree::List(entries) => {
            for entry in entries {
                match &entry.tree {
                    Tree::Scalar(value) => {
                        lines.push((format!("{indent}- {}", scalar(value)), Some(&entry.origin)))
                    }
                    Tree::Words(_) => {}
                    Tree::List(_) | Tree::Map(_) => {
                        // The dash takes the place of the indentation of the first line that is no comment.
                        let first = lines.len();
                        write(entry, &format!("{indent}  "), lines);
                        let mut written = lines.iter_mut().skip(first).map(|(line, _)| line);
                        match written.find(|line| !line.trim_start().starts_with('#')) {
                            Some(line) => line.replace_range(indent.len()..=indent.len(), "-"),
                            None => lines.push((format!("{indent}- {{}}"), Some(&entry.origin))),
                        }
                    }
                }
            }
        }
        Tree::Scalar(_) | Tree::Words(_) => {}
    }
}

/// A value in one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        Value::Array(entries) => {
            let entries: Vec<String> = entries.iter().map(inner).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", word(name), inner(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// The same between brackets, where more needs quotes.
fn inner(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains(['$', '{', ',']) => value.to_string(),
        value => scalar(value),
    }
}

/// A text as YAML, in quotes unless it is plainly a word.
fn word(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '$';
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-+$".contains(c);
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let known = reserved.contains(&text.to_ascii_lowercase().as_str());
    match text.starts_with(begins) && text.chars().all(plain) && !known {
        true => text.to_owned(),
        false => Value::String(text.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests;
