//! Attributes, their types, and the parts that some of them play.

use serde::Serialize;

use crate::error::{ModelError, did_you_mean, listed};

/// Type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// A number; what does not read as one counts as missing.
    Numeric,
    /// One of a set of values.
    Categorical,
    /// One of two values.
    Binary,
    /// Words between white space.
    Text,
}

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Kind> {
        match name.trim().to_ascii_uppercase().as_str() {
            "NUMERIC" => Some(Kind::Numeric),
            "CATEGORICAL" => Some(Kind::Categorical),
            "BINARY" => Some(Kind::Binary),
            "TEXT" => Some(Kind::Text),
            _ => None,
        }
    }
}

/// One attribute of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name, trimmed.
    #[serde(rename = "attributeName")]
    pub name: String,
    /// Its type.
    #[serde(rename = "attributeType")]
    pub kind: Kind,
}

/// A data schema: the attributes in the order of the columns, and the parts that some of them play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    pub(super) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row_weight: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_attribute_name: Option<String>,
    pub(super) data_format: String,
    pub(super) data_file_contains_header: bool,
    pub(super) attributes: Vec<Attribute>,
    pub(super) excluded_attribute_names: Vec<String>,
}

impl Schema {
    pub(super) fn build(
        attributes: Vec<Attribute>,
        target: &str,
        excluded: Vec<String>,
    ) -> Result<Schema, ModelError> {
        let schema = Schema {
            version: "1.0".into(),
            row_id: None,
            row_weight: None,
            target_attribute_name: Some(target.to_owned()),
            data_format: "CSV".into(),
            data_file_contains_header: true,
            attributes,
            excluded_attribute_names: excluded,
        };
        schema.check()?;
        Ok(schema)
    }

    /// The schema as a file that [`Schema::from_json`] and Amazon Machine Learning read.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// All attributes, in the order of the columns.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// The attribute that is to be predicted.
    pub fn target(&self) -> Option<&Attribute> {
        self.target_attribute_name
            .as_deref()
            .and_then(|name| self.attribute(name))
    }

    /// The attribute that names a row, kept out of learning.
    pub fn row_id(&self) -> Option<&str> {
        self.row_id.as_deref()
    }

    /// The numeric attribute that says how much a row counts in learning.
    pub fn row_weight(&self) -> Option<&str> {
        self.row_weight.as_deref()
    }

    /// Attributes kept out of learning.
    pub fn excluded(&self) -> &[String] {
        &self.excluded_attribute_names
    }

    /// Whether the first line of a data file holds the names of the columns.
    pub fn has_header(&self) -> bool {
        self.data_file_contains_header
    }

    /// The attributes that may be learned from: all but target, excluded, row id and row weight.
    pub fn inputs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes
            .iter()
            .filter(|attribute| self.is_input(&attribute.name))
    }

    pub(crate) fn is_input(&self, name: &str) -> bool {
        let is = |other: &Option<String>| other.as_deref() == Some(name);
        !is(&self.target_attribute_name)
            && !is(&self.row_id)
            && !is(&self.row_weight)
            && !self
                .excluded_attribute_names
                .iter()
                .any(|excluded| excluded == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes
            .iter()
            .map(|attribute| attribute.name.as_str())
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        if self.version != "1.0" {
            let detail = format!("version is {:?}", self.version);
            return Err(ModelError::schema(detail, "the only version is \"1.0\""));
        }
        if !self.data_format.eq_ignore_ascii_case("CSV") {
            let detail = format!("dataFormat is {:?}", self.data_format);
            return Err(ModelError::schema(detail, "the only format is \"CSV\""));
        }
        self.check_names()?;
        self.check_parts()
    }

    fn check_names(&self) -> Result<(), ModelError> {
        let mut seen = std::collections::HashSet::new();
        for (at, name) in self.names().enumerate() {
            if name.is_empty() {
                let detail = format!("attribute {} has an empty name", at + 1);
                return Err(ModelError::schema(detail, "give it the name of its column"));
            }
            if !seen.insert(name) {
                let detail = format!("the attribute {name:?} appears twice");
                return Err(ModelError::schema(detail, "rename one of the two columns"));
            }
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), ModelError> {
        let parts = [
            ("targetAttributeName", &self.target_attribute_name),
            ("rowId", &self.row_id),
            ("rowWeight", &self.row_weight),
        ];
        let excluded = self
            .excluded_attribute_names
            .iter()
            .map(|n| ("excludedAttributeNames", n));
        let named = parts
            .into_iter()
            .filter_map(|(part, name)| Some((part, name.as_ref()?)));
        for (part, name) in named.chain(excluded) {
            if self.attribute(name).is_none() {
                let names: Vec<&str> = self.names().collect();
                let otherwise = format!("the attributes are {}", listed(&names));
                let detail = format!("{part} names {name:?}, which is not among the attributes");
                return Err(ModelError::schema(
                    detail,
                    did_you_mean(name, names, &otherwise),
                ));
            }
        }
        match self.row_weight().and_then(|name| self.attribute(name)) {
            Some(weight) if weight.kind != Kind::Numeric => Err(ModelError::schema(
                format!("rowWeight names {:?}, which is not NUMERIC", weight.name),
                "give it the type NUMERIC or take rowWeight out",
            )),
            _ => Ok(()),
        }
    }
}
