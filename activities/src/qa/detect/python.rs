//! Python.
//!
//! Tests are run by the test runner itself, and by tox or nox only where the runner is not known: those two make
//! environments of their own, which needs a network.

use super::{Proposal, Root};
use crate::mirror::MirrorError;

/// Where tests usually are. The top itself comes last.
const FOLDERS: [&str; 3] = ["tests", "test", ""];

/// How many test files are looked into.
const MAXIMUM_READ: usize = 5;

pub(super) async fn gates(root: &mut Root<'_>) -> Result<Vec<Proposal>, MirrorError> {
    let files = Files::read(root).await?;
    let mut gates = Vec::new();
    if files.pyproject_tool("ruff").is_some() || root.has("ruff.toml") || root.has(".ruff.toml") {
        gates.push(Proposal::optional("Ruff", "ruff check ."));
    }
    if let Some(command) = files.mypy() {
        gates.push(Proposal::optional("mypy", command));
    }
    gates.extend(tests(root, &files).await?);
    Ok(gates)
}

async fn tests(root: &mut Root<'_>, files: &Files) -> Result<Option<Proposal>, MirrorError> {
    let pytest = Proposal::required("Python tests", "python3 -m pytest");
    if root.has("pytest.ini") || files.name_pytest() {
        return Ok(Some(pytest));
    }
    let tool = if files.tox_ini.is_some()
        || files.pyproject_tool("tox").is_some()
        || files.setup_cfg_has("tox:tox")
    {
        Some("PIP_NO_INDEX=1 tox run --skip-pkg-install")
    } else if files.noxfile.is_some() {
        Some("PIP_NO_INDEX=1 nox --non-interactive")
    } else {
        None
    };
    if let Some(command) = tool {
        return Ok(Some(Proposal::required("Python tests", command)));
    }
    for folder in FOLDERS {
        let names = match folder {
            "" => root.files().map(str::to_owned).collect(),
            _ => root.files_in(folder).await?,
        };
        match style(root, folder, &names).await? {
            Some(Style::Pytest) => return Ok(Some(pytest)),
            Some(Style::Unittest) => {
                let is_package = names.iter().any(|name| name == "__init__.py");
                let command = match (folder, is_package) {
                    ("", _) => "python3 -m unittest discover".to_owned(),
                    (_, true) => format!("python3 -m unittest discover -s {folder} -t ."),
                    (_, false) => format!("python3 -m unittest discover -s {folder}"),
                };
                return Ok(Some(Proposal::required("Python tests", command)));
            }
            None => {}
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Pytest,
    Unittest,
}

/// How the test files in `folder` are written.
async fn style(
    root: &mut Root<'_>,
    folder: &str,
    names: &[String],
) -> Result<Option<Style>, MirrorError> {
    let mut found = None;
    let tests = names
        .iter()
        .filter(|name| name.starts_with("test_") && name.ends_with(".py"));
    for name in tests.take(MAXIMUM_READ) {
        let path = match folder {
            "" => name.clone(),
            _ => format!("{folder}/{name}"),
        };
        let Some(text) = root.text(&path).await? else {
            continue;
        };
        let starts = |words: &[&str]| {
            text.lines()
                .any(|line| words.iter().any(|word| line.starts_with(word)))
        };
        if starts(&[
            "import pytest",
            "from pytest",
            "def test_",
            "async def test_",
        ]) {
            return Ok(Some(Style::Pytest));
        }
        if starts(&["import unittest", "from unittest"]) {
            found = Some(Style::Unittest);
        }
    }
    Ok(found)
}

/// The files that configure Python's tools. What is malformed is missing.
struct Files {
    pyproject: Option<(String, toml::Table)>,
    setup_cfg: Option<String>,
    tox_ini: Option<String>,
    noxfile: Option<String>,
    mypy_ini: Option<String>,
}

impl Files {
    async fn read(root: &mut Root<'_>) -> Result<Self, MirrorError> {
        let mut pyproject = None;
        if let Some(text) = root.text("pyproject.toml").await? {
            match text.parse() {
                Ok(table) => pyproject = Some((text, table)),
                Err(_) => root.note("pyproject.toml is malformed"),
            }
        }
        let mypy_ini = match root.text("mypy.ini").await? {
            Some(text) => Some(text),
            None => root.text(".mypy.ini").await?,
        };
        Ok(Self {
            pyproject,
            setup_cfg: root.text("setup.cfg").await?,
            tox_ini: root.text("tox.ini").await?,
            noxfile: root.text("noxfile.py").await?,
            mypy_ini,
        })
    }

    /// The table `[tool.NAME]` of `pyproject.toml`.
    fn pyproject_tool(&self, name: &str) -> Option<&toml::Table> {
        let (_, table) = self.pyproject.as_ref()?;
        table.get("tool")?.get(name)?.as_table()
    }

    fn setup_cfg_has(&self, section: &str) -> bool {
        let text = self.setup_cfg.as_deref();
        text.is_some_and(|text| section_of(text, section).is_some())
    }

    /// Whether one of them names pytest: its own configuration, a dependency, a command of tox or nox.
    fn name_pytest(&self) -> bool {
        let texts = [
            self.pyproject.as_ref().map(|(text, _)| text),
            self.setup_cfg.as_ref(),
            self.tox_ini.as_ref(),
            self.noxfile.as_ref(),
        ];
        texts.into_iter().flatten().any(|text| {
            let comment = |line: &str| line.trim_start().starts_with('#');
            text.lines()
                .any(|line| line.contains("pytest") && !comment(line))
        })
    }

    /// How mypy is started; nothing if it is not configured. Without files in its configuration it wants them named.
    fn mypy(&self) -> Option<&'static str> {
        const TARGETS: [&str; 3] = ["files", "packages", "modules"];
        let targets_named = if let Some(table) = self.pyproject_tool("mypy") {
            TARGETS.iter().any(|key| table.contains_key(*key))
        } else {
            let ini = self.mypy_ini.as_deref().or(self.setup_cfg.as_deref())?;
            let section = section_of(ini, "mypy")?;
            section.lines().any(|line| {
                let key = line.split(['=', ':']).next().unwrap_or_default();
                TARGETS.contains(&key.trim_end())
            })
        };
        Some(if targets_named { "mypy" } else { "mypy ." })
    }
}

/// The lines of the section `[name]` of an INI file.
fn section_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let heading = format!("[{name}]");
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match start {
            Some(start) if line.starts_with('[') => return Some(&text[start..at]),
            None if line.trim_end() == heading => start = Some(at + line.len()),
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| &text[start..])
}
