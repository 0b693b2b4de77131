//! What the vendors demand of a JSON schema for structured output, beyond its being one.
//!
//! Google knows a list of keywords, and here everything else is refused, where the service may also overlook it. The others
//! want every object closed (`additionalProperties: false`). OpenAI's strict mode wants every property required; Anthropic
//! does not know bounds on numbers, on the length of strings, or on the length of arrays (but
//! `minItems` 0 or 1). A schema that breaks this is refused by the real service with 400.

use serde_json::Value;

/// Keywords that Anthropic refuses, each with the type whose word stands in its error.
const NOT_AT_ANTHROPIC: [(&str, &str); 8] = [
    ("minimum", "number"),
    ("maximum", "number"),
    ("exclusiveMinimum", "number"),
    ("exclusiveMaximum", "number"),
    ("multipleOf", "number"),
    ("minLength", "string"),
    ("maxLength", "string"),
    ("maxItems", "array"),
];

/// Anthropic's rules; the error is what the service would say after the parameter's name.
pub(super) fn anthropic(schema: &Value) -> Result<(), String> {
    for_each_schema(schema, &mut |part| {
        for (keyword, kind) in NOT_AT_ANTHROPIC {
            if part.get(keyword).is_some() {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or(kind);
                return Err(format!(
                    "For '{kind}' type, property '{keyword}' is not supported"
                ));
            }
        }
        if part
            .get("minItems")
            .and_then(Value::as_u64)
            .is_some_and(|least| least > 1)
        {
            return Err(
                "For 'array' type, 'minItems' values other than 0 or 1 are not supported".into(),
            );
        }
        if is_open_object(part) {
            return Err(
                "For 'object' type, 'additionalProperties' must be explicitly set to false".into(),
            );
        }
        Ok(())
    })
}

/// Keywords that Google knows.
const AT_GOOGLE: [&str; 21] = [
    "$anchor",
    "$defs",
    "$id",
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "prefixItems",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];

/// Google's rules.
pub(super) fn google(schema: &Value) -> Result<(), String> {
    for_each_schema(schema, &mut |part| {
        let mut keywords = part.as_object().into_iter().flat_map(|all| all.keys());
        match keywords.find(|keyword| !AT_GOOGLE.contains(&keyword.as_str())) {
            None => Ok(()),
            Some(keyword) => Err(format!("schema keyword `{keyword}` is not supported")),
        }
    })
}

/// The rules of OpenAI's strict mode.
pub(super) fn openai_strict(schema: &Value) -> Result<(), String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("schema must be a JSON Schema of 'type: \"object\"'".into());
    }
    for_each_schema(schema, &mut |part| {
        if is_open_object(part) {
            return Err("'additionalProperties' is required to be supplied and to be false".into());
        }
        let required = part.get("required").and_then(Value::as_array);
        for name in part
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.keys())
        {
            if !required.is_some_and(|names| names.iter().any(|each| each == name.as_str())) {
                return Err(format!(
                    "'required' is required to be supplied and to be an array including every key in properties. \
                     Missing '{name}'"
                ));
            }
        }
        Ok(())
    })
}

fn is_open_object(part: &Value) -> bool {
    let is_object = match part.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => part.get("properties").is_some(),
    };
    is_object && part.get("additionalProperties") != Some(&Value::Bool(false))
}

/// Visits `schema` and every schema in it, stopping at the first complaint.
fn for_each_schema(
    schema: &Value,
    visit: &mut impl FnMut(&Value) -> Result<(), String>,
) -> Result<(), String> {
    if !schema.is_object() {
        return Ok(());
    }
    visit(schema)?;
    for keyword in ["properties", "$defs", "definitions"] {
        for part in schema
            .get(keyword)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.values())
        {
            for_each_schema(part, visit)?;
        }
    }
    for keyword in ["anyOf", "allOf", "oneOf", "prefixItems"] {
        for part in schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            for_each_schema(part, visit)?;
        }
    }
    schema
        .get("items")
        .map_or(Ok(()), |items| for_each_schema(items, visit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn closed() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["files"],
            "properties": { "files": { "type": "array", "items": { "$ref": "#/$defs/file" } } },
            "$defs": { "file": {
                "type": "object", "additionalProperties": false, "required": ["path"],
                "properties": { "path": { "type": "string" } },
            } },
        })
    }

    #[test]
    fn google_knows_a_list_of_keywords() {
        let mut schema = closed();
        schema["$defs"]["file"]["properties"]["path"]["pattern"] = json!("^a");
        let error = google(&schema).unwrap_err();
        assert!(error.contains("`pattern`"), "{error}");
    }

    #[test]
    fn a_closed_schema_pleases_all() {
        assert_eq!(google(&closed()), Ok(()));
        assert_eq!(anthropic(&closed()), Ok(()));
        assert_eq!(openai_strict(&closed()), Ok(()));
    }

    #[test]
    fn an_open_object_pleases_nobody_however_deep() {
        let mut schema = closed();
        schema["$defs"]["file"]
            .as_object_mut()
            .unwrap()
            .remove("additionalProperties");
        assert!(
            anthropic(&schema)
                .unwrap_err()
                .contains("additionalProperties")
        );
        assert!(
            openai_strict(&schema)
                .unwrap_err()
                .contains("additionalProperties")
        );
    }

    #[test]
    fn anthropic_knows_no_bounds() {
        for (keyword, kind) in [
            ("maximum", "number"),
            ("maxLength", "string"),
            ("maxItems", "array"),
        ] {
            let mut schema = closed();
            schema["properties"]["more"] = json!({ "type": kind, keyword: 1 });
            let error = anthropic(&schema).unwrap_err();
            assert_eq!(
                error,
                format!("For '{kind}' type, property '{keyword}' is not supported")
            );
        }
    }

    #[test]
    fn openai_wants_every_property_required() {
        let mut schema = closed();
        schema["properties"]["more"] = json!({ "type": "string" });
        assert!(
            openai_strict(&schema)
                .unwrap_err()
                .ends_with("Missing 'more'")
        );
        assert_eq!(anthropic(&schema), Ok(()));
        assert!(openai_strict(&json!({ "type": "array" })).is_err());
    }
}
