//! Where each key of a configuration came from, so that an error can say it.

use std::{collections::BTreeMap, fmt, ops::Range};

use toml::de::{DeTable, DeValue};

/// Where a key was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file, on this line (from 1).
    Line(usize),
    /// By this environment variable.
    Variable(String),
    /// By this option of the command line.
    Option(String),
    /// By `sallyport dev` itself.
    Dev,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Option(name) => formatter.write_str(name),
            Self::Default => formatter.write_str("by default"),
            Self::Dev => formatter.write_str("set by `sallyport dev`"),
        }
    }
}

/// The origin of every key, by its path: `starter.tokens[0].role`.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, Origin>);

impl Places {
    /// The places of all keys of `document`, which was parsed from `text`.
    pub fn of(document: &DeTable<'_>, text: &str) -> Self {
        let mut places = Self::default();
        places.add_table("", document, text);
        places
    }

    /// Notes that `path` and all below it come from `origin`.
    pub fn put(&mut self, path: &str, origin: Origin) {
        self.remove(path);
        self.0.insert(path.to_owned(), origin);
    }

    /// Forgets `path` and all below it.
    pub fn remove(&mut self, path: &str) {
        self.0.retain(|known, _| !is_at_or_below(known, path));
    }

    /// Where `path` was set, or the nearest key around it.
    pub fn find(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.0.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn add_table(&mut self, parent: &str, table: &DeTable<'_>, text: &str) {
        for (key, value) in table {
            let path = join(parent, key.get_ref());
            self.0
                .insert(path.clone(), Origin::Line(line_of(text, key.span())));
            self.add_value(&path, value.get_ref(), text);
        }
    }

    fn add_value(&mut self, path: &str, value: &DeValue<'_>, text: &str) {
        match value {
            DeValue::Table(table) => self.add_table(path, table, text),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.0
                        .insert(path.clone(), Origin::Line(line_of(text, item.span())));
                    self.add_value(&path, item.get_ref(), text);
                }
            }
            _ => {}
        }
    }
}

/// The path of `key` in the table at `parent`; an empty parent is the whole file.
pub fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

/// The line that `span` starts on, from 1.
pub fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn is_at_or_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[starter]\nlisten = 'x'\n\n[[starter.tokens]]\nrole = 'admin'\n\n[[starter.tokens]]\nrole = 'viewer'\n";

    fn places() -> Places {
        let document = DeTable::parse(TEXT).unwrap();
        Places::of(document.get_ref(), TEXT)
    }

    #[test]
    fn every_key_has_its_line() {
        let places = places();
        for (path, line) in [
            ("a", 1),
            ("starter.listen", 4),
            ("starter.tokens[0].role", 7),
            ("starter.tokens[1].role", 10),
            // Not there: the nearest around it.
            ("starter.tokens[1].person", 9),
            ("starter.public_url", 3),
        ] {
            assert_eq!(places.find(path), Some(&Origin::Line(line)), "{path}");
        }
        assert_eq!(places.find("b"), None);
    }

    #[test]
    fn what_is_set_later_takes_the_place() {
        let mut places = places();
        places.put("starter", Origin::Dev);
        assert_eq!(places.find("starter.tokens[1].role"), Some(&Origin::Dev));
        assert_eq!(places.find("a"), Some(&Origin::Line(1)));
    }
}
