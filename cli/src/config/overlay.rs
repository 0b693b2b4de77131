//! Keys that are set from the environment: `SALLYPORT__SECTION__KEY=value`.

/// What the names of all such variables begin with.
pub const PREFIX: &str = "SALLYPORT__";

/// One variable that sets a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The variable's name.
    pub name: String,
    /// The key's path, outermost first, in lower case.
    pub path: Vec<String>,
    /// The text as given.
    pub text: String,
}

impl Override {
    /// The value as TOML where it is TOML, else as a string.
    pub fn value(&self) -> toml::Value {
        self.text.parse().unwrap_or_else(|_| self.string())
    }

    /// The value as a string, whatever it looks like.
    pub fn string(&self) -> toml::Value {
        toml::Value::String(self.text.clone())
    }

    /// The key's path in one piece: `starter.listen`.
    pub fn key(&self) -> String {
        self.path.join(".")
    }
}

/// The variables of `environment` that set keys, in the order of their names, so that `SALLYPORT__MODEL` comes before
/// `SALLYPORT__MODEL__VENDOR`. An error names the variable whose name is no key's.
pub fn overrides(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Override>, String> {
    let mut found = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if path.iter().any(String::is_empty) {
            return Err(name);
        }
        found.push(Override { name, path, text });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, text: &str) -> Override {
        let environment = [
            ("PATH".to_owned(), "/bin".to_owned()),
            (name.to_owned(), text.to_owned()),
        ];
        overrides(environment).unwrap().remove(0)
    }

    #[test]
    fn the_name_is_the_path() {
        let found = one("SALLYPORT__FLUX_LENS__BASE_URL", "http://127.0.0.1:1");
        assert_eq!(found.path, ["flux_lens", "base_url"]);
        assert_eq!(
            found.value(),
            toml::Value::String("http://127.0.0.1:1".into())
        );
    }

    #[test]
    fn values_are_toml_where_they_can_be() {
        assert_eq!(one("SALLYPORT__A", "true").value(), true.into());
        assert_eq!(one("SALLYPORT__A", "7").value(), 7.into());
        assert_eq!(one("SALLYPORT__A", "\"7\"").value(), "7".into());
        let list = one("SALLYPORT__REPOSITORIES", r#"[{project = "DEMO"}]"#).value();
        assert_eq!(
            list[0]["project"],
            toml::Value::String("DEMO".into()),
            "{list}"
        );
        // No second key can be smuggled in behind a line break.
        assert_eq!(one("SALLYPORT__A", "1\nb = 2").value(), "1\nb = 2".into());
    }

    #[test]
    fn other_variables_are_left_alone_and_a_broken_name_is_told() {
        let environment = [("SALLYPORT_URL".to_owned(), "x".to_owned())];
        assert_eq!(overrides(environment), Ok(vec![]));
        let broken = [("SALLYPORT__A____B".to_owned(), String::new())];
        assert_eq!(overrides(broken), Err("SALLYPORT__A____B".to_owned()));
    }
}
