//! One file's symbols.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use sallyport_workflows::text::shorten;
use tree_sitter::{
    Node, ParseOptions, Parser, QueryCursor, QueryCursorOptions, StreamingIterator as _, Tree,
};

use super::{
    Definition, FileSymbols,
    languages::{Grammar, Languages, Loaded},
};

/// How long one file may take. One that takes longer was made to.
const FILE_TIME: Duration = Duration::from_secs(2);
/// The most definitions of a file that count.
const MAXIMUM_DEFINITIONS: usize = 500;
/// The most different names that a file uses.
const MAXIMUM_REFERENCES: usize = 3000;
/// The longest name, in bytes, and the shortest that says something.
const MAXIMUM_NAME: usize = 100;
const MINIMUM_NAME: usize = 3;
/// The longest text of a definition, in bytes.
const MAXIMUM_TEXT: usize = 160;

/// Parses files, and keeps what can be used again.
pub(super) struct Extractor {
    parser: Parser,
    cursor: QueryCursor,
    languages: Languages,
}

impl Extractor {
    pub(super) fn new() -> Self {
        let mut cursor = QueryCursor::new();
        // A query with more open matches than that is in a file made to have them.
        cursor.set_match_limit(1000);
        Self {
            parser: Parser::new(),
            cursor,
            languages: Languages::default(),
        }
    }

    /// The symbols of the file at `path`; nothing if its language is not known, or its time is up.
    pub(super) fn extract(&mut self, path: &str, content: &[u8]) -> Option<FileSymbols> {
        let language = self.languages.get(Grammar::of(path)?).ok()?;
        let until = Instant::now() + FILE_TIME;
        self.parser.set_language(&language.language).ok()?;
        let tree = parse(&mut self.parser, content, until)?;
        let names = self.definitions(&language, &tree, content, until);
        let defined: BTreeSet<&str> = names.values().map(|name| name.name.as_str()).collect();
        let references = references(&tree, content, &defined, until);
        let mut definitions: Vec<Definition> = names.into_values().collect();
        definitions.truncate(MAXIMUM_DEFINITIONS);
        Some(FileSymbols {
            references: references.into_iter().collect(),
            definitions,
        })
    }

    /// Definitions by where their name begins, since queries find some twice.
    fn definitions(
        &mut self,
        language: &Loaded,
        tree: &Tree,
        content: &[u8],
        until: Instant,
    ) -> BTreeMap<usize, Definition> {
        let mut late = |_: &tree_sitter::QueryCursorState| go_on(until);
        let options = QueryCursorOptions::new().progress_callback(&mut late);
        let mut matches =
            self.cursor
                .matches_with_options(&language.query, tree.root_node(), content, options);
        let mut found = BTreeMap::new();
        while let Some(one) = matches.next() {
            let is_definition = one
                .captures()
                .iter()
                .any(|capture| capture.index != language.name);
            let name = one
                .captures()
                .iter()
                .find(|capture| capture.index == language.name);
            let (true, Some(name)) = (is_definition, name) else {
                continue;
            };
            let Some(word) = word(name.node, content) else {
                continue;
            };
            let definition = Definition {
                name: word.to_owned(),
                line: u32::try_from(name.node.start_position().row + 1).unwrap_or(u32::MAX),
                text: line_at(content, name.node.start_byte()),
            };
            found.insert(name.node.start_byte(), definition);
            if found.len() >= 2 * MAXIMUM_DEFINITIONS {
                break;
            }
        }
        found
    }
}

fn parse(parser: &mut Parser, content: &[u8], until: Instant) -> Option<Tree> {
    let mut late = |_: &tree_sitter::ParseState| go_on(until);
    let options = ParseOptions::new().progress_callback(&mut late);
    let mut rest = |from: usize, _| content.get(from..).unwrap_or_default();
    let tree = parser.parse_with_options(&mut rest, None, Some(options));
    // What is left of a file that took too long must not become part of the next.
    parser.reset();
    tree
}

fn go_on(until: Instant) -> ControlFlow<()> {
    match Instant::now() < until {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// The names in `tree` that are not `defined` there, with how often each is there. Comments and strings have none.
fn references(
    tree: &Tree,
    content: &[u8],
    defined: &BTreeSet<&str>,
    until: Instant,
) -> BTreeMap<String, u32> {
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    let mut cursor = tree.walk();
    let mut steps = 0_u32;
    loop {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(1024) && go_on(until).is_break() {
            return found;
        }
        let node = cursor.node();
        if is_name(node)
            && let Some(word) = word(node, content)
            && !defined.contains(word)
        {
            if let Some(count) = found.get_mut(word) {
                *count += 1;
            } else if found.len() < MAXIMUM_REFERENCES {
                found.insert(word.to_owned(), 1);
            }
        }
        if cursor.goto_first_child() || cursor.goto_next_sibling() {
            continue;
        }
        loop {
            if !cursor.goto_parent() {
                return found;
            }
            if cursor.goto_next_sibling() {
                break;
            }
        }
    }
}

/// Grammars call the leaves that are names `identifier`, `type_identifier` and alike; Ruby has `constant`, PHP `name`.
fn is_name(node: Node<'_>) -> bool {
    node.child_count() == 0
        && (node.kind().ends_with("identifier") || matches!(node.kind(), "constant" | "name"))
}

fn word<'a>(node: Node<'_>, content: &'a [u8]) -> Option<&'a str> {
    let word = str::from_utf8(content.get(node.byte_range())?).ok()?;
    let is_word =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '?' | '!');
    let fits = (MINIMUM_NAME..=MAXIMUM_NAME).contains(&word.len()) && word.chars().all(is_word);
    fits.then_some(word)
}

/// The line of `content` that holds the byte at `place`.
fn line_at(content: &[u8], place: usize) -> String {
    let is_end = |byte: &u8| *byte == b'\n';
    let start = content[..place]
        .iter()
        .rposition(is_end)
        .map_or(0, |end| end + 1);
    let length = content[place..].iter().position(is_end);
    let end = length.map_or(content.len(), |length| place + length);
    // A line may be as long as its file.
    let end = end.min(start + 4 * MAXIMUM_TEXT);
    shorten(
        String::from_utf8_lossy(&content[start..end]).trim(),
        MAXIMUM_TEXT,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(path: &str, content: &str) -> Vec<(String, u32)> {
        let symbols = Extractor::new().extract(path, content.as_bytes()).unwrap();
        let definitions = symbols.definitions.into_iter();
        definitions.map(|one| (one.name, one.line)).collect()
    }

    #[test]
    fn each_language_s_definitions_are_found() {
        for (path, content, expected) in [
            (
                "a.c",
                "#define LIMIT 3\nint add(int a);\nstruct point { int x; };\n",
                vec!["LIMIT", "add", "point"],
            ),
            (
                "a.cs",
                "class Parser { void Parse() {} }\ninterface IThing {}\n",
                vec!["Parser", "Parse", "IThing"],
            ),
            (
                "a.cpp",
                "class Shape { void draw(); };\nvoid Shape::draw() {}\n",
                vec!["Shape", "draw", "draw"],
            ),
            (
                "a.go",
                "package main\n\ntype Unit struct{}\n\nfunc (u Unit) Name() string { return \"\" }\nfunc Parse() {}\n",
                vec!["Unit", "Name", "Parse"],
            ),
            (
                "a.java",
                "class Clock { void tick() {} }\nenum Kind { ONE }\n",
                vec!["Clock", "tick", "Kind"],
            ),
            (
                "a.js",
                "export function parse() {}\nconst later = () => 1;\nclass Unit { read() {} }\n",
                vec!["parse", "later", "Unit", "read"],
            ),
            (
                "a.php",
                "<?php\nclass Basket { function total() {} }\nfunction price() {}\n",
                vec!["Basket", "total", "price"],
            ),
            (
                "a.py",
                "LIMIT = 3\nclass Unit:\n    def read(self):\n        pass\n",
                vec!["LIMIT", "Unit", "read"],
            ),
            (
                "a.rb",
                "module Units\n  class Unit\n    def read\n    end\n  end\nend\n",
                vec!["Units", "Unit", "read"],
            ),
            (
                "a.rs",
                "const LIMIT: u8 = 3;\nstruct Unit;\nimpl Unit { fn read(&self) {} }\n",
                vec!["LIMIT", "Unit", "read"],
            ),
            (
                "a.ts",
                "interface Unit { read(): void }\ntype Names = string;\nenum Kind { One }\nexport class Clock {}\n",
                vec!["Unit", "read", "Names", "Kind", "Clock"],
            ),
            (
                "a.tsx",
                "export function Button() { return <b/>; }\n",
                vec!["Button"],
            ),
        ] {
            let names: Vec<String> = defined(path, content)
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, expected, "{path}");
        }
    }

    #[test]
    fn names_are_counted_where_they_are_used_and_not_in_comments() {
        let content =
            "// parseUnit\nfunction own() { parseUnit(\"parseUnit\"); parseUnit(1); own(); }\n";
        let symbols = Extractor::new()
            .extract("a.js", content.as_bytes())
            .unwrap();
        assert_eq!(symbols.references, [("parseUnit".to_owned(), 2)]);
        assert_eq!(symbols.definitions[0].line, 2);
        assert!(symbols.definitions[0].text.starts_with("function own() {"));
    }

    #[test]
    fn broken_and_foreign_files_end_well() {
        let mut extractor = Extractor::new();
        for content in [
            &b"\xff\xfe\0fn x("[..],
            b"",
            b"fn (((((((((((",
            &[b'('; 10_000],
        ] {
            for path in ["a.rs", "a.js", "a.c", "a.py", "a.rb"] {
                assert!(extractor.extract(path, content).is_some(), "{path}");
            }
        }
        assert!(extractor.extract("a.txt", b"text").is_none());
        let long = format!("fn a_name() {{ {} }}", "a_call(); ".repeat(10_000));
        let symbols = extractor.extract("a.rs", long.as_bytes()).unwrap();
        assert!(symbols.definitions[0].text.len() <= MAXIMUM_TEXT + 3);
    }
}
