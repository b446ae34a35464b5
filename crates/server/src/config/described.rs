//! The settings as the JSON Schema describes them: type, default, meaning; and the reference of them (`docs/configuration.md`).

use std::fmt::Write as _;

use serde_json::Value;

use super::overrides::{SETTINGS, flag, variable};
use super::schema::json_schema;
use super::yaml;

/// The schema, to be walked.
#[derive(Debug)]
pub(super) struct Described(Value);

/// What a setting is if nobody says it.
#[derive(Debug, PartialEq)]
pub(super) enum Default {
    /// This value.
    Value(Value),
    /// What its description says.
    Words(String),
    /// Nothing: it has to be said, or is not there.
    Nothing,
}

impl Described {
    pub(super) fn new() -> Self {
        Self(json_schema())
    }

    pub(super) fn root(&self) -> &Value {
        &self.0
    }

    /// What the schema of a setting stands for: references followed, `null` left out. For `like`, if there are several
    /// forms: the one with that kind of value.
    pub(super) fn target<'a>(&'a self, schema: &'a Value, like: Option<&Value>) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.trim_start_matches('#');
            return self.target(self.0.pointer(pointer).unwrap_or(&Value::Null), like);
        }
        let forms: Vec<&Value> = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|kind| schema[*kind].as_array())
            .flatten()
            .filter(|form| form["type"] != "null")
            .collect();
        match forms.as_slice() {
            [] => schema,
            [form] => self.target(form, like),
            forms => {
                let fits = |form: &&&Value| {
                    let form = self.target(form, None);
                    match like {
                        Some(Value::Object(members)) => {
                            form["type"] == "object"
                                && form["required"].as_array().is_none_or(|needed| {
                                    let mut needed = needed.iter().filter_map(Value::as_str);
                                    needed.all(|name| members.contains_key(name))
                                })
                        }
                        Some(Value::Array(_)) => form["type"] == "array",
                        _ => false,
                    }
                };
                forms
                    .iter()
                    .find(fits)
                    .map_or(schema, |form| self.target(form, like))
            }
        }
    }

    /// What a setting is if nobody says it.
    pub(super) fn default(schema: &Value) -> Default {
        match &schema["default"] {
            Value::Null => {}
            value => return Default::Value(value.clone()),
        }
        let Some(words) = default_words(schema) else {
            return Default::Nothing;
        };
        let value = words
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix('`'))
            .filter(|inner| !inner.contains(['`', '{']));
        match value.map_or_else(
            || words.parse::<u64>().ok().map(Value::from),
            |inner| yaml::value(inner).ok(),
        ) {
            Some(value) => Default::Value(value),
            None => Default::Words(words),
        }
    }

    /// In words what can stand there.
    fn kind(&self, schema: &Value) -> String {
        let nullable = |forms: &Value| {
            forms
                .as_array()
                .is_some_and(|forms| forms.len() == 2 && forms[1]["type"] == "null")
        };
        if nullable(&schema["anyOf"]) {
            return self.kind(&schema["anyOf"][0]);
        }
        if let Some(name) = schema["$ref"].as_str() {
            return self.kind(
                self.0
                    .pointer(name.trim_start_matches('#'))
                    .unwrap_or(&Value::Null),
            );
        }
        if let Some(forms) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let mut kinds: Vec<String> = Vec::new();
            for form in forms {
                let kind = self.kind(form);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(", ");
        }
        if let Some(word) = schema["const"].as_str() {
            return format!("`{word}`");
        }
        if let Some(words) = schema["enum"].as_array() {
            let words = words
                .iter()
                .filter_map(Value::as_str)
                .map(|word| format!("`{word}`"));
            return words.collect::<Vec<_>>().join(", ");
        }
        let of = |part: &Value| match self.kind(part).as_str() {
            "text" => "texts".to_owned(),
            "group" => "groups".to_owned(),
            other => other.to_owned(),
        };
        match schema["type"].as_str().or(schema["type"][0].as_str()) {
            Some("array") => format!("list of {}", of(&schema["items"])),
            Some("object") if schema["additionalProperties"].is_object() => {
                format!("map of {}", of(&schema["additionalProperties"]))
            }
            Some("object") => match one_member(schema) {
                Some(name) => format!("`{name}: …`"),
                None => "group".to_owned(),
            },
            Some("string") if schema["format"] == super::schema::ADDRESS => "address".to_owned(),
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            _ => "any".to_owned(),
        }
    }

    /// The reference of all settings, as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::from(HEAD);
        for setting in SETTINGS {
            let _ = writeln!(
                page,
                "| `{setting}` | `{}` | `{}` |",
                flag(setting),
                variable(setting)
            );
        }
        page.push_str("\n| variable | says |\n|---|---|\n");
        for (name, says) in super::OTHERS {
            let _ = writeln!(page, "| `{name}` | {says} |");
        }
        page.push_str(REST);
        for (name, schema) in self.0["properties"].as_object().into_iter().flatten() {
            let _ = write!(
                page,
                "\n## `{name}`\n\n| setting | type | default | meaning |\n|---|---|---|---|\n"
            );
            self.rows(
                &mut page,
                name,
                schema,
                is_required(&self.0, name),
                &mut Vec::new(),
            );
        }
        page
    }

    /// The row of a setting, and those of what is in it.
    fn rows(&self, page: &mut String, path: &str, schema: &Value, required: bool, above: &mut Vec<String>) {
        let default = match Self::default(schema) {
            _ if required => "required".to_owned(),
            Default::Value(value) => format!("`{}`", value.as_str().map_or(value.to_string(), str::to_owned)),
            Default::Words(words) => words,
            Default::Nothing => String::new(),
        };
        let cell = |text: &str| {
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace('|', "\\|")
        };
        let meaning = schema["description"].as_str().unwrap_or_default();
        let meaning = cell(meaning);
        let meaning = meaning.split(" Default: ").next().unwrap_or_default();
        let example = match schema["examples"].as_array().and_then(|all| all.first()) {
            Some(example) if !example.is_string() => format!(" Example: `{example}`"),
            _ => String::new(),
        };
        let _ = writeln!(
            page,
            "| `{path}` | {} | {} | {meaning}{example} |",
            cell(&self.kind(schema)),
            cell(&default)
        );
        self.below(page, path, schema, above);
    }

    /// The rows of what is in a setting: of each form that it can have.
    fn below(&self, page: &mut String, path: &str, schema: &Value, above: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            if above.iter().any(|known| known == name) {
                return;
            }
            above.push(name.to_owned());
            self.below(
                page,
                path,
                self.0
                    .pointer(name.trim_start_matches('#'))
                    .unwrap_or(&Value::Null),
                above,
            );
            above.pop();
            return;
        }
        for form in ["anyOf", "oneOf"]
            .iter()
            .filter_map(|kind| schema[*kind].as_array())
            .flatten()
        {
            self.below(page, path, form, above);
        }
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            self.rows(
                page,
                &format!("{path}.{name}"),
                part,
                is_required(schema, name),
                above,
            );
        }
        if schema["items"].is_object() {
            self.below(page, &format!("{path}[]"), &schema["items"], above);
        }
        if schema["additionalProperties"].is_object() {
            self.below(
                page,
                &format!("{path}.<name>"),
                &schema["additionalProperties"],
                above,
            );
        }
    }
}

/// The name of the only member of a form such as `file: …`.
fn one_member(schema: &Value) -> Option<&str> {
    let members = schema["properties"].as_object()?;
    let needed = schema["required"].as_array()?;
    (members.len() == 1 && needed.len() == 1).then(|| needed[0].as_str())?
}

fn is_required(schema: &Value, name: &str) -> bool {
    let mut required = schema["required"].as_array().into_iter().flatten();
    required.any(|known| known == name)
}

/// What stands behind `Default:` in the description.
fn default_words(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, words) = text.split_once("Default: ")?;
    let words = words.split(" Example: ").next().unwrap_or_default();
    Some(words.trim_end_matches('.').to_owned())
}

const HEAD: &str = "\
<!-- Written by `cargo xtask generate` from the JSON Schema; the words are those of the types. -->
# Settings

One YAML file. `portcullis validate` tells every problem of it at once, and what is unknown is a problem;
`portcullis config show --origin` prints what is in force and where each value came from. Editors complete and check it
with [the schema](../deploy/config.schema.json): `# yaml-language-server: $schema=…` in the first line.

Any text of it can take values from the environment and from files: `${NAME}`, `${NAME:-default}`, `$env`, `$file`, `$include`
([README](../README.md#secrets)).

## Flags and variables

Flags count more than the environment, the environment more than the file, and the file more than defaults. What differs
from one environment to the next can be said by all three; an empty variable says nothing:

| setting | flag of `serve` | variable |
|---|---|---|
";
const REST: &str = "
Any other variable `PORTCULLIS_…` is a problem, unless the file refers to it or Kubernetes sets it for a service of that
name.

In paths below, `[]` is each entry of a list and `<name>` each name of a map.
";

#[cfg(test)]
mod tests;
