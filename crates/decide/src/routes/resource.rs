//! The entity that a route makes of a request.

use std::fmt::Write as _;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, EvalResult};
use smallvec::SmallVec;

use super::{AttributeSettings, ResourceSettings, RouteSettings, Template};
use crate::policy::{self, EntityData, Given, ResourceEntity};

/// The entity of a route before the captured segments are filled in.
#[derive(Debug)]
pub struct ResourceTemplate {
    /// Entity type.
    pub kind: EntityTypeName,
    /// Entity id.
    pub id: Template,
    /// Attributes.
    pub attributes: Vec<(Box<str>, Attribute)>,
    /// Direct ancestors: type and id.
    pub ancestors: Vec<(EntityTypeName, Template)>,
}

/// The value of an attribute before the captured segments are filled in.
#[derive(Debug)]
pub enum Attribute {
    /// A String.
    Text(Template),
    /// A Bool.
    Boolean(bool),
    /// A Long.
    Number(i64),
    /// A set of Strings.
    Texts(Vec<Template>),
    /// An entity: type and id.
    Entity(EntityTypeName, Template),
}

impl ResourceTemplate {
    /// The entity, with `value` for each name and what `data` says of it.
    pub(crate) fn fill<'a>(
        &'a self,
        value: impl Fn(&str) -> &'a str + Copy,
        data: &EntityData,
    ) -> ResourceEntity {
        let mut named = Vec::new();
        let mut attributes: SmallVec<[_; 2]> = SmallVec::new();
        for (name, attribute) in &self.attributes {
            let value = match attribute {
                Attribute::Text(template) => Given::text(&template.fill(value)),
                Attribute::Boolean(value) => Given::boolean(*value),
                Attribute::Number(value) => Given::number(*value),
                Attribute::Texts(templates) => {
                    let texts: Vec<_> = templates.iter().map(|template| template.fill(value)).collect();
                    Given::texts(texts.iter().map(|text| &**text))
                }
                Attribute::Entity(kind, id) => {
                    let uid = uid(kind, &id.fill(value));
                    let given = Given::entity(&uid);
                    named.push(uid);
                    given
                }
            };
            attributes.push((&**name, value));
        }
        let ancestors = self.ancestors.iter().map(|(kind, id)| uid(kind, &id.fill(value)));
        let uid = uid(&self.kind, &self.id.fill(value));
        ResourceEntity::new(uid, attributes, ancestors, named, data)
    }
}

impl Attribute {
    /// How identity headers show it; a set has no one text.
    pub(crate) fn shown<'a>(&'a self, value: impl Fn(&str) -> &'a str) -> Option<String> {
        match self {
            Self::Text(template) | Self::Entity(_, template) => Some(template.fill(value).into_owned()),
            Self::Boolean(value) => Some(value.to_string()),
            Self::Number(value) => Some(value.to_string()),
            Self::Texts(_) => None,
        }
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// Compiles the resource of a route, with every problem found on the way.
pub(super) fn compile(
    route: &RouteSettings,
    names: &[&str],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<ResourceTemplate> {
    let names: Vec<&str> = names.iter().copied().chain(["host", "path"]).collect();
    let settings = &route.resource;
    let id = settings.id.as_deref().unwrap_or("{host}{path}");
    let id = template("/resource/id", id, &names, problem);
    let mut attributes = Some(Vec::with_capacity(settings.attributes.len()));
    for (name, value) in &settings.attributes {
        let part = format!(
            "/resource/attributes/{}",
            name.replace('~', "~0").replace('/', "~1")
        );
        let value = attribute(&part, value, &names, problem);
        attributes = attributes.zip(value).map(|(mut all, value)| {
            all.push((name.as_str().into(), value));
            all
        });
    }
    let mut ancestors = Some(Vec::with_capacity(settings.ancestors.len()));
    for (i, entity) in settings.ancestors.iter().enumerate() {
        let id = template(&format!("/resource/in/{i}/id"), &entity.id, &names, problem);
        let kind = kind(&format!("/resource/in/{i}/type"), &entity.kind, problem);
        ancestors = ancestors.zip(kind.zip(id)).map(|(mut all, ancestor)| {
            all.push(ancestor);
            all
        });
    }
    Some(ResourceTemplate {
        kind: kind("/resource/type", &settings.kind, problem)?,
        id: id?,
        attributes: attributes?,
        ancestors: ancestors?,
    })
}

fn attribute(
    part: &str,
    value: &AttributeSettings,
    names: &[&str],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<Attribute> {
    Some(match value {
        AttributeSettings::Text(text) => Attribute::Text(template(part, text, names, problem)?),
        AttributeSettings::Boolean(value) => Attribute::Boolean(*value),
        AttributeSettings::Number(value) => Attribute::Number(*value),
        AttributeSettings::Texts(texts) => {
            let texts = texts.iter().enumerate();
            let texts: Vec<_> = texts
                .map(|(i, text)| template(&format!("{part}/{i}"), text, names, problem))
                .collect();
            Attribute::Texts(texts.into_iter().collect::<Option<_>>()?)
        }
        AttributeSettings::Entity(reference) => {
            let entity = &reference.entity;
            let id = template(&format!("{part}/entity/id"), &entity.id, names, problem);
            Attribute::Entity(kind(&format!("{part}/entity/type"), &entity.kind, problem)?, id?)
        }
    })
}

fn template(
    part: &str,
    text: &str,
    names: &[&str],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<Template> {
    let help = "a text may contain `{name}` of the path and host patterns, `{host}` and `{path}`";
    Template::parse(text, names)
        .map_err(|message| problem(part, message, help))
        .ok()
}

fn kind(part: &str, name: &str, problem: &mut impl FnMut(&str, String, &str)) -> Option<EntityTypeName> {
    let kind = name.parse();
    let message = || format!("`{name}` is no entity type name");
    kind.map_err(|_| problem(part, message(), "for example `Workspace`"))
        .ok()
}

/// The text in place of everything that requests fill.
const SAMPLE: &str = "sample";

impl ResourceSettings {
    /// An entity as requests make it.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub(crate) fn sample(&self) -> Result<ResourceEntity, String> {
        let text = || Given::text(SAMPLE);
        let mut attributes = Vec::with_capacity(self.attributes.len());
        for (name, value) in &self.attributes {
            let value = match value {
                AttributeSettings::Text(_) => text(),
                AttributeSettings::Boolean(value) => Given::boolean(*value),
                AttributeSettings::Number(value) => Given::number(*value),
                AttributeSettings::Texts(texts) => Given::texts(texts.iter().map(|_| SAMPLE)),
                AttributeSettings::Entity(reference) => {
                    Given::entity(&policy::uid(&reference.entity.kind, SAMPLE)?)
                }
            };
            attributes.push((name.as_str(), value));
        }
        let ancestors = self
            .ancestors
            .iter()
            .map(|entity| policy::uid(&entity.kind, SAMPLE));
        let ancestors = ancestors.collect::<Result<Vec<_>, _>>()?;
        let uid = policy::uid(&self.kind, SAMPLE)?;
        let data = EntityData::default();
        Ok(ResourceEntity::new(uid, attributes, ancestors, Vec::new(), &data))
    }

    /// What the schema can tell of it: resources of one shape fit or do not fit together.
    pub(crate) fn shape(&self) -> String {
        let mut shape = format!("{} in", self.kind);
        for entity in &self.ancestors {
            let _ = write!(shape, " {}", entity.kind);
        }
        for (name, value) in &self.attributes {
            let kind = match value {
                AttributeSettings::Text(_) => "text",
                AttributeSettings::Boolean(_) => "boolean",
                AttributeSettings::Number(_) => "number",
                AttributeSettings::Texts(_) => "texts",
                AttributeSettings::Entity(reference) => &reference.entity.kind,
            };
            let _ = write!(shape, ", {name:?}: {kind}");
        }
        shape
    }

    /// The attributes to which `data` gives other values, as far as that is known before there are requests.
    pub(crate) fn contradicted(&self, data: &EntityData) -> Vec<&str> {
        let literal = self.id.as_ref().filter(|id| !id.contains('{'));
        let Some(uid) = literal.and_then(|id| policy::uid(&self.kind, id).ok()) else {
            return Vec::new();
        };
        let contradicts = |name: &str, value: &AttributeSettings| match (value, data.attribute(&uid, name)) {
            (_, None) => false,
            (AttributeSettings::Text(text), Some(EvalResult::String(other))) => *text != other,
            (AttributeSettings::Boolean(value), Some(EvalResult::Bool(other))) => *value != other,
            (AttributeSettings::Number(value), Some(EvalResult::Long(other))) => *value != other,
            (_, Some(_)) => true,
        };
        let found = self
            .attributes
            .iter()
            .filter(|(name, value)| contradicts(name, value));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

impl AttributeSettings {
    /// Whether it is one value, as a header can show it.
    pub(crate) fn is_one(&self) -> bool {
        !matches!(self, Self::Texts(_))
    }
}
