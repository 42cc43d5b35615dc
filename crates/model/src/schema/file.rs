//! The schema file.

use serde::Deserialize;

use super::types::{Attribute, Kind, Schema};
use crate::error::ModelError;
use crate::text;

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
        insta::assert_snapshot!(wrong("\"rowId\": \"customerId\"", "\"rowId\": \"customerID\""), @r#"the data schema cannot be used: rowId names "customerID", which is not among the attributes; did you mean "customerId"?"#);
        insta::assert_snapshot!(wrong("\"NUMERIC\"", "\"NUMBER\""), @r#"the data schema cannot be used: the attribute "duration" has the type "NUMBER"; the types are NUMERIC, CATEGORICAL, BINARY and TEXT"#);
        insta::assert_snapshot!(wrong("\" job \"", "\"duration\""), @r#"the data schema cannot be used: the attribute "duration" appears twice; rename one of the two columns"#);
        insta::assert_snapshot!(wrong("\"version\": \"1.0\"", "\"version\": \"2\""), @r#"the data schema cannot be used: version is "2"; the only version is "1.0""#);
    }
}
