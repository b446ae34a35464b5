//! Values that are what they are: made without being parsed or evaluated.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Context, EntityUid, RestrictedExpression};
use cedar_policy_core::ast::{self, BorrowedRestrictedExpr, Literal, PartialValue, Value};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;

/// The value of an attribute, or of a member of the context.
#[derive(Clone, Debug)]
pub struct Given(pub(super) Value);

impl Given {
    /// A String.
    pub fn text(text: &str) -> Self {
        Self(Value::from(text))
    }

    /// A Bool.
    pub fn boolean(value: bool) -> Self {
        Self(Value::from(value))
    }

    /// A Long.
    pub fn number(value: i64) -> Self {
        Self(Value::from(value))
    }

    /// An entity.
    pub fn entity(uid: &EntityUid) -> Self {
        Self(Value::from(AsRef::<ast::EntityUID>::as_ref(uid).clone()))
    }

    /// A set of Strings.
    pub fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts = texts.into_iter().map(|text| Literal::String(text.into()));
        Self(Value::set_of_lits(texts, None))
    }

    /// A record.
    pub fn record<'n>(members: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let members = members.into_iter().map(|(name, Self(value))| (name, value));
        Self(Value::record(members, None))
    }

    /// What an expression evaluates to: for values of extension types.
    ///
    /// # Errors
    /// Cedar's message.
    pub fn of(expression: &RestrictedExpression) -> Result<Self, String> {
        let expression: &ast::RestrictedExpr = expression.as_ref();
        let expression: BorrowedRestrictedExpr<'_> = expression.as_borrowed();
        match RestrictedEvaluator::new(Extensions::all_available()).partial_interpret(expression) {
            Ok(PartialValue::Value(value)) => Ok(Self(value)),
            Ok(PartialValue::Residual(_)) => Err("a value is not known".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The context of these members.
pub fn context<'n>(members: impl IntoIterator<Item = (&'n str, Given)>) -> Context {
    let members: BTreeMap<_, Value> = members
        .into_iter()
        .map(|(name, Given(value))| (name.into(), value))
        .collect();
    ast::Context::Value(Arc::new(members)).into()
}
