//! The feature types in the document of a POST.

use super::super::Unclear;
use super::super::parameters::{Parameters, few_enough, malformed, name, unknown};
use super::super::xml::{Document, Element, Piece};
use super::super::{Permission, document_permission};
use super::{INSTEAD, Named, Namespaces, Operation, PERMISSIONS, TYPES, Types, of_the_service};

/// WFS 1.0 and 1.1, and 2.0.
const WFS: [&str; 2] = ["http://www.opengis.net/wfs", "http://www.opengis.net/wfs/2.0"];
/// Filters, which stand beside features.
const FILTERS: [&str; 2] = ["http://www.opengis.net/ogc", "http://www.opengis.net/fes/2.0"];

/// Reads the document. The parts that name types are right below its outermost element; every other part there may name
/// some in its own way, and is not known.
pub(super) fn operation(
    body: &[u8],
    parameters: &Parameters,
    known: &Namespaces,
) -> Result<Operation, Unclear> {
    let mut document = Document::new(body)?;
    let root = document.root()?;
    if !WFS.contains(&root.namespace.as_str()) {
        return unknown("the document is no request of WFS 1.0 to 2.0");
    }
    let permission = document_permission(&root, parameters, "WFS")?.among(PERMISSIONS)?;
    let here = parameters.any_of(TYPES).or(parameters.any_of(INSTEAD));
    if let Some(here) = here.or(parameters.any_of(&["featureid", "resourceid", "namespaces", "namespace"])) {
        return malformed(&format!("`{here}` is in the query, and there is a document"));
    }
    let mut types = Types::default();
    // The depth of an Insert or Replace: what is right below is features.
    let mut features = None;
    while let Some(piece) = document.next()? {
        let Piece::Start(element) = piece else { continue };
        if of_the_service(permission) {
            continue;
        }
        match (element.depth, features) {
            (2, _) => features = part(&mut document, permission, &element, known, &mut types)?,
            (3, Some(())) if !FILTERS.contains(&element.namespace.as_str()) => {
                types.add(feature(&element, known)?);
            }
            _ => {}
        }
        few_enough(types.named.len())?;
    }
    Ok(match of_the_service(permission) {
        true => Operation::of_service(permission),
        false => types.operation(permission),
    })
}

/// A part of the request; `Some` if it has features in it.
fn part(
    document: &mut Document<'_>,
    permission: Permission,
    element: &Element,
    known: &Namespaces,
    types: &mut Types,
) -> Result<Option<()>, Unclear> {
    let local = element.local.as_str();
    if matches!(local, "StoredQuery" | "FeatureId" | "GmlObjectId" | "ResourceId") {
        types.some_unnamed = true;
        return Ok(None);
    }
    if !WFS.contains(&element.namespace.as_str()) {
        return not_read(element);
    }
    match (permission, local) {
        (Permission::Transaction, "Insert") => Ok(Some(())),
        (Permission::Transaction, "Replace") => Ok(Some(())),
        (Permission::Transaction, "LockId") => Ok(None),
        (Permission::Transaction, "Update" | "Delete")
        | (Permission::LockFeature, "Lock")
        | (
            Permission::GetFeature
            | Permission::GetFeatureWithLock
            | Permission::LockFeature
            | Permission::GetPropertyValue,
            "Query",
        ) => {
            let named = element.attribute("typeName").into_iter();
            let lists: Vec<&str> = named.chain(element.attribute("typeNames")).collect();
            if lists.is_empty() {
                return malformed(&format!("`{}` names no feature type", element.local));
            }
            // Lists have commas in WFS 1.1, blanks in 2.0.
            let separator = |c: char| matches!(c, ',' | ' ');
            for item in lists.iter().flat_map(|list| list.split(separator)) {
                types.add(typed(document, item, known)?);
                few_enough(types.named.len())?;
            }
            Ok(None)
        }
        (Permission::DescribeFeatureType, "TypeName") => {
            let named = document.only_text()?;
            types.add(typed(document, &named, known)?);
            Ok(None)
        }
        _ => not_read(element),
    }
}

/// A type by its name. The prefix is what the document says it is.
fn typed(document: &Document<'_>, text: &str, known: &Namespaces) -> Result<Option<Named>, Unclear> {
    let text = name("typeName", text)?;
    known.named(&text, |prefix| {
        let uri = document.namespace(prefix)?;
        // Without a prefix: requests are often written with the namespace of WFS as the default.
        (!prefix.is_empty() || !WFS.contains(&uri)).then_some(uri)
    })
}

/// A type by a feature of it. Collections of features are in a namespace that no configuration knows.
fn feature(element: &Element, known: &Namespaces) -> Result<Option<Named>, Unclear> {
    let name = name("a feature", &element.local)?;
    Ok(match element.namespace.as_str() {
        "" => Some(Named {
            workspace: None,
            name,
        }),
        uri => known.within(uri, name),
    })
}

fn not_read<T>(element: &Element) -> Result<T, Unclear> {
    unknown(&format!(
        "which feature types `{}` asks for is not read",
        element.local
    ))
}
