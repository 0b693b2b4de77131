//! `docs/flux-lens.yaml`, read so that real traffic can be held against it.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// The parsed document.
pub struct Contract(Value);

impl Contract {
    pub fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flux-lens.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        Self(serde_saphyr::from_str(&text).unwrap())
    }

    /// Every `(operation id, status)` that the API part declares.
    pub fn declared_answers(&self) -> BTreeSet<(String, String)> {
        self.operations("paths")
            .flat_map(|(_, _, operation)| {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                let statuses: Vec<_> = operation["responses"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect();
                statuses.into_iter().map(move |status| (id.clone(), status))
            })
            .collect()
    }

    /// Method and path (with `{id}` filled in) of an operation.
    pub fn request_line(&self, operation_id: &str, ticket_id: &str) -> (reqwest::Method, String) {
        let (path, method, _) = self.operation("paths", operation_id);
        (
            method.to_uppercase().parse().unwrap(),
            path.replace("{id}", ticket_id),
        )
    }

    /// Holds an answer against the document, and returns the status as it is declared there (`404`, `5XX`).
    pub fn check_answer(
        &self,
        operation_id: &str,
        status: u16,
        headers: &HeaderMap,
        body: &Value,
    ) -> String {
        let (_, _, operation) = self.operation("paths", operation_id);
        let place = format!("{operation_id} answered {status}");
        let responses = operation["responses"].as_object().unwrap();
        let declared = [status.to_string(), format!("{}XX", status / 100)]
            .into_iter()
            .find(|key| responses.contains_key(key))
            .unwrap_or_else(|| panic!("{place}, which the contract does not have"));
        let response = self.resolve(&responses[&declared]);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let value = headers
                .get(name)
                .unwrap_or_else(|| panic!("{place} without the header {name}"));
            self.check_header(&place, &header["schema"], value.to_str().unwrap());
        }
        let (content_type, described) = response["content"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        assert_eq!(headers["content-type"], content_type.as_str(), "{place}");
        self.check(&place, &described["schema"], body);
        declared
    }

    /// Holds a webhook against the document: all its headers, and its body.
    pub fn check_webhook(&self, operation_id: &str, headers: &HeaderMap, body: &Value) {
        let (_, _, operation) = self.operation("webhooks", operation_id);
        for parameter in operation["parameters"].as_array().unwrap() {
            let parameter = self.resolve(parameter);
            let name = parameter["name"].as_str().unwrap();
            let value = headers
                .get(name)
                .unwrap_or_else(|| panic!("a webhook without the header {name}"));
            self.check_header(name, &parameter["schema"], value.to_str().unwrap());
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(headers["content-type"], "application/json");
        self.check(operation_id, schema, body);
    }

    /// Whether `body` is a valid request body of an operation.
    pub fn allows_body(&self, operation_id: &str, body: &Value) -> bool {
        let (_, _, operation) = self.operation("paths", operation_id);
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.validator(schema).is_valid(body)
    }

    fn check_header(&self, place: &str, schema: &Value, value: &str) {
        let value = match self.resolve(schema)["type"].as_str() {
            Some("integer") => json!(value.parse::<i64>().unwrap()),
            _ => json!(value),
        };
        self.check(place, schema, &value);
    }

    fn check(&self, place: &str, schema: &Value, instance: &Value) {
        if let Err(error) = self.validator(schema).validate(instance) {
            panic!(
                "{place}: {error} (at {:?}) in {instance}",
                error.instance_path().to_string()
            );
        }
    }

    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        // The references in it start at the document's root.
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        jsonschema::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap()
    }

    fn resolve<'a>(&'a self, part: &'a Value) -> &'a Value {
        match part.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => part,
        }
    }

    fn operation(&self, section: &str, id: &str) -> (&str, &str, &Value) {
        self.operations(section)
            .find(|(_, _, operation)| operation["operationId"] == id)
            .unwrap_or_else(|| panic!("the contract has no operation {id}"))
    }

    fn operations(&self, section: &str) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.0[section]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .iter()
                    .filter(|(method, _)| *method != "parameters")
                    .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
            })
    }
}
