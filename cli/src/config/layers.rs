//! A configuration as it comes together: the file, over it the environment, over that (in `sallyport dev` only) what
//! the local installation decides. Only then is it read into types, so that a required key may come from any of them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value, de::DeTable};

use super::{
    ConfigError,
    overlay::{self, Override},
    places::{Origin, Places, join, line_of},
};

/// Keys whose values are paths, beside all that end in `_file`.
const PATHS: [&str; 3] = ["data_dir", "tools.manifest", "objects.path"];

/// Keys whose values must not be shown, wherever they are.
const SECRETS: [&str; 8] = [
    "access_key_id",
    "api_key",
    "key",
    "password",
    "secret_access_key",
    "token",
    "url",
    "webhook_secret",
];

/// What was put together so far.
#[derive(Clone, Debug)]
pub struct Layers {
    file: PathBuf,
    table: Table,
    places: Places,
    overrides: Vec<Override>,
}

impl Layers {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            file: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Takes `text` as the content of the file at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            file: path.to_owned(),
            line: error.span().map_or(1, |span| line_of(text, span)),
            reason: error.message().to_owned(),
        };
        let document = DeTable::parse(text).map_err(syntax)?;
        let places = Places::of(document.get_ref(), text);
        let table = toml::from_str(text).map_err(syntax)?;
        let mut layers = Self {
            file: path.to_owned(),
            table,
            places,
            overrides: Vec::new(),
        };
        layers.resolve_paths();
        Ok(layers)
    }

    /// Sets the keys that `environment` names. A secret set there takes the place of its `_file` and the other way round.
    pub fn overlay(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let overrides =
            overlay::overrides(environment).map_err(|name| ConfigError::Variable {
                name,
                reason: "it names no key; the form is SALLYPORT__SECTION__KEY, two underscores between the parts"
                    .to_owned(),
            })?;
        for set in overrides {
            let path: Vec<&str> = set.path.iter().map(String::as_str).collect();
            self.put(&path, set.value(), Origin::Variable(set.name.clone()))?;
            if let Some((last, parents)) = path.split_last() {
                let twin = last
                    .strip_suffix("_file")
                    .map_or_else(|| format!("{last}_file"), str::to_owned);
                self.remove(parents, &twin);
            }
            self.overrides.push(set);
        }
        self.resolve_paths();
        Ok(())
    }

    /// Sets one key, over all that was there.
    pub fn put(&mut self, path: &[&str], value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        let mut table = &mut self.table;
        let mut so_far = String::new();
        for parent in parents {
            so_far = join(&so_far, parent);
            let below = table
                .entry(*parent)
                .or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(below) = below else {
                return Err(ConfigError::Key {
                    file: self.file.clone(),
                    key: so_far,
                    reason: format!(
                        "it is no section, so `{}` cannot be set in it",
                        path.join(".")
                    ),
                    origin: Some(origin),
                });
            };
            table = below;
        }
        table.insert((*last).to_owned(), value);
        self.places.put(&path.join("."), origin);
        Ok(())
    }

    /// Sets a key unless it, or its `_file`, is there.
    pub fn put_default(&mut self, path: &[&str], value: Value) -> Result<(), ConfigError> {
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        let name = last.strip_suffix("_file").unwrap_or(last);
        let taken = [name.to_owned(), format!("{name}_file")]
            .iter()
            .any(|name| {
                let mut path = parents.to_vec();
                path.push(name);
                self.get(&path).is_some()
            });
        if taken {
            return Ok(());
        }
        self.put(path, value, Origin::Default)?;
        self.resolve_paths();
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.table.get(*first)?, |value, key| value.get(key))
    }

    /// Takes a key away.
    pub fn remove(&mut self, parents: &[&str], key: &str) {
        let mut table = &mut self.table;
        for parent in parents {
            let Some(Value::Table(below)) = table.get_mut(*parent) else {
                return;
            };
            table = below;
        }
        table.remove(key);
        self.places.remove(&join(&parents.join("."), key));
    }

    /// An error about a key that is set.
    pub fn error(&self, path: &[&str], reason: &str) -> ConfigError {
        let key = path.join(".");
        ConfigError::Key {
            file: self.file.clone(),
            origin: self.places.find(&key).cloned(),
            key,
            reason: reason.to_owned(),
        }
    }

    /// The file that it began with; it need not exist.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The whole as TOML text, with absolute paths.
    pub fn to_toml(&self) -> String {
        self.table.to_string()
    }

    /// Reads it into a type. An error names the key, where it was set, and the reason.
    pub fn into_type<T: DeserializeOwned>(mut self) -> Result<T, ConfigError> {
        self.refuse_secrets_given_twice("", &self.table)?;
        loop {
            let track = serde_path_to_error::deserialize(Value::Table(self.table.clone()));
            let error: serde_path_to_error::Error<toml::de::Error> = match track {
                Ok(config) => return Ok(config),
                Err(error) => error,
            };
            let path = error.path().to_string();
            // `SALLYPORT__X__TOKEN=12345` looks like a number. Where a number is wrong, it is taken as the string.
            let number = self.overrides.iter().position(|set| {
                set.key() == path && !matches!(set.value(), Value::String(_) | Value::Table(_))
            });
            match number {
                Some(index) => {
                    let set = self.overrides.remove(index);
                    let path: Vec<&str> = set.path.iter().map(String::as_str).collect();
                    self.put(&path, set.string(), Origin::Variable(set.name.clone()))?;
                    self.resolve_paths();
                }
                None => return Err(self.explain(&path, error.inner().message())),
            }
        }
    }

    fn explain(&self, path: &str, message: &str) -> ConfigError {
        let path = if path == "." { "" } else { path };
        let (key, reason) = match quoted_after(message, "missing field ") {
            Some(field) => (join(path, field), "it is required and missing".to_owned()),
            None => (path.to_owned(), message.to_owned()),
        };
        let last = key.rsplit('.').next().unwrap_or_default();
        let reason = match reason.split_once(", expected ") {
            Some((start, expected)) if SECRETS.contains(&last) && start.starts_with("invalid") => {
                format!("expected {expected}")
            }
            _ => reason,
        };
        ConfigError::Key {
            file: self.file.clone(),
            origin: self.places.find(&key).cloned(),
            key,
            reason,
        }
    }

    fn refuse_secrets_given_twice(&self, parent: &str, table: &Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let path = join(parent, name);
            let file = format!("{name}_file");
            if table.contains_key(&file) {
                return Err(ConfigError::Key {
                    file: self.file.clone(),
                    origin: self.places.find(&path).cloned(),
                    reason: format!("it is set, and so is `{file}`; keep one of the two"),
                    key: path,
                });
            }
            match value {
                Value::Table(below) => self.refuse_secrets_given_twice(&path, below)?,
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let Value::Table(below) = item {
                            self.refuse_secrets_given_twice(&format!("{path}[{index}]"), below)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Relative paths are meant from the file's folder, wherever the program is started.
    fn resolve_paths(&mut self) {
        let folder = self.file.parent().unwrap_or(Path::new("")).to_owned();
        let folder = std::path::absolute(&folder)
            .or_else(|_| std::env::current_dir())
            .unwrap_or(folder);
        resolve("", &mut self.table, &folder);
    }
}

fn resolve(parent: &str, table: &mut Table, folder: &Path) {
    for (name, value) in table.iter_mut() {
        let path = join(parent, name);
        match value {
            Value::String(text) if PATHS.contains(&path.as_str()) || name.ends_with("_file") => {
                *text = folder.join(&*text).to_string_lossy().into_owned();
            }
            Value::Table(below) => resolve(&path, below, folder),
            Value::Array(items) => {
                for item in items {
                    if let Value::Table(below) = item {
                        resolve(&path, below, folder);
                    }
                }
            }
            _ => {}
        }
    }
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message
        .strip_prefix(words)?
        .strip_prefix('`')?
        .split('`')
        .next()
}
