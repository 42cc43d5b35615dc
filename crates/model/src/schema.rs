//! The data schema of Amazon Machine Learning: which attributes there are, and of which type.

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, did_you_mean, listed};
use crate::text;

/// Type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    fn parse(name: &str) -> Option<Kind> {
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
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    row_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row_weight: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_attribute_name: Option<String>,
    data_format: String,
    data_file_contains_header: bool,
    attributes: Vec<Attribute>,
    excluded_attribute_names: Vec<String>,
}

/// The file as it is written; the second names are those of the older half of the AWS manual.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: Option<String>,
    #[serde(alias = "recordAnnotationFieldName")]
    row_id: Option<String>,
    #[serde(alias = "recordWeightFieldName")]
    row_weight: Option<String>,
    #[serde(alias = "targetFieldName")]
    target_attribute_name: Option<String>,
    data_format: Option<String>,
    data_file_contains_header: Option<bool>,
    #[serde(alias = "variables")]
    attributes: Vec<FileAttribute>,
    #[serde(default, alias = "excludedVariableNames")]
    excluded_attribute_names: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAttribute {
    #[serde(rename = "attributeName", alias = "fieldName")]
    name: String,
    #[serde(rename = "attributeType", alias = "fieldType")]
    kind: String,
}

impl Schema {
    /// Reads a schema file.
    pub fn from_json(text: &str) -> Result<Schema, ModelError> {
        let file: File = serde_json::from_str(text).map_err(|error| {
            ModelError::schema(
                error.to_string(),
                "a schema is a JSON object with targetAttributeName and attributes, each with \
                 attributeName and attributeType",
            )
        })?;
        let schema = Schema {
            version: file.version.unwrap_or_else(|| "1.0".into()),
            row_id: file.row_id.map(trimmed),
            row_weight: file.row_weight.map(trimmed),
            target_attribute_name: file.target_attribute_name.map(trimmed),
            data_format: file.data_format.unwrap_or_else(|| "CSV".into()),
            data_file_contains_header: file.data_file_contains_header.unwrap_or(false),
            attributes: file
                .attributes
                .into_iter()
                .map(attribute)
                .collect::<Result<_, _>>()?,
            excluded_attribute_names: excluded(file.excluded_attribute_names)?,
        };
        schema.check()?;
        Ok(schema)
    }

    pub(crate) fn build(
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

    fn check(&self) -> Result<(), ModelError> {
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

fn trimmed(name: String) -> String {
    text::trim(&name).to_owned()
}

fn attribute(raw: FileAttribute) -> Result<Attribute, ModelError> {
    let name = trimmed(raw.name);
    match Kind::parse(&raw.kind) {
        Some(kind) => Ok(Attribute { name, kind }),
        None => Err(ModelError::schema(
            format!("the attribute {name:?} has the type {:?}", raw.kind),
            "the types are NUMERIC, CATEGORICAL, BINARY and TEXT",
        )),
    }
}

/// A list of names or, as one page of the AWS manual has it, a single name.
fn excluded(value: serde_json::Value) -> Result<Vec<String>, ModelError> {
    use serde_json::Value;
    let name = |value: Value| match value {
        Value::String(name) => Ok(trimmed(name)),
        other => Err(ModelError::schema(
            format!("excludedAttributeNames holds {other}"),
            "write a list of names: [\"a\", \"b\"]",
        )),
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.into_iter().map(name).collect(),
        other => name(other).map(|name| vec![name]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMPAIGN: &str = r#"{
        "version": "1.0", "rowId": "customerId", "targetAttributeName": "willRespond",
        "dataFormat": "CSV", "dataFileContainsHeader": false,
        "attributes": [
            { "attributeName": "customerId", "attributeType": "CATEGORICAL" },
            { "attributeName": " job ", "attributeType": "TEXT" },
            { "attributeName": "duration", "attributeType": "NUMERIC" },
            { "attributeName": "willRespond", "attributeType": "BINARY" }
        ] }"#;

    #[test]
    fn a_schema_file_is_read_and_written() {
        let schema = Schema::from_json(CAMPAIGN).unwrap();
        assert_eq!(schema.target().unwrap().kind, Kind::Binary);
        assert_eq!(
            schema.inputs().map(|a| a.name.as_str()).collect::<Vec<_>>(),
            ["job", "duration"]
        );
        assert!(!schema.has_header());
        assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    }

    #[test]
    fn the_other_names_of_the_aws_manual_are_read() {
        let schema = Schema::from_json(
            r#"{ "version": "1.0", "recordAnnotationFieldName": "F1", "recordWeightFieldName": "F2",
                "targetFieldName": "F3", "dataFormat": "CSV", "dataFileContainsHeader": true,
                "variables": [ { "fieldName": "F1", "fieldType": "TEXT" },
                    { "fieldName": "F2", "fieldType": "NUMERIC" },
                    { "fieldName": "F3", "fieldType": "CATEGORICAL" },
                    { "fieldName": "F6", "fieldType": "TEXT" } ],
                "excludedVariableNames": "F6" }"#,
        )
        .unwrap();
        assert_eq!(schema.row_weight(), Some("F2"));
        assert_eq!(schema.inputs().count(), 0);
    }

    #[test]
    fn refusals_say_what_is_wrong_and_what_to_do() {
        let wrong = |from: &str, to: &str| {
            Schema::from_json(&CAMPAIGN.replace(from, to))
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(wrong("\"rowId\": \"customerId\"", "\"rowId\": \"customerID\""), @"");
        insta::assert_snapshot!(wrong("\"NUMERIC\"", "\"NUMBER\""), @"");
        insta::assert_snapshot!(wrong("\" job \"", "\"duration\""), @"");
        insta::assert_snapshot!(wrong("\"version\": \"1.0\"", "\"version\": \"2\""), @"");
    }
}
