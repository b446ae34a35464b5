//! The JSON Schema of the configuration: made from the types, committed for editors, and what every file is checked by.

use std::net::SocketAddr;

use decide::problem::Problem;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The format of addresses to listen on, in the schema.
pub(super) const ADDRESS: &str = "ip-and-port";

/// The schema (JSON Schema 2020-12).
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Config>();
    // The settings of the judgement are flattened into the top level, where serde itself cannot refuse unknown keys.
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema.to_value()
}

/// Everything in `value` that the schema does not allow.
pub(super) fn check(value: &Value) -> Vec<Problem> {
    check_by(&json_schema(), value)
}

/// Everything in `value` that this schema does not allow.
pub(super) fn check_by(schema: &Value, value: &Value) -> Vec<Problem> {
    let validator = match validator(schema) {
        Ok(validator) => validator,
        Err(error) => {
            return vec![Problem::setting(
                "",
                format!("the built-in schema is broken: {error}"),
                "",
            )];
        }
    };
    let mut problems: Vec<Problem> = validator
        .iter_errors(value)
        .flat_map(|error| describe(&error, schema))
        .collect();
    problems.sort_by_key(ToString::to_string);
    problems.dedup();
    problems
}

/// Makes numbers and booleans of the texts at these JSON pointers where the schema wants them: an environment variable
/// can only be a text.
pub(super) fn convert(value: &mut Value, pointers: &[String]) {
    let schema = json_schema();
    let Some(validator) = validator(&schema).ok().filter(|_| !pointers.is_empty()) else {
        return; // `check` reports the broken schema.
    };
    let converted: Vec<(String, Value)> = validator
        .iter_errors(value)
        .filter(|error| {
            pointers
                .iter()
                .any(|known| known == error.instance_path().as_str())
        })
        .filter_map(|error| {
            let ValidationErrorKind::Type { kind } = error.kind() else {
                return None;
            };
            let text = error.instance().as_str()?;
            let typed = wanted(kind).iter().find_map(|kind| typed(text, kind))?;
            Some((error.instance_path().as_str().to_owned(), typed))
        })
        .collect();
    for (pointer, typed) in converted {
        if let Some(place) = value.pointer_mut(&pointer) {
            *place = typed;
        }
    }
}

/// The text as a value of one of JSON Schema's types.
fn typed(text: &str, kind: &str) -> Option<Value> {
    match kind {
        "integer" => text
            .parse::<u64>()
            .map(Value::from)
            .or_else(|_| text.parse::<i64>().map(Value::from))
            .ok(),
        "number" => text
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(Value::from),
        "boolean" => text.parse::<bool>().map(Value::from).ok(),
        _ => None,
    }
}

fn validator(schema: &Value) -> Result<jsonschema::Validator, jsonschema::ValidationError<'static>> {
    jsonschema::options()
        .with_format(ADDRESS, |text: &str| text.parse::<SocketAddr>().is_ok())
        .should_validate_formats(true)
        .build(schema)
}

fn wanted(kind: &TypeKind) -> Vec<String> {
    let kinds: Vec<String> = match kind {
        TypeKind::Single(kind) => vec![kind.to_string()],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
    };
    kinds
        .iter()
        .map(|kind| kind.trim_matches('"').to_owned())
        .filter(|kind| kind != "null")
        .collect()
}

fn describe(error: &jsonschema::ValidationError<'_>, schema: &Value) -> Vec<Problem> {
    let at = error.instance_path().as_str();
    // What the types say about the place, in the words of their documentation.
    let rule = error.schema_path().as_str();
    let around = rule.rsplit_once('/').map_or("", |(around, _keyword)| around);
    let part = schema.pointer(around).unwrap_or(&Value::Null);
    let documentation = || documentation(part).unwrap_or_default();
    let problem = |message: String, help: String| vec![Problem::setting(at, message, help)];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known: Vec<&str> = part["properties"]
                .as_object()
                .map(|properties| properties.keys().map(String::as_str).collect())
                .unwrap_or_default();
            unexpected
                .iter()
                .map(|key| {
                    Problem::name(
                        format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                        format!("there is no setting `{key}` here"),
                        closest(key, &known)
                            .unwrap_or_else(|| format!("here are known: {}", known.join(", "))),
                    )
                })
                .collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let help = self::documentation(&part["properties"][name]).unwrap_or_default();
            problem(format!("`{name}` is missing"), format!("`{name}`: {help}"))
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = wanted(kind);
            let wanted: Vec<&str> = wanted.iter().map(|kind| in_words(kind)).collect();
            problem(
                format!(
                    "this should be {}, and is {}",
                    wanted.join(" or "),
                    kind_of(error.instance())
                ),
                documentation(),
            )
        }
        ValidationErrorKind::Format { format } if format == ADDRESS => problem(
            format!("{} is no address to listen on", error.instance()),
            "an IP address and a port, such as `127.0.0.1:9191`, `0.0.0.0:9191` or `[::]:9191`; names are not \
             looked up"
                .to_owned(),
        ),
        ValidationErrorKind::MinItems { limit } | ValidationErrorKind::MaxItems { limit } => {
            let entries = error.instance().as_array().map_or(0, Vec::len);
            problem(
                format!("this list should have {limit} entries, and has {entries}"),
                documentation(),
            )
        }
        ValidationErrorKind::Enum { options } => {
            one_of(at, error.instance(), options.as_array()).into_iter().collect()
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            // An optional part: what is wrong with its one real form says more than "none of the forms fits".
            let forms: Vec<_> = context
                .iter()
                .filter(|errors| {
                    !errors
                        .iter()
                        .all(|e| e.instance_path().as_str() == at && is_null_type(e))
                })
                .collect();
            // Of the other forms, only one may be of the kind that the value is.
            let of_kind: Vec<_> = forms
                .iter()
                .copied()
                .filter(|errors| {
                    !errors
                        .iter()
                        .any(|e| e.instance_path().as_str() == at && is_of_other_kind(e))
                })
                .collect();
            let any = matches!(error.kind(), ValidationErrorKind::AnyOf { .. });
            let forms = if any && of_kind.len() == 1 { of_kind } else { forms };
            match forms.as_slice() {
                [errors] => errors.iter().flat_map(|error| describe(error, schema)).collect(),
                _ => match one_of(at, error.instance(), schema.pointer(rule).and_then(Value::as_array)) {
                    Some(problem) => vec![problem],
                    None => problem(format!("{} is nothing that can stand here", error.instance()), documentation()),
                },
            }
        }
        _ => problem(error.to_string(), documentation()),
    }
}

/// A value that is none of the named ones, if there are named ones. An option is a text, `{const}`, `{enum}`, or an object with one setting.
fn one_of(at: &str, value: &Value, options: Option<&Vec<Value>>) -> Option<Problem> {
    let mut names: Vec<String> = Vec::new();
    for option in options.into_iter().flatten() {
        let texts = option["enum"].as_array().into_iter().flatten();
        let texts = texts.chain([&option["const"], option]).filter_map(Value::as_str);
        names.extend(texts.map(str::to_owned));
        let settings = option["properties"].as_object();
        names.extend(
            settings
                .into_iter()
                .flatten()
                .map(|(name, _)| format!("{name}: …")),
        );
    }
    if names.is_empty() {
        return None;
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let suggestion = value.as_str().and_then(|value| closest(value, &known));
    let all = known
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let help = match suggestion {
        Some(suggestion) => format!("{suggestion} Known are {all}"),
        None => format!("known are {all}"),
    };
    let message = format!("{value} is not one of the known values");
    Some(Problem::setting(at, message, help))
}

fn closest(word: &str, known: &[&str]) -> Option<String> {
    let distances = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    distances.min().map(|(_, name)| format!("did you mean `{name}`?"))
}

/// The documentation of a part of the schema, in one line.
fn documentation(part: &Value) -> Option<String> {
    let text = part["description"].as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// JSON Schema's types, as people write them in YAML.
fn in_words(kind: &str) -> &str {
    match kind {
        "array" => "a list",
        "object" => "a group of settings",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        other => other,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a group of settings",
    }
}

/// Whether the value cannot have been meant for this form: it is of another type, or a group or list where there are words.
fn is_of_other_kind(error: &jsonschema::ValidationError<'_>) -> bool {
    match error.kind() {
        ValidationErrorKind::Type { .. } => true,
        ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::OneOfNotValid { .. } => {
            error.instance().is_object() || error.instance().is_array()
        }
        _ => false,
    }
}

fn is_null_type(error: &jsonschema::ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(kind) } if kind.to_string().contains("null"))
}
