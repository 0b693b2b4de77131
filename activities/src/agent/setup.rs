//! What Pi is started with: its configuration, the policy for its extension, its command line, and its room.

use std::{
    fmt::Write as _,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::Path,
};

use sallyport_workflows::scope::{MAXIMUM_REASON_BYTES, MAXIMUM_REQUESTED_FILES};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{rpc::REQUEST_SCOPE, run::AgentLimits};
use crate::{
    gateway::{ModelConfig, RunGateway, SOCKET, Vendor},
    sandbox::{KIT, Layer, Limits, ROOM_UID, Room, Sandbox, WORKSPACE, runs_as_root},
    scope::{self, Scope},
    tools::PI_CLI,
};

/// Where a room's Pi finds its files.
const PI_FILES: &str = "/opt/run";
const PI_MODULES: &str = "/opt/pi/node_modules";
const PI_HOME: &str = "/pi-agent";
const SESSIONS: &str = "/session";
const GATEWAY: &str = "/run/gw";

/// Where in the room Pi expects the model. Nothing else is on this loopback.
const PORT: u16 = 18_080;

/// The provider's name in Pi's configuration.
const PROVIDER: &str = "sallyport";

/// Our extension of Pi. The first file is the one that Pi is told of.
const EXTENSION: [(&str, &str); 5] = [
    ("sallyport.ts", include_str!("extension/sallyport.ts")),
    ("policy.ts", include_str!("extension/policy.ts")),
    ("guard.ts", include_str!("extension/guard.ts")),
    (
        "request_scope.ts",
        include_str!("extension/request_scope.ts"),
    ),
    ("gateway.ts", include_str!("extension/gateway.ts")),
];
const SYSTEM_PROMPT: &str = include_str!("system-prompt.md");

/// Writes Pi's files into `folder`, which rooms see but cannot change. The one with the run's token only they can read.
pub(super) fn write_files(
    folder: &Path,
    gateway: &RunGateway,
    scope: &Scope,
    home: Option<&str>,
    limits: &AgentLimits,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let configuration = [
        ("policy.json", policy(scope, home, limits).to_string()),
        ("settings.json", settings().to_string()),
        ("system-prompt.md", system_prompt(scope)),
    ];
    let extension = EXTENSION.map(|(name, content)| (name, extension(name, content)));
    for (name, content) in configuration.into_iter().chain(extension) {
        let path = folder.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    }
    let models = models(gateway.config(), gateway.token()).to_string();
    write_for_room(&folder.join("models.json"), &models)
}

/// Writes a file that besides us only the room's user can read.
fn write_for_room(path: &Path, content: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    if runs_as_root() {
        fchown(&file, None, Some(ROOM_UID))?;
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(())
}

/// A file of the extension.
#[cfg(not(feature = "chaos"))]
fn extension(_name: &str, content: &str) -> String {
    content.to_owned()
}

/// A file of the extension, or what stands in for it where there shall be no such wall.
#[cfg(feature = "chaos")]
fn extension(name: &str, content: &str) -> String {
    use crate::walls::{Wall, stands};
    match name {
        "guard.ts" if !stands(Wall::Extension) => include_str!("extension/unguarded.ts").to_owned(),
        _ => content.to_owned(),
    }
}

/// Pi's room. `files` is what [`write_files`] wrote, `gateway` the socket's folder.
pub(super) fn room(
    sandbox: &Sandbox,
    workspace: &Path,
    sessions: &Path,
    files: &Path,
    gateway: &Path,
    limits: &AgentLimits,
) -> Room {
    let room_limits = Limits {
        wall: limits.wall,
        ..Limits::for_agents()
    };
    Room::new(Layer::Agent, workspace, room_limits)
        .read_only(&sandbox.tools().pi_modules, PI_MODULES)
        .read_only(files, PI_FILES)
        .read_only(gateway, GATEWAY)
        .writable(sessions, SESSIONS)
        // Pi locks its settings by a folder beside them, so the folder must be writable; the files are not.
        .memory(PI_HOME, 16 << 20)
        .read_only(files.join("models.json"), format!("{PI_HOME}/models.json"))
        .read_only(
            files.join("settings.json"),
            format!("{PI_HOME}/settings.json"),
        )
        .variable("PI_CODING_AGENT_DIR", PI_HOME)
        .variable("PI_OFFLINE", "1")
        .variable("PI_TELEMETRY", "0")
        .variable("PI_SKIP_VERSION_CHECK", "1")
        .variable("SALLYPORT_POLICY", format!("{PI_FILES}/policy.json"))
}

/// Pi's command line. Everything that a repository could bring along (extensions, skills, templates, instructions for
/// agents, its own settings) is off.
pub(super) fn command_line(model: &ModelConfig, session: &str) -> Vec<String> {
    let mut line = vec![
        format!("{}/bin/node", crate::sandbox::NODE),
        format!("{PI_MODULES}/{PI_CLI}"),
    ];
    let files = |name: &str| format!("{PI_FILES}/{name}");
    for (option, value) in [
        ("--mode", "rpc".to_owned()),
        ("--provider", PROVIDER.to_owned()),
        ("--model", model.model.clone()),
        ("--thinking", "off".to_owned()),
        ("--tools", format!("read,write,edit,bash,{REQUEST_SCOPE}")),
        ("--extension", files(EXTENSION[0].0)),
        ("--system-prompt", files("system-prompt.md")),
        ("--session-dir", SESSIONS.to_owned()),
        ("--session-id", session.to_owned()),
    ] {
        line.extend([option.to_owned(), value]);
    }
    let off = [
        "--no-extensions",
        "--no-skills",
        "--no-prompt-templates",
        "--no-themes",
        "--no-context-files",
        "--no-approve",
    ];
    line.extend(off.map(str::to_owned));
    line
}

fn policy(scope: &Scope, home: Option<&str>, limits: &AgentLimits) -> serde_json::Value {
    json!({
        "workspace": WORKSPACE,
        "scope": in_policy(scope),
        "home": home,
        "launcher": format!("{KIT}/{}", crate::sandbox::LAUNCHER),
        "bashSeconds": {"usual": limits.command.as_secs(), "most": limits.longest_command.as_secs()},
        "toolCalls": limits.tool_calls,
        "scopeRequests": {
            "left": limits.scope_requests,
            "paths": MAXIMUM_REQUESTED_FILES,
            "reasonBytes": MAXIMUM_REASON_BYTES,
        },
        "forward": {"port": PORT, "socket": format!("{GATEWAY}/{SOCKET}")},
    })
}

/// The scope as the extension reads it.
pub(crate) fn in_policy(scope: &Scope) -> serde_json::Value {
    let files: serde_json::Map<_, _> = scope
        .files()
        .map(|(path, changes)| (path.to_string(), json!(changes)))
        .collect();
    let patterns = scope.patterns().iter().map(|(change, matcher)| {
        json!({"pattern": matcher.pattern(), "change": change, "regex": matcher.source()})
    });
    let never = scope
        .never()
        .iter()
        .map(|matcher| json!({"pattern": matcher.pattern(), "regex": matcher.source()}));
    json!({
        "files": files,
        "patterns": patterns.collect::<Vec<_>>(),
        "never": never.collect::<Vec<_>>(),
    })
}

fn models(model: &ModelConfig, token: &SecretString) -> serde_json::Value {
    let (api, path) = match model.vendor {
        Vendor::Anthropic => ("anthropic-messages", ""),
        Vendor::OpenAi => ("openai-completions", Vendor::OpenAi.version()),
        Vendor::Google => ("google-generative-ai", Vendor::Google.version()),
    };
    json!({"providers": {PROVIDER: {
        "baseUrl": format!("http://127.0.0.1:{PORT}{path}"),
        "api": api,
        // The gateway puts the real one in its place.
        "apiKey": token.expose_secret(),
        "models": [{
            "id": model.model,
            "name": model.model,
            "reasoning": false,
            "input": ["text"],
            "contextWindow": model.context_tokens,
            "maxTokens": model.max_output_tokens,
            // Money is counted by the gateway.
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        }],
    }}})
}

fn settings() -> serde_json::Value {
    json!({
        "defaultProjectTrust": "never",
        "enableInstallTelemetry": false,
        "cacheWarming": "off",
        "compaction": {"enabled": true},
        // The gateway tries again before an answer begins; these are for answers that break off.
        "retry": {"enabled": true, "maxRetries": 2, "baseDelayMs": 1000, "provider": {"maxRetries": 0}},
        // Longer than all of the gateway's tries together.
        "httpIdleTimeoutMs": 900_000,
    })
}

fn system_prompt(scope: &Scope) -> String {
    let mut text = SYSTEM_PROMPT.to_owned();
    // Writing to a string does not fail.
    for (path, changes) in scope.files() {
        let _ = writeln!(text, "- {path} ({})", scope::names(changes));
    }
    for (change, matcher) in scope.patterns() {
        let _ = writeln!(
            text,
            "- files that fit {} ({})",
            matcher.pattern(),
            change.name()
        );
    }
    if !scope.never().is_empty() {
        text.push_str("\nWhat nobody can let you change, so do not ask for it:\n");
    }
    for matcher in scope.never() {
        let _ = writeln!(text, "- {}", matcher.pattern());
    }
    text
}
