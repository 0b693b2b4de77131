//! The installation that most tests share, and the repositories and tickets of each.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use sallyport_test_support::{
    api::Api,
    child::{Output, until},
    demo_repository::write_demo_repository,
    demo_scenario::{demo_scenario, demo_ticket},
    flux_lens::NewTicket,
    installation::{Installation, InstallationOptions, Model},
    scripted_model::{AgentStep, PlanAnswer, Scenario},
    tools::TestTools,
};
use serde_json::{Value, json};

/// A project of the shared installation: its key in the ticket system is also its repository's folder.
pub const PROJECTS: [&str; 8] = [
    "demo",
    "signal",
    "mend",
    "stray",
    "retried",
    "moved",
    "misconfigured",
    "attack",
];

/// The installation of this test process, started by the first who asks.
pub fn shared() -> &'static Installation {
    static SHARED: OnceLock<Installation> = OnceLock::new();
    SHARED.get_or_init(|| {
        // A thread with a runtime of its own: the test's runtime ends with the test.
        let starting = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let installation = runtime
                .block_on(start("shared", "anthropic", scenario()))
                .expect("Sallyport starts");
            std::mem::forget(runtime);
            installation
        });
        starting.join().expect("the installation starts")
    })
}

/// Starts an installation in a folder, with all projects' repositories.
pub async fn start_here(
    folder: PathBuf,
    vendor: &'static str,
    scenario: Scenario,
) -> anyhow::Result<Installation> {
    start_configured(folder, vendor, scenario, "").await
}

/// The same with further lines of the configuration.
pub async fn start_configured(
    folder: PathBuf,
    vendor: &'static str,
    scenario: Scenario,
    more_config: &str,
) -> anyhow::Result<Installation> {
    let mut repositories = Vec::new();
    for project in PROJECTS {
        let repository = write_demo_repository(&folder.join("repositories").join(project))?;
        repositories.push((
            project.to_owned(),
            format!("file://{}", repository.origin.display()),
        ));
    }
    break_policy(&origin(&folder, "misconfigured"));
    Installation::start(InstallationOptions {
        model: Model::Scripted { scenario, vendor },
        repositories,
        more_config: more_config.to_owned(),
        output: Output::Log(folder.join("dev.log")),
        more_options: Vec::new(),
        flux_lens_via: None,
        folder,
    })
    .await
}

/// Starts an installation of a test's own in a folder that only its owner can pass, as a checkout below `/root` is.
pub async fn start_in_private_folder(
    name: &str,
    vendor: &'static str,
    scenario: Scenario,
) -> anyhow::Result<Installation> {
    use std::os::unix::fs::PermissionsExt;
    let folder = scratch(name);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
    start_here(folder, vendor, scenario).await
}

/// Starts an installation of a test's own.
async fn start(
    name: &str,
    vendor: &'static str,
    scenario: Scenario,
) -> anyhow::Result<Installation> {
    start_here(scratch(name), vendor, scenario).await
}

/// An empty folder that other users can pass. Those of test runs that are over are removed.
pub fn scratch(name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let prefix = "sallyport-end-to-end-";
    let all = std::env::temp_dir();
    for entry in std::fs::read_dir(&all)
        .expect("the temporary folder")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // As root, the data folder of a folder that others cannot pass stands elsewhere.
            if let Ok(data) = std::fs::read_link(entry.path().join("data")) {
                let _ = std::fs::remove_dir_all(data);
            }
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let folder = all.join(format!("{prefix}{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
        .expect("its mode is set");
    folder
}

/// The bare repository of a project.
pub fn origin(folder: &Path, project: &str) -> PathBuf {
    folder.join("repositories").join(project).join("origin.git")
}

/// What the shared installation's model says to each project's tickets. A ticket's title carries its project in
/// brackets, and so does its SPEC.
fn scenario() -> Scenario {
    let listener = crate::scope::listener_address();
    let mut scenario = demo_scenario(0);
    for project in ["signal", "mend", "stray", "retried", "moved", "attack"] {
        scenario = scenario.plan_when(&[&mark(project)], [PlanAnswer::spec(small_plan(project))]);
    }
    scenario
        .run_when(&[&mark("signal")], small_change())
        .run_when(
            &[&mark("mend")],
            [
                stray_step("left/behind.txt"),
                small_edit(),
                AgentStep::say("Done."),
            ],
        )
        .run_when(
            &[&mark("mend"), "left/behind.txt"],
            [
                AgentStep::say("I undo that.").bash("rm -r left"),
                AgentStep::say("It is gone."),
            ],
        )
        .run_when(&[&mark("moved")], small_change())
        .run_when(&[&mark("stray")], stray_steps())
        .run_when(&[&mark("stray"), "left/behind.txt"], stubborn_steps())
        .run_when(&[&mark("retried")], stray_steps())
        .run_when(&[&mark("retried"), "left/behind.txt"], stubborn_steps())
        .run_when(&[&mark("attack")], crate::scope::attack_steps(listener))
}

pub fn mark(project: &str) -> String {
    format!("[{project}]")
}

/// The demo's ticket, filed in a project.
pub fn ticket(project: &str) -> NewTicket {
    let ticket = demo_ticket();
    let title = match project {
        "demo" => ticket.title,
        _ => format!("Say what the library is for {}", mark(project)),
    };
    NewTicket {
        title,
        project: project.to_owned(),
        ..ticket
    }
}

/// A plan that changes the README.
pub fn small_plan(project: &str) -> Value {
    json!({
        "title": format!("Say what the library is for {}", mark(project)),
        "problem": "The README does not say it.",
        "solution": "Add a sentence.",
        "files": [{"path": "README.md", "change": "modify", "reason": "It is read first."}],
        "plan": ["Add a sentence."],
        "testing": ["None: no code changes."],
        "criteria": [{"text": "The README says what the library is for.", "check": "review"}],
        "patterns": [],
        "risks": [],
        "confidence": 0.9,
        "confidence_reasons": ["It is small, and a test shows it."],
        "open_questions": [],
    })
}

/// The steps of a run that fixes the library's bug and says so in the README... or rather only does the latter.
pub fn small_change() -> Vec<AgentStep> {
    vec![small_edit(), AgentStep::say("I added the sentence.")]
}

fn small_edit() -> AgentStep {
    AgentStep::say("I add the sentence.")
        .bash("printf '\\nFor programs that show durations to people.\\n' >> README.md")
}

/// A run that leaves a file outside the scope behind.
fn stray_steps() -> Vec<AgentStep> {
    let stray = stray_step("left/behind.txt");
    vec![stray, small_edit(), AgentStep::say("Done.")]
}

/// A run that does not take it back.
fn stubborn_steps() -> Vec<AgentStep> {
    vec![AgentStep::say("I think the file is needed.")]
}

fn stray_step(path: &str) -> AgentStep {
    AgentStep::say("I leave a note.")
        .bash(format!("mkdir -p $(dirname {path}) && echo note > {path}"))
}

/// Puts a key into `.sallyport.toml` on main that is none.
fn break_policy(origin: &Path) {
    commit(origin, ".sallyport.toml", |text| {
        text.replace("required = true", "requird = true")
    });
}

/// Commits a change of one file to main, as somebody else.
pub fn commit(origin: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let before = git(&[
        "-C",
        &origin.display().to_string(),
        "show",
        &format!("main:{file}"),
    ]);
    commit_files(origin, &[(file, &change(before + "\n"))]);
}

/// Commits files with their contents to main, as somebody else.
pub fn commit_files(origin: &Path, files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tree");
    let tree = path.display().to_string();
    git(&[
        "clone",
        "--quiet",
        "--",
        &origin.display().to_string(),
        &tree,
    ]);
    for (file, content) in files {
        let file = path.join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, content).expect("written");
    }
    let who = ["-c", "user.name=Demo", "-c", "user.email=demo@example.com"];
    let names: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
    let message = format!("Change {}", names.join(", "));
    git(&["-C", &tree, "add", "--all"]);
    git(&[
        &["-C", &tree],
        &who[..],
        &["commit", "--quiet", "-m", &message],
    ]
    .concat());
    git(&["-C", &tree, "push", "--quiet", "origin", "HEAD:main"]);
}

pub fn git(arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Whether the library's tests pass at the tip of main.
pub fn tests_pass(origin: &Path) -> bool {
    let tree = tempfile::tempdir().expect("a folder");
    let path = tree.path().join("tree");
    git(&[
        "clone",
        "--quiet",
        "--",
        &origin.display().to_string(),
        &path.display().to_string(),
    ]);
    let node = TestTools::load()
        .expect("tools")
        .node_prefix
        .join("bin/node");
    Command::new(node)
        .arg("--test")
        .current_dir(&path)
        .output()
        .expect("node runs")
        .status
        .success()
}

/// The states on record, in order.
pub async fn states(api: &Api, id: &str) -> Vec<String> {
    let view = api.ticket(id).await.expect("the ticket's view");
    let transitions = view["transitions"].as_array().cloned().unwrap_or_default();
    transitions
        .iter()
        .map(|transition| transition["to"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// How long a busy machine may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Exit code and output of `sallyport audit verify`.
pub fn verify(sallyport: &Installation, more: &[&str]) -> (i32, String) {
    let arguments: Vec<&str> = ["audit", "verify"].iter().chain(more).copied().collect();
    let mut command = sallyport.sallyport(&arguments).expect("there is a command");
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What `sallyport audit verify` says once everything is sealed.
pub async fn sealed(sallyport: &Installation) -> String {
    let all = async || {
        let (code, said) = verify(sallyport, &[]);
        assert_eq!(code, 0, "{said}");
        said.contains("; 0 not sealed yet").then_some(said)
    };
    let waited = until(PATIENCE, "the audit log is sealed", all).await;
    waited.expect("a starter seals every few seconds")
}

/// What Temporal's own command prints, against the installation's server; it must succeed.
pub fn temporal(sallyport: &Installation, arguments: &[&str]) -> String {
    let program = TestTools::load().expect("tools").temporal;
    let output = Command::new(program)
        .args(arguments)
        .args(["--address", &sallyport.run.temporal_address])
        .output()
        .expect("the temporal command runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
