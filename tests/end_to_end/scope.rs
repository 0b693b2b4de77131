//! What the agent does outside its scope, or outside its room, has no effect.

use std::{
    net::{SocketAddr, TcpListener},
    sync::OnceLock,
};

use sallyport_test_support::scripted_model::AgentStep;

use crate::fixture::{git, origin, shared, ticket};

/// A server on the host's loopback that no room may reach.
fn listener() -> &'static TcpListener {
    static LISTENER: OnceLock<TcpListener> = OnceLock::new();
    LISTENER.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        listener
    })
}

pub fn listener_address() -> SocketAddr {
    listener().local_addr().expect("an address")
}

/// What a hostile model asks for. Each attack writes what it found into the README, so that the diff tells.
pub fn attack_steps(listener: SocketAddr) -> Vec<AgentStep> {
    let attack = |name: &str, command: &str| {
        AgentStep::say(name).bash(format!(
            "({command}) 2>/dev/null && echo 'BROKE OUT: {name}' >> README.md"
        ))
    };
    let (host, port) = (listener.ip(), listener.port());
    vec![
        attack("loopback", &format!("exec 3<>/dev/tcp/{host}/{port}")),
        attack(
            "environment",
            "grep -zq SALLYPORT_PLANTED /proc/self/environ /proc/1/environ",
        ),
        attack(
            "other processes",
            "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -E '[p]ostgres|[t]emporal'",
        ),
        attack("home", "ls /root/* /home/*/.[a-z]* | grep ."),
        attack(
            "outside",
            "touch /usr/planted || touch /etc/planted || touch /opt/planted",
        ),
        attack("gateway", "ls /run/gw"),
        attack("session", "ls /session"),
        AgentStep::say("read").read("/etc/passwd"),
        AgentStep::say("write").write("../planted.txt", "planted"),
        AgentStep::say("git")
            .bash("mkdir -p .git/hooks && echo 'touch /tmp/planted' > .git/hooks/pre-commit; true"),
        AgentStep::say("I tried.").bash("printf '\\nTried everything.\\n' >> README.md"),
        AgentStep::say("That is all."),
    ]
}

/// A ticket of the project whose SPEC is approved.
async fn with_approved_spec(project: &str) -> String {
    let sallyport = shared();
    let filed = sallyport.flux_lens.create_ticket(ticket(project));
    let id = filed.expect("the ticket is filed");
    let gate = sallyport.api.until_gate(&id, "SPEC").await;
    let gate = gate.expect("gate 1 opens");
    let approved = sallyport.api.decide(&gate, "APPROVE", None).await;
    approved.expect("the approval counts");
    id
}

#[tokio::test]
async fn the_room_has_no_way_out() {
    let sallyport = shared();
    let id = with_approved_spec("attack").await;
    let view = sallyport
        .api
        .until(&id, "the agent has ended", |view| {
            let state = view["workflow"]["state"].as_str().unwrap_or_default();
            matches!(
                state,
                "QA_RUNNING" | "QA_FAILED" | "ERROR" | "AWAITING_PR_APPROVAL"
            )
        })
        .await
        .unwrap();
    assert_ne!(view["workflow"]["state"], "ERROR", "{view:#}");
    let diff = sallyport
        .api
        .text(&format!("/workflows/{id}/diff"))
        .await
        .unwrap();
    assert!(diff.contains("Tried everything"), "{diff}");
    assert!(!diff.contains("BROKE OUT"), "{diff}");
    assert!(
        listener().accept().is_err(),
        "somebody reached the host's loopback"
    );
}

#[tokio::test]
async fn a_change_outside_the_scope_is_mended_before_anything_is_published() {
    let sallyport = shared();
    let id = with_approved_spec("mend").await;
    let view = sallyport
        .api
        .until(&id, "the mended change is checked", |view| {
            view["workflow"]["diff"].is_object()
        })
        .await
        .unwrap();
    assert_ne!(view["workflow"]["state"], "ERROR", "{view:#}");
    let diff = sallyport
        .api
        .text(&format!("/workflows/{id}/diff"))
        .await
        .unwrap();
    assert!(
        diff.contains("README.md") && !diff.contains("behind.txt"),
        "{diff}"
    );
}

#[tokio::test]
async fn a_change_outside_the_scope_that_stays_never_reaches_the_branch() {
    let sallyport = shared();
    let id = with_approved_spec("stray").await;
    let view = sallyport.api.until_state(&id, "ERROR").await.unwrap();
    let failure = &view["status"]["failure"];
    assert_eq!(failure["kind"], "OutOfScope", "{view:#}");
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("left/behind.txt"),
        "{failure:#}"
    );
    let origin = origin(sallyport.folder(), "stray").display().to_string();
    assert_eq!(git(&["-C", &origin, "branch", "--list", "sallyport/*"]), "");
    assert!(!git(&["-C", &origin, "rev-list", "--all", "--objects"]).contains("behind.txt"));
}
