//! The languages whose files are parsed: a grammar for each, and the query that finds definitions, as the grammar's own
//! authors keep it for code navigation.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use tree_sitter::{Language, Query};

/// A language by its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grammar {
    C,
    CSharp,
    Cpp,
    Go,
    Java,
    JavaScript,
    Php,
    Python,
    Ruby,
    Rust,
    Tsx,
    TypeScript,
}

/// What the grammars' own queries leave out.
const OF_C: &str = "(preproc_def name: (identifier) @name) @definition.constant
(preproc_function_def name: (identifier) @name) @definition.macro";
const OF_RUST: &str = "(const_item name: (identifier) @name) @definition.constant
(static_item name: (identifier) @name) @definition.constant";
const OF_TYPESCRIPT: &str =
    "(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.type";
const OF_JAVA: &str = "(enum_declaration name: (identifier) @name) @definition.type
(record_declaration name: (identifier) @name) @definition.class";

impl Grammar {
    /// The grammar for the file at `path`, by its ending.
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "c" | "h" => Self::C,
            "cs" => Self::CSharp,
            "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => Self::Cpp,
            "go" => Self::Go,
            "java" => Self::Java,
            "js" | "cjs" | "mjs" | "jsx" => Self::JavaScript,
            "php" => Self::Php,
            "py" | "pyi" => Self::Python,
            "rb" => Self::Ruby,
            "rs" => Self::Rust,
            "tsx" => Self::Tsx,
            "ts" | "cts" | "mts" => Self::TypeScript,
            _ => return None,
        })
    }

    fn language(self) -> Language {
        match self {
            Self::C => tree_sitter_c::LANGUAGE,
            Self::CSharp => tree_sitter_c_sharp::LANGUAGE,
            Self::Cpp => tree_sitter_cpp::LANGUAGE,
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Php => tree_sitter_php::LANGUAGE_PHP,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Ruby => tree_sitter_ruby::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        }
        .into()
    }

    fn query(self) -> String {
        let parts: &[&str] = match self {
            Self::C => &[tree_sitter_c::TAGS_QUERY, OF_C],
            Self::CSharp => &[tree_sitter_c_sharp::TAGS_QUERY],
            Self::Cpp => &[tree_sitter_cpp::TAGS_QUERY, OF_C],
            Self::Go => &[tree_sitter_go::TAGS_QUERY],
            Self::Java => &[tree_sitter_java::TAGS_QUERY, OF_JAVA],
            Self::JavaScript => &[tree_sitter_javascript::TAGS_QUERY],
            Self::Php => &[tree_sitter_php::TAGS_QUERY],
            Self::Python => &[tree_sitter_python::TAGS_QUERY],
            Self::Ruby => &[tree_sitter_ruby::TAGS_QUERY],
            Self::Rust => &[tree_sitter_rust::TAGS_QUERY, OF_RUST],
            // TypeScript's own query holds only what it adds to JavaScript's.
            Self::Tsx | Self::TypeScript => &[
                tree_sitter_javascript::TAGS_QUERY,
                tree_sitter_typescript::TAGS_QUERY,
                OF_TYPESCRIPT,
            ],
        };
        parts.join("\n")
    }
}

/// Whether the file at `path` is in a language that can be parsed.
pub fn is_known(path: &str) -> bool {
    Grammar::of(path).is_some()
}

/// A language that is ready for use.
pub(super) struct Loaded {
    pub(super) language: Language,
    /// Finds definitions, and nothing else of what the grammar's authors look for.
    pub(super) query: Query,
    /// The capture that is a definition's name.
    pub(super) name: u32,
}

/// The languages that were needed so far.
#[derive(Default)]
pub(super) struct Languages(BTreeMap<Grammar, Arc<Loaded>>);

impl Languages {
    /// Loads a language at its first use. A query that does not fit its grammar is an error.
    pub(super) fn get(&mut self, grammar: Grammar) -> Result<Arc<Loaded>, String> {
        match self.0.entry(grammar) {
            Entry::Occupied(found) => Ok(Arc::clone(found.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(load(grammar)?)))),
        }
    }
}

fn load(grammar: Grammar) -> Result<Loaded, String> {
    let language = grammar.language();
    let wrong = |what: String| format!("the query of {grammar:?} cannot be used: {what}");
    let mut query =
        Query::new(&language, &grammar.query()).map_err(|error| wrong(error.to_string()))?;
    let names = query.capture_names();
    let is_wanted = |name: &str| name == "name" || name.starts_with("definition.");
    let name = names.iter().position(|name| *name == "name");
    let name = name.ok_or_else(|| wrong("it names nothing".to_owned()))? as u32;
    let unwanted: Vec<String> = names
        .iter()
        .filter(|name| !is_wanted(name))
        .map(|name| (*name).to_owned())
        .collect();
    for capture in unwanted {
        query.disable_capture(&capture);
    }
    Ok(Loaded {
        language,
        query,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_fits_its_grammar() {
        for ending in [
            "c", "cs", "cpp", "go", "java", "js", "php", "py", "rb", "rs", "tsx", "ts",
        ] {
            let grammar = Grammar::of(&format!("a/b.{ending}")).unwrap();
            Languages::default().get(grammar).map(drop).unwrap();
        }
        assert!(!is_known("README.md") && !is_known("rs") && !is_known("a.rs/LICENSE"));
        assert!(is_known("A/B.RS"));
    }
}
