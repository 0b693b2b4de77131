//! Reading JSON that others wrote, so that they are told which field is wrong.

use serde::de::DeserializeOwned;

/// Parses JSON. An error names the field, empty if it is none's fault, and says what is wrong with it.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, (String, String)> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.inner().to_string();
        if !error.inner().is_data() {
            // It is no JSON at all: that is no field's fault.
            return (String::new(), problem);
        }
        // serde tells a missing field at the place of what it is missing from.
        let missing = problem
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next())
            .map(str::to_owned);
        let field = match (path.as_str(), missing) {
            (".", Some(missing)) => missing,
            (_, Some(missing)) => format!("{path}.{missing}"),
            (".", None) => String::new(),
            (_, None) => path,
        };
        (field, problem)
    })?;
    parser
        .end()
        .map_err(|error| (String::new(), error.to_string()))?;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Outer {
        _inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        _id: u8,
    }

    fn field(body: &str) -> String {
        parse_json::<Outer>(body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field(r#"{"_inner":{}}"#), "_inner._id");
        assert_eq!(field(r#"{"_inner":{"_id":"x"}}"#), "_inner._id");
        assert_eq!(field(r#"{"_inner":{"_id":1}"#), "");
        assert_eq!(field(r#"{} {}"#), "");
        assert_eq!(parse_json::<Inner>(b"{}").unwrap_err().0, "_id");
    }
}
