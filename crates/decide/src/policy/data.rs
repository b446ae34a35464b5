//! Data files: links and entities, as values that know their place.

use std::fmt;

use serde_json::{Map, Value};

/// A data file as it was read.
#[derive(Clone, PartialEq)]
pub struct DataFile {
    /// Its name in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// The same as a value.
    pub data: Data,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// First byte and number of bytes.
    pub span: (usize, usize),
    /// The value.
    pub value: DataValue,
}

/// What JSON can say.
#[derive(Clone, Debug, PartialEq)]
pub enum DataValue {
    /// A text, a number, a boolean or nothing.
    Scalar(Value),
    /// A list.
    List(Vec<Data>),
    /// Members in the order of the text: name, the place of the name, value.
    Map(Vec<(String, (usize, usize), Data)>),
}

impl Data {
    /// The member of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let (_, _, value) = self.members().iter().find(|(member, ..)| member == name)?;
        Some(value)
    }

    /// The members; of anything but a map none.
    pub(crate) fn members(&self) -> &[(String, (usize, usize), Self)] {
        match &self.value {
            DataValue::Map(members) => members,
            DataValue::Scalar(_) | DataValue::List(_) => &[],
        }
    }

    /// The entries of a list.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            DataValue::List(entries) => Some(entries),
            // A file with nothing but comments.
            DataValue::Scalar(Value::Null) => Some(&[]),
            DataValue::Scalar(_) | DataValue::Map(_) => None,
        }
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            DataValue::Scalar(value) => value.as_str(),
            DataValue::List(_) | DataValue::Map(_) => None,
        }
    }

    /// A value that stands nowhere.
    #[cfg(test)]
    pub(crate) fn of_json(value: &Value) -> Self {
        let value = match value {
            Value::Array(entries) => DataValue::List(entries.iter().map(Self::of_json).collect()),
            Value::Object(members) => DataValue::Map(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), (0, 0), Self::of_json(value)))
                    .collect(),
            ),
            scalar => DataValue::Scalar(scalar.clone()),
        };
        Self { span: (0, 0), value }
    }

    /// The same without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            DataValue::Scalar(value) => value.clone(),
            DataValue::List(entries) => entries.iter().map(Self::to_json).collect(),
            DataValue::Map(members) => {
                let members = members
                    .iter()
                    .map(|(name, _, value)| (name.clone(), value.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile")
            .field("name", &self.name)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}
