//! The JSON Schema of task files, made from the same tables that the reader walks by: editors
//! complete and explain what the reader will take.

use super::actions::{ACTIONS, ActionDoc, Names, OptionKind, TableSpec, Take};
use super::cancel::CANCEL_ON;
use super::pace::PACE;
use super::policy::{ON_UNKNOWN, POLICY, RETRY};
use super::probes::{LOOKERS, PROBE};
use super::rows::ROWS;
use super::steps::{FORMATS, READ};
use super::top::{KeyDoc, LIMITS, TOP, TRIGGERS};
use super::webhook::{STYLES, VERIFY};
use crate::{Value, limits};
use serde_json::{Map, json};

/// The JSON Schema (draft 2020-12) of TOML task files.
///
/// It is as strict as a schema can be. What needs more than one place at once (names in
/// expressions, the file's own name) only the reader checks.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = table(TOP, |key| match key {
        "title" => text(),
        "id" => json!({ "type": "string", "pattern": NAME, "maxLength": limits::NAME_BYTES }),
        "environments" => json!({
            "type": "array",
            "minItems": 1,
            "items": { "type": "string", "pattern": NAME },
        }),
        "tags" => json!({
            "type": "array",
            "items": { "type": "string", "pattern": NAME },
        }),
        "on" => on(),
        "limits" => table(LIMITS, |key| match key {
            "running" => json!({ "type": "integer", "minimum": 1 }),
            _ => text(),
        }),
        "cancel_on" => {
            let mut one = table(CANCEL_ON, |_| text());
            merge(&mut one, json!({ "required": ["task", "key"] }));
            let most = limits::CANCEL_ON;
            json!({ "anyOf": [
                one, { "type": "array", "minItems": 1, "maxItems": most, "items": one },
            ] })
        }
        _ => json!({
            "type": "array",
            "minItems": 1,
            "maxItems": limits::STEPS,
            "items": { "$ref": "#/$defs/step" },
        }),
    });
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "oncely task",
        "description": "What is to be done once, and when.",
        "required": ["step"],
        "$defs": definitions(),
    });
    merge(&mut schema, head);
    schema
}

/// What a name is.
const NAME: &str = r"^[\p{L}\p{N}][\p{L}\p{N}_.-]*$";
/// What a path of a webhook is.
const HOOK: &str = r"^/hooks(/[A-Za-z0-9_.-]+)+$";
/// What a duration is.
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";

fn definitions() -> Value {
    let mut definitions = Map::new();
    definitions.insert(
        "duration".into(),
        json!({ "type": "string", "pattern": DURATION }),
    );
    for doc in ACTIONS {
        definitions.insert(doc.kind.name().into(), action(doc));
    }
    definitions.insert("undo".into(), undo());
    definitions.insert("probe".into(), probe());
    definitions.insert("step".into(), step(true));
    definitions.insert("do_step".into(), step(false));
    Value::Object(definitions)
}

fn on() -> Value {
    let mut properties = Map::new();
    for (trigger, doc, keys) in TRIGGERS {
        let mut schema = table(keys, |key| match key {
            "phase" => json!({ "enum": ["before", "after"] }),
            "existing" => json!({ "enum": ["run", "skip"] }),
            "source" => json!({ "type": "string", "pattern": "^folder:[^/]" }),
            "missed" => json!({ "enum": ["all", "last", "none"] }),
            "every" if *trigger == "release" => json!({ "type": "boolean" }),
            "independent" => json!({ "type": "boolean" }),
            "path" => json!({ "type": "string", "pattern": HOOK, "maxLength": limits::NAME_BYTES }),
            "verify" => verify(),
            "every" => reference("duration"),
            _ => text(),
        });
        if *trigger == "object" {
            merge(&mut schema, json!({ "required": ["source"] }));
        }
        if *trigger == "webhook" {
            merge(&mut schema, json!({ "required": ["path", "verify"] }));
        }
        if *trigger == "schedule" {
            let one = json!([{ "required": ["cron"] }, { "required": ["every"] }]);
            merge(&mut schema, json!({ "oneOf": one }));
        }
        merge(&mut schema, json!({ "description": doc }));
        properties.insert((*trigger).into(), schema);
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

/// How the sender of a request proves who it is.
fn verify() -> Value {
    let secret = kind(&OptionKind::OneSecret);
    let styles: Vec<_> = STYLES.iter().map(|(name, _)| *name).collect();
    let mut proof = table(VERIFY, |key| match key {
        "style" => json!({ "enum": styles }),
        "secret" => json!({ "anyOf": [
            secret,
            { "type": "array", "minItems": 1, "maxItems": limits::HOOK_SECRETS, "items": secret },
        ] }),
        "tolerance" => reference("duration"),
        "header" => json!({ "type": "string", "pattern": names_pattern(Names::Header) }),
        "digest" => json!({ "enum": ["sha256", "sha512"] }),
        "encoding" => json!({ "enum": ["hex", "base64"] }),
        _ => json!({ "type": "string" }),
    });
    merge(&mut proof, json!({ "required": ["style", "secret"] }));
    json!({ "anyOf": [{ "const": "none" }, proof] })
}

/// A step: one action, or `for_each` with `do` where the step is not inside such a block itself.
fn step(outer: bool) -> Value {
    let mut properties = Map::new();
    let id =
        json!({ "type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": limits::NAME_BYTES });
    properties.insert("id".into(), id);
    for (key, doc) in POLICY {
        properties.insert((*key).into(), described(policy(key), doc));
    }
    let mut choices = Vec::new();
    for doc in ACTIONS.iter().filter(|doc| outer || doc.in_do) {
        let name = doc.kind.name();
        properties.insert(name.into(), reference(name));
        choices.push(json!({ "required": [name] }));
    }
    if outer {
        let block = json!({
            "type": "array",
            "minItems": 1,
            "maxItems": limits::STEPS,
            "items": { "$ref": "#/$defs/do_step" },
            "description": "What is done for each item.",
        });
        properties.insert("do".into(), block);
        properties.insert("for_each".into(), for_each());
        for (key, doc) in PACE {
            properties.insert((*key).into(), described(pace(key), doc));
        }
        choices.push(json!({ "required": ["for_each"] }));
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "oneOf": choices,
        "dependentRequired": {
            "for_each": ["do"], "do": ["for_each"], "check": ["every", "until"],
            "times": ["every"], "for": ["every"],
            "rate": ["for_each"], "batch": ["for_each"], "while": ["for_each"],
        },
    })
}

fn pace(key: &str) -> Value {
    match key {
        "rate" => json!({ "type": "string", "pattern": r"^\s*[0-9]+\s*/\s*[smh]\s*$" }),
        "batch" => json!({ "type": "integer", "minimum": 1, "maximum": limits::RANGE_ITEMS }),
        _ => json!({
            "type": "object",
            "properties": {
                "http": reference("http"), "sql": reference("sql"), "every": reference("duration"),
            },
            "additionalProperties": false,
            "oneOf": [{ "required": ["http"] }, { "required": ["sql"] }],
        }),
    }
}

fn for_each() -> Value {
    let mut read = table(READ, |key| match key {
        "as" => json!({ "enum": FORMATS }),
        "columns" => {
            json!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": text() })
        }
        _ => text(),
    });
    merge(&mut read, json!({ "required": ["read", "as"] }));
    let doc = "The items: an expression that gives a list, a file that is read as a stream, or the \
               rows of a select.";
    json!({ "anyOf": [text(), read, spec(&ROWS)], "description": doc })
}

fn policy(key: &str) -> Value {
    match key {
        "retry" => table(RETRY, |key| match key {
            "attempts" => json!({ "type": "integer", "minimum": 1, "maximum": limits::ATTEMPTS }),
            _ => reference("duration"),
        }),
        "timeout" | "hold" | "every" | "for" => reference("duration"),
        "times" => json!({ "type": "integer", "minimum": 1, "maximum": limits::ROUNDS }),
        "check" => check(),
        "on_unknown" => json!({ "enum": ON_UNKNOWN }),
        "undo" => reference("undo"),
        "probe" => reference("probe"),
        _ => text(),
    }
}

/// One action, which only looks.
fn check() -> Value {
    let looks = ["command", "http", "sql"];
    let properties: Map<_, _> = looks
        .map(|name| (name.to_owned(), reference(name)))
        .into_iter()
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

fn undo() -> Value {
    let effects = ACTIONS.iter().filter(|doc| doc.effect);
    let properties: Map<_, _> = effects
        .map(|doc| (doc.kind.name().to_owned(), reference(doc.kind.name())))
        .collect();
    json!({ "anyOf": [
        { "const": "never" },
        {
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ] })
}

fn probe() -> Value {
    let mut properties: Map<_, _> = PROBE
        .iter()
        .map(|(key, doc)| ((*key).to_owned(), described(text(), doc)))
        .collect();
    let mut choices = Vec::new();
    for kind in LOOKERS {
        properties.insert(kind.name().into(), reference(kind.name()));
        choices.push(json!({ "required": [kind.name()] }));
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": ["happened"],
        "oneOf": choices,
    })
}

fn action(doc: &ActionDoc) -> Value {
    let mut forms = vec![spec(&doc.table)];
    for short in doc.short {
        let option = doc.table.options.iter().find(|o| o.name == short.option);
        forms.extend(option.map(|option| described(kind(&option.kind), option.doc)));
    }
    json!({ "anyOf": forms, "description": doc.doc })
}

fn spec(spec: &TableSpec) -> Value {
    let properties: Map<_, _> = spec
        .options
        .iter()
        .map(|o| (o.name.to_owned(), described(kind(&o.kind), o.doc)))
        .collect();
    let required: Vec<_> = spec
        .options
        .iter()
        .filter(|o| o.required)
        .map(|o| o.name)
        .collect();
    let groups: Vec<_> = spec
        .groups
        .iter()
        .map(|group| {
            let mut choices: Vec<_> = group
                .names
                .iter()
                .map(|n| json!({ "required": [n] }))
                .collect();
            if group.take == Take::AtMostOne {
                choices.push(json!({ "not": { "anyOf": choices.clone() } }));
            }
            let how = match group.take {
                Take::AtLeastOne => "anyOf",
                Take::One | Take::AtMostOne => "oneOf",
            };
            json!({ how: choices })
        })
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": required,
    });
    if !groups.is_empty() {
        merge(&mut schema, json!({ "allOf": groups }));
    }
    schema
}

fn kind(kind: &OptionKind) -> Value {
    match kind {
        OptionKind::Text | OptionKind::Secret | OptionKind::Markup(_) => {
            json!({ "type": "string" })
        }
        OptionKind::OneSecret => {
            json!({ "type": "string", "pattern": r"^\{\{-?\s*secret\.[A-Za-z0-9_]+\s*-?\}\}$" })
        }
        OptionKind::Texts => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
        ] }),
        OptionKind::File => text(),
        OptionKind::Fixed(_) => json!({ "type": "string", "not": { "pattern": r"\{[{%]" } }),
        OptionKind::Url => json!({ "type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://[^/{]" }),
        OptionKind::Path => json!({ "type": "string", "pattern": "^[^/~{]" }),
        OptionKind::FixedPath | OptionKind::TextFile { .. } => {
            json!({ "type": "string", "pattern": "^[^/~]", "not": { "pattern": r"\{[{%]" } })
        }
        OptionKind::Any => json!({}),
        OptionKind::Expr => text(),
        OptionKind::Bool => json!({ "type": "boolean" }),
        OptionKind::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        OptionKind::Duration => reference("duration"),
        OptionKind::Choice(words) => json!({ "enum": words }),
        OptionKind::Choices(words) => one_or_more(json!({ "enum": words })),
        OptionKind::People => {
            one_or_more(json!({ "type": "string", "not": { "pattern": r"\{[{%]" } }))
        }
        OptionKind::List(of) => json!({ "type": "array", "items": self::kind(of) }),
        OptionKind::Args => {
            json!({ "type": "array", "minItems": 1, "items": { "type": "string" } })
        }
        OptionKind::Map(names, of) => json!({
            "type": "object",
            "propertyNames": { "pattern": names_pattern(*names) },
            "additionalProperties": self::kind(of),
        }),
        OptionKind::Table(table) => spec(table),
    }
}

fn one_or_more(of: Value) -> Value {
    json!({ "anyOf": [of, { "type": "array", "minItems": 1, "uniqueItems": true, "items": of }] })
}

fn names_pattern(names: Names) -> &'static str {
    match names {
        Names::Any => ".",
        Names::Variable => "^[A-Za-z_][A-Za-z0-9_]*$",
        Names::Header => r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    }
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A table of these keys and no others.
fn table(keys: &[KeyDoc], value: impl Fn(&str) -> Value) -> Value {
    let properties: Map<_, _> = keys
        .iter()
        .map(|(key, doc)| ((*key).to_owned(), described(value(key), doc)))
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn described(mut schema: Value, doc: &str) -> Value {
    merge(&mut schema, json!({ "description": doc }));
    schema
}

fn merge(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}
