//! A repository with dependencies: installed once, with network to its registry only, and then used without network.

use sallyport_test_support::{
    installation::Installation,
    npm_registry::{NpmRegistry, PACKAGE, VERSION},
    scripted_model::{AgentStep, PlanAnswer, Scenario},
};
use serde_json::json;

use crate::fixture::{
    commit_files, git, mark, origin, scratch, small_plan, start_configured, ticket,
};

/// What the dependency does while it is installed.
const INSTALL_SCRIPT: &str = "touch ran && touch $HOME/of-the-home";

/// What the agent does: it looks whether it has the dependency, and the registry.
fn steps(registry: &NpmRegistry) -> Vec<AgentStep> {
    let port = registry
        .base_url()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    vec![
        AgentStep::say("I look.").bash(format!(
            "node -p \"'the word is ' + require('{PACKAGE}').ms\"; ls $HOME; \
             (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached the registry; echo looked"
        )),
        AgentStep::say("I write.").bash("printf '\\nIt has milliseconds.\\n' >> README.md; echo x > node_modules/mine"),
        AgentStep::say("Done."),
    ]
}

async fn start(name: &str, registry: &NpmRegistry, registries: &str) -> Installation {
    let scenario = Scenario::new()
        .plan_when(&[&mark("signal")], [PlanAnswer::spec(small_plan("signal"))])
        .run_when(&[&mark("signal")], steps(registry));
    let config = format!("\n[worker.setup]\nregistries = [{registries}]\n");
    let sallyport = start_configured(scratch(name), "anthropic", scenario, &config)
        .await
        .expect("it works");
    let settings = format!(
        "[setup]\ncommand = \"npm ci --no-audit --no-fund --loglevel=warn\"\n\n\
         [[gates]]\nname = \"Words\"\ncommand = \"node -p \\\"require('{PACKAGE}').ms\\\" && ls node_modules $HOME\"\n"
    );
    let manifest = json!({"name": "durations", "dependencies": {PACKAGE: VERSION}});
    commit_files(
        &origin(sallyport.folder(), "signal"),
        &[
            (".sallyport.toml", &settings),
            (".gitignore", "node_modules/\n"),
            (
                ".npmrc",
                &format!("registry={}\nupdate-notifier=false\n", registry.base_url()),
            ),
            ("package.json", &manifest.to_string()),
            ("package-lock.json", &registry.lock_file("durations")),
        ],
    );
    sallyport
}

async fn approved(sallyport: &Installation) -> String {
    let id = sallyport
        .flux_lens
        .create_ticket(ticket("signal"))
        .expect("it works");
    let open = sallyport
        .api
        .until_gate(&id, "SPEC")
        .await
        .expect("it works");
    sallyport
        .api
        .decide(&open, "APPROVE", None)
        .await
        .expect("it works");
    id
}

#[tokio::test]
async fn what_npm_installs_once_is_there_for_agent_and_qa_without_network() {
    let registry = NpmRegistry::start(INSTALL_SCRIPT).unwrap();
    let sallyport = start(
        "dependencies",
        &registry,
        &format!("{:?}", registry.base_url()),
    )
    .await;
    for _ in 0..2 {
        let id = approved(&sallyport).await;
        let view = sallyport.api.until_gate(&id, "PR").await.unwrap();
        let told = sallyport.run_sallyport(&["transcript", &id]).unwrap();
        assert!(told.contains("the word is milliseconds"), "{told}");
        assert!(
            told.contains("of-the-home") && told.contains("looked"),
            "{told}"
        );
        assert!(!told.contains("reached the registry\n"), "{told}");
        let report = sallyport
            .api
            .text(&format!("/workflows/{id}/qa-report"))
            .await;
        let report = report.unwrap_or_else(|_| format!("{view:#}"));
        assert!(
            !report.contains("mine"),
            "QA has what was installed, and not the agent's: {report}"
        );
        let diff = sallyport.run_sallyport(&["diff", &id]).unwrap();
        assert!(
            diff.contains("It has milliseconds.") && !diff.contains("node_modules"),
            "{diff}"
        );
        sallyport.api.decide(&view, "APPROVE", None).await.unwrap();
        sallyport.api.until_state(&id, "COMPLETED").await.unwrap();
    }
    let tarball = format!("GET /{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz");
    assert_eq!(
        registry.requests(),
        [tarball],
        "one installation for two tickets, their agents and their QA"
    );
    let place = origin(sallyport.folder(), "signal").display().to_string();
    let files = git(&["-C", &place, "ls-tree", "-r", "--name-only", "main"]);
    assert!(
        !files.contains("node_modules") && !files.contains(".sallyport-home"),
        "{files}"
    );
}

#[tokio::test]
async fn a_registry_that_nobody_configured_is_named_and_the_ticket_waits() {
    let registry = NpmRegistry::start(INSTALL_SCRIPT).unwrap();
    let sallyport = start("no-registry", &registry, "").await;
    let id = approved(&sallyport).await;
    let view = sallyport.api.until_state(&id, "ERROR").await.unwrap();
    let failure = &view["workflow"]["failure"];
    assert_eq!(failure["kind"], "SetupFailed", "{view:#}");
    let message = failure["message"].as_str().unwrap_or_default();
    let address = registry.base_url().trim_start_matches("http://");
    assert!(
        message.contains(&format!(
            "asked for {address}, no registry of `worker.setup.registries`"
        )),
        "{message}"
    );
    assert_eq!(registry.requests(), Vec::<String>::new());
}
