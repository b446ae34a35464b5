//! Conditions of the usual shapes, answered by looking at principal, resource and context where they are.
//!
//! Cedar's interpreter takes a map of entities, and finds them in it by their names again and again; that costs more than the
//! rest of a decision. Here is only what is either true or false beyond doubt. Whatever else comes up, an attribute that is
//! not there or a value of another type, is no answer, and the interpreter is asked: all errors are Cedar's own.

use cedar_policy_core::ast::{
    BinaryOp, Context, EntityType, EntityUID, Expr, ExprKind, Literal, PartialValue, Set, UnaryOp, Value,
    ValueKind, Var,
};
use smol_str::SmolStr;

use super::entities::Placed;
use super::resource::Resource;

/// So many entries of a set are compared in less time than one of them is looked up.
const FEW: usize = 8;

/// A condition, or a part of one that is true or false.
#[derive(Debug)]
pub(super) enum Quick {
    Always(bool),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    /// `context.mfa`
    Holds(Term),
    /// `resource has workspace`
    Has(Subject, SmolStr),
    /// `principal.hasTag("x")`
    HasTag(Subject, Term),
    /// `principal in Group::"x"`
    In(Subject, EntityUID),
    /// `principal is User`
    Is(Subject, EntityType),
    Equal(Term, Term),
    Less(Term, Term),
    LessOrEqual(Term, Term),
    /// `a.contains(b)`
    Contains(Term, Term),
    /// `a.containsAny(b)`
    ContainsAny(Term, Term),
    /// `a.containsAll(b)`
    ContainsAll(Term, Term),
}

/// A part of a condition that has a value.
#[derive(Debug)]
pub(super) enum Term {
    Literal(Literal),
    /// `["a", "b"]`
    List(Vec<Literal>),
    /// `principal`
    Name(Subject),
    /// `resource.workspace`
    Attribute(Subject, SmolStr),
    /// `principal.getTag("x")`
    Tag(Subject, Box<Self>),
}

/// Whose attributes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Principal,
    Resource,
    Context,
}

/// What a question is about.
pub(super) struct Facts<'f> {
    pub(super) principal: &'f Placed,
    pub(super) resource: &'f Resource,
    pub(super) context: &'f Context,
}

/// A value, where it is.
#[derive(Clone, Copy)]
enum Found<'f> {
    Literal(&'f Literal),
    Name(&'f EntityUID),
    Set(&'f Set),
    List(&'f [Literal]),
}

impl Quick {
    /// `None` if the interpreter has to be asked.
    pub(super) fn of(expression: &Expr) -> Option<Self> {
        let both = |left: &Expr, right: &Expr| Some((Box::new(Self::of(left)?), Box::new(Self::of(right)?)));
        match expression.expr_kind() {
            ExprKind::Lit(Literal::Bool(value)) => Some(Self::Always(*value)),
            ExprKind::And { left, right } => both(left, right).map(|(left, right)| Self::And(left, right)),
            ExprKind::Or { left, right } => both(left, right).map(|(left, right)| Self::Or(left, right)),
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => Some(Self::Not(Box::new(Self::of(arg)?))),
            ExprKind::HasAttr { expr, attr } => Some(Self::Has(Subject::of(expr)?, attr.clone())),
            ExprKind::Is { expr, entity_type } => Some(Self::Is(Subject::named(expr)?, entity_type.clone())),
            ExprKind::BinaryApp { op, arg1, arg2 } => match op {
                BinaryOp::HasTag => Some(Self::HasTag(Subject::named(arg1)?, Term::of(arg2)?)),
                BinaryOp::In => match arg2.expr_kind() {
                    ExprKind::Lit(Literal::EntityUID(uid)) => {
                        Some(Self::In(Subject::named(arg1)?, EntityUID::clone(uid)))
                    }
                    _ => None,
                },
                BinaryOp::Eq => Some(Self::Equal(Term::of(arg1)?, Term::of(arg2)?)),
                BinaryOp::Less => Some(Self::Less(Term::of(arg1)?, Term::of(arg2)?)),
                BinaryOp::LessEq => Some(Self::LessOrEqual(Term::of(arg1)?, Term::of(arg2)?)),
                BinaryOp::Contains => Some(Self::Contains(Term::of(arg1)?, Term::of(arg2)?)),
                BinaryOp::ContainsAny => Some(Self::ContainsAny(Term::of(arg1)?, Term::of(arg2)?)),
                BinaryOp::ContainsAll => Some(Self::ContainsAll(Term::of(arg1)?, Term::of(arg2)?)),
                _ => None,
            },
            ExprKind::GetAttr { .. } => Term::of(expression).map(Self::Holds),
            _ => None,
        }
    }

    /// Whether it is true; `None` if the interpreter has to be asked.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        Some(match self {
            Self::Always(value) => *value,
            Self::Not(part) => !part.holds(facts)?,
            Self::And(left, right) => left.holds(facts)? && right.holds(facts)?,
            Self::Or(left, right) => left.holds(facts)? || right.holds(facts)?,
            Self::Holds(term) => match term.find(facts)? {
                Found::Literal(Literal::Bool(value)) => *value,
                _ => return None,
            },
            Self::Has(subject, name) => facts.attribute(*subject, name)?.is_some(),
            Self::HasTag(subject, tag) => facts.tag(*subject, tag.text(facts)?)?.is_some(),
            Self::In(subject, uid) => match subject {
                Subject::Principal => *facts.principal.uid == *uid || facts.principal.is_in(uid),
                Subject::Resource => {
                    let mut above = facts.resource.ancestors().iter();
                    facts.resource.uid().as_ref() == uid || above.any(|ancestor| ancestor.as_ref() == uid)
                }
                Subject::Context => return None,
            },
            Self::Is(subject, kind) => facts.name(*subject)?.entity_type() == kind,
            Self::Equal(left, right) => left.find(facts)?.equals(right.find(facts)?)?,
            Self::Less(left, right) => left.number(facts)? < right.number(facts)?,
            Self::LessOrEqual(left, right) => left.number(facts)? <= right.number(facts)?,
            Self::Contains(set, one) => set.find(facts)?.contains(one.find(facts)?)?,
            Self::ContainsAny(set, others) => {
                let set = set.find(facts)?;
                let mut others = others.find(facts)?.literals()?.map(Found::Literal);
                // The set itself may be none.
                let _ = set.literals()?;
                others.try_fold(false, |any, one| Some(any || set.contains(one)?))?
            }
            Self::ContainsAll(set, others) => {
                let set = set.find(facts)?;
                let mut others = others.find(facts)?.literals()?.map(Found::Literal);
                let _ = set.literals()?;
                others.try_fold(true, |all, one| Some(all && set.contains(one)?))?
            }
        })
    }
}

impl Term {
    fn of(expression: &Expr) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::Lit(literal) => Some(Self::Literal(literal.clone())),
            ExprKind::Var(_) => Subject::named(expression).map(Self::Name),
            ExprKind::GetAttr { expr, attr } => Some(Self::Attribute(Subject::of(expr)?, attr.clone())),
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag,
                arg1,
                arg2,
            } => Some(Self::Tag(Subject::named(arg1)?, Box::new(Self::of(arg2)?))),
            ExprKind::Set(entries) => {
                let literals = entries.iter().map(|entry| match entry.expr_kind() {
                    ExprKind::Lit(literal) => Some(literal.clone()),
                    _ => None,
                });
                literals.collect::<Option<_>>().map(Self::List)
            }
            _ => None,
        }
    }

    fn find<'f>(&'f self, facts: &'f Facts<'_>) -> Option<Found<'f>> {
        match self {
            Self::Literal(literal) => Some(Found::Literal(literal)),
            Self::List(list) => Some(Found::List(list)),
            Self::Name(subject) => facts.name(*subject).map(Found::Name),
            Self::Attribute(subject, name) => Found::of(facts.attribute(*subject, name)??),
            Self::Tag(subject, tag) => Found::of(facts.tag(*subject, tag.text(facts)?)??),
        }
    }

    fn text<'f>(&'f self, facts: &'f Facts<'_>) -> Option<&'f str> {
        match self.find(facts)? {
            Found::Literal(Literal::String(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, facts: &Facts<'_>) -> Option<i64> {
        match self.find(facts)? {
            Found::Literal(Literal::Long(number)) => Some(*number),
            _ => None,
        }
    }
}

impl Subject {
    fn of(expression: &Expr) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::Var(Var::Principal) => Some(Self::Principal),
            ExprKind::Var(Var::Resource) => Some(Self::Resource),
            ExprKind::Var(Var::Context) => Some(Self::Context),
            _ => None,
        }
    }

    /// One that is an entity.
    fn named(expression: &Expr) -> Option<Self> {
        Self::of(expression).filter(|subject| *subject != Self::Context)
    }
}

impl Facts<'_> {
    fn name(&self, subject: Subject) -> Option<&EntityUID> {
        match subject {
            Subject::Principal => Some(&self.principal.uid),
            Subject::Resource => Some(self.resource.uid().as_ref()),
            Subject::Context => None,
        }
    }

    /// An attribute, if it is there; `None` if that is not known.
    fn attribute(&self, subject: Subject, name: &str) -> Option<Option<&Value>> {
        match (subject, self.context) {
            (Subject::Principal, _) => self.principal.whole.attribute(name),
            (Subject::Resource, _) => self.resource.attribute(name),
            (Subject::Context, Context::Value(members)) => Some(members.get(name)),
            (Subject::Context, Context::RestrictedResidual(_)) => None,
        }
    }

    /// The same of a tag.
    fn tag(&self, subject: Subject, name: &str) -> Option<Option<&Value>> {
        match subject {
            Subject::Principal => self.principal.whole.tag(name),
            Subject::Resource => self.resource.tag(name),
            Subject::Context => None,
        }
    }
}

/// A value that is there or not; `None` for one that would have to be evaluated.
pub(super) fn known(value: Option<&PartialValue>) -> Option<Option<&Value>> {
    match value {
        None => Some(None),
        Some(PartialValue::Value(value)) => Some(Some(value)),
        Some(PartialValue::Residual(_)) => None,
    }
}

impl<'f> Found<'f> {
    fn of(value: &'f Value) -> Option<Self> {
        match &value.value {
            ValueKind::Lit(literal) => Some(Self::Literal(literal)),
            ValueKind::Set(set) => Some(Self::Set(set)),
            ValueKind::Record(_) | ValueKind::ExtensionValue(_) => None,
        }
    }

    /// `None` for sets: what is equal about them is the interpreter's business.
    fn equals(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => Some(one == other),
            (Self::Name(one), Self::Name(other)) => Some(one == other),
            (Self::Name(uid), Self::Literal(literal)) | (Self::Literal(literal), Self::Name(uid)) => {
                Some(matches!(literal, Literal::EntityUID(other) if **other == *uid))
            }
            _ => None,
        }
    }

    /// The entries of a set that has nothing else than literals in it.
    fn literals(self) -> Option<impl Iterator<Item = &'f Literal>> {
        let (list, set): (&[Literal], _) = match self {
            Self::List(list) => (list, None),
            Self::Set(set) => (&[], Some(set.fast.as_deref()?)),
            Self::Literal(_) | Self::Name(_) => return None,
        };
        Some(list.iter().chain(set.into_iter().flatten()))
    }

    /// Whether one is in this set; `None` if this is none, or has sets in it.
    fn contains(self, one: Self) -> Option<bool> {
        match self {
            Self::List(list) => one.is_one_of(list),
            Self::Set(set) => match (one, set.fast.as_deref()?) {
                (Self::Literal(one), many) if many.len() > FEW => Some(many.contains(one)),
                (one, few) => one.is_one_of(few),
            },
            Self::Literal(_) | Self::Name(_) => None,
        }
    }

    fn is_one_of<'l>(self, literals: impl IntoIterator<Item = &'l Literal>) -> Option<bool> {
        match self {
            Self::Literal(one) => Some(literals.into_iter().any(|literal| literal == one)),
            Self::Name(uid) => Some(
                literals
                    .into_iter()
                    .any(|literal| matches!(literal, Literal::EntityUID(other) if **other == *uid)),
            ),
            Self::Set(_) | Self::List(_) => None,
        }
    }
}
