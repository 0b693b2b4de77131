//! What is checked before anything starts, so that what is missing is said at once and in words.

use std::path::{Path, PathBuf};

use sallyport_activities::{
    sandbox::{self, EngineConfig, Sandbox},
    tools::Tools,
};

use super::data_dir::DataDir;
use crate::{
    config::Layers,
    exit::{Exit, Problem},
};

/// Where `cargo xtask setup` writes the list of tools, from a checkout's folder.
pub const TOOLS: &str = ".tools/tools.json";

/// An example of what must be said, shown when some of it is missing.
const EXAMPLE: &str = r#"for example, in sallyport.toml:

    [flux_lens]
    base_url = "https://flux-lens.example.com"
    token_file = "flux-lens-token"

    [[repositories]]
    project = "DEMO"
    url = "file:///srv/git/demo.git"

    [model]
    vendor = "anthropic"
    api_key_file = "model-key"
    planner_model = "claude-sonnet-4-5"
    agent_model = "claude-sonnet-4-5"

Or see it all work without any of these: cargo xtask demo"#;

/// Says which required keys are missing, all at once. `layers` has everything that will be set.
pub fn require_keys(layers: &Layers) -> Result<(), Problem> {
    let is_set = |path: &[&str]| layers.get(path).is_some();
    let mut missing = Vec::new();
    if !is_set(&["flux_lens", "base_url"]) {
        missing.push("`flux_lens.base_url`: where the ticket system is");
    }
    if !is_set(&["flux_lens", "token"]) && !is_set(&["flux_lens", "token_file"]) {
        missing.push("`flux_lens.token` or `flux_lens.token_file`: the token for its API");
    }
    let repositories = layers.get(&["repositories"]);
    if repositories
        .and_then(toml::Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        missing.push("`[[repositories]]`: at least one `project` with its `url`");
    }
    if !is_set(&["model", "api_key"]) && !is_set(&["model", "api_key_file"]) {
        missing.push(
            "`model.api_key` or `model.api_key_file`, or ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY in the environment",
        );
    }
    if !is_set(&["model", "planner_model"]) || !is_set(&["model", "agent_model"]) {
        missing.push("`model.planner_model` and `model.agent_model`: the names of the models");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Usage,
        format!(
            "{} does not say all that is needed. Missing:\n  - {}",
            layers.file().display(),
            missing.join("\n  - ")
        ),
    )
    .hint(EXAMPLE))
}

/// The list of tools: the nearest one from `folder` upwards, else from `here` upwards.
pub fn find_tools(folder: &Path, here: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .chain(here.ancestors())
        .map(|folder| folder.join(TOOLS))
        .find(|path| path.is_file())
}

/// Reads the list of tools and checks that all of them are there.
pub fn load_tools(path: &Path) -> Result<Tools, Problem> {
    Tools::load(path).map_err(|error| Problem::new(Exit::Failed, error.to_string()))
}

/// Checks that a program of the system is there.
pub fn require_setpriv() -> Result<(), Problem> {
    let found = std::process::Command::new("setpriv")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if found {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Failed,
        "cannot run `setpriv`, which ties programs to this one",
    )
    .hint("install util-linux: `apt-get install util-linux` (Debian, Ubuntu)"))
}

/// `[worker.sandbox]`, or what holds where it is not there.
pub fn engine_config(layers: &Layers) -> Result<EngineConfig, Problem> {
    let Some(section) = layers.get(&["worker", "sandbox"]) else {
        return Ok(EngineConfig::default());
    };
    section.clone().try_into().map_err(|error: toml::de::Error| {
        let message = format!("`worker.sandbox` is wrong: {}", error.message());
        Problem::new(Exit::Usage, message)
            .hint("write `engine = \"bubblewrap\"` or `engine = \"docker\"`, and `docker_socket` if it is not the usual one")
    })
}

/// Makes a room and checks that it is sealed.
pub async fn require_sandbox(
    tools: &Tools,
    data: &DataDir,
    layers: &Layers,
) -> Result<(), Problem> {
    let engine = engine_config(layers)?;
    let (kit, workspaces) = (
        data.path().join("room-kit"),
        data.passable_folder("workspaces")?,
    );
    let check = async {
        let sandbox = Sandbox::open_with(tools, &kit, &engine)?;
        sandbox::preflight(&sandbox, &workspaces).await
    };
    check
        .await
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> String {
        let layers = Layers::parse(Path::new("/x/sallyport.toml"), text).unwrap();
        match require_keys(&layers) {
            Ok(()) => String::new(),
            Err(problem) => problem.message,
        }
    }

    #[test]
    fn every_missing_key_is_named_at_once() {
        let all = missing("");
        for key in [
            "flux_lens.base_url",
            "flux_lens.token",
            "[[repositories]]",
            "model.api_key",
            "model.planner_model",
        ] {
            assert!(all.contains(key), "{all}");
        }
        let one = missing(
            "repositories = []\n[flux_lens]\nbase_url = 'x'\ntoken_file = 'y'\n[model]\napi_key = 'z'\n",
        );
        assert!(
            one.contains("[[repositories]]") && !one.contains("flux_lens."),
            "{one}"
        );
        let none = "[flux_lens]\nbase_url = 'x'\ntoken = 'y'\n[model]\napi_key_file = 'z'\nplanner_model = 'a'\nagent_model = 'b'\n[[repositories]]\nproject = 'A'\n";
        assert_eq!(missing(none), "");
    }

    #[test]
    fn the_nearest_tools_are_found() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir_all(root.path().join(".tools")).unwrap();
        let list = root.path().join(TOOLS);
        std::fs::write(&list, "{}").unwrap();
        assert_eq!(
            find_tools(&below, Path::new("/nowhere")),
            Some(list.clone())
        );
        assert_eq!(find_tools(Path::new("/nowhere"), &below), Some(list));
    }
}
