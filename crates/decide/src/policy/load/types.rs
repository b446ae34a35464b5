//! Schema files and what the routes add -> the schema.

use cedar_policy::{EntityTypeName, Schema, SchemaFragment};
use miette::Diagnostic;

use super::validate::flatten;
use super::{Sources, declared_types};
use crate::policy::schema::{ActionTable, GENERATED, PRINCIPAL_TYPES};
use crate::problem::{Problem, did_you_mean};
use crate::routes::AttributeSettings;
use crate::settings::Settings;

/// The user's files are read as one text, so that types may refer to each other across files; then once more with what
/// the routes add.
pub(super) fn load_schema(
    settings: &Settings,
    actions: &ActionTable,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<(Schema, String)> {
    let declared: String = sources
        .schema
        .iter()
        .map(|file| format!("{}\n", file.text))
        .collect();
    let types = read_schema(&declared, sources, problems)?;
    let before = problems.len();
    check_types(settings, &types, problems);
    if problems.len() > before {
        return None;
    }
    let text = declared + &actions.schema_text(settings);
    Some((read_schema(&text, sources, problems)?, text))
}

fn read_schema(text: &str, sources: &Sources, problems: &mut Vec<Problem>) -> Option<Schema> {
    let mut report = |error: &dyn Diagnostic| {
        for (message, help, (offset, length)) in flatten(error) {
            let (mut file, mut start) = (GENERATED, offset);
            for source in &sources.schema {
                if start <= source.text.len() {
                    file = &source.name;
                    break;
                }
                start -= source.text.len() + 1;
            }
            problems.push(Problem::source(file, (start, length), message, help));
        }
    };
    let fragment = match SchemaFragment::from_cedarschema_str(text) {
        Ok((fragment, _warnings)) => fragment,
        Err(error) => {
            report(&error);
            return None;
        }
    };
    Schema::from_schema_fragments([fragment])
        .map_err(|error| report(&error))
        .ok()
}

/// Every entity type that the configuration names must be declared.
fn check_types(settings: &Settings, schema: &Schema, problems: &mut Vec<Problem>) {
    let declared = declared_types(schema);
    let mut check = |pointer: String, kind: &str| {
        // What is no name at all is reported where routes are compiled.
        let named = kind.parse::<EntityTypeName>().is_ok();
        if named && !declared.iter().any(|known| known == kind) {
            let help = match did_you_mean(kind, declared.iter().map(String::as_str)) {
                help if help.is_empty() => {
                    format!("declared are {}; or add `entity {kind};`", declared.join(", "))
                }
                help => help,
            };
            let message = format!("no schema file declares the entity type `{kind}`");
            problems.push(Problem::setting(pointer, message, help));
        }
    };
    for (index, route) in settings.routes.iter().enumerate() {
        check(format!("/routes/{index}/resource/type"), &route.resource.kind);
        for (name, attribute) in &route.resource.attributes {
            if let AttributeSettings::Entity(reference) = attribute {
                let pointer = format!("/routes/{index}/resource/attributes/{name}/entity/type");
                check(pointer, &reference.entity.kind);
            }
        }
        for (i, ancestor) in route.resource.ancestors.iter().enumerate() {
            check(format!("/routes/{index}/resource/in/{i}/type"), &ancestor.kind);
        }
    }
    for (index, tcp) in settings.tcp.iter().enumerate() {
        check(format!("/tcp/{index}/resource/type"), &tcp.resource.kind);
    }
    for kind in PRINCIPAL_TYPES {
        if !declared.iter().any(|known| known == kind) {
            problems.push(Problem::setting(
                "/policies/schema",
                format!("no schema file declares the principal type `{kind}`"),
                "policies/default/schema.cedarschema has the types of all principals",
            ));
        }
    }
}
