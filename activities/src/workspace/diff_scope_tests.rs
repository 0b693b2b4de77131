//! What a SPEC and a repository's rules let happen to each file.

use sallyport_workflows::scope::ScopeRules;
use serde_json::json;

use super::*;
use crate::testing::spec_for;

#[tokio::test]
async fn each_file_is_committed_only_as_the_spec_says() {
    let mut room = Room::new().await;
    let mut spec = spec_for(&["src/a.js", "run.sh"]);
    spec.scope_rules = serde_json::from_value(json!({
        "create": ["test/**"], "modify": ["**/*.lock"], "never": ["test/secrets"],
    }))
    .unwrap();
    room.scope = Scope::of(&spec, &ScopeRules::default());

    // What the rules let an agent do beside it.
    room.write("src/a.js", "good\n");
    room.write("test/deep/a.test.js", "new\n");
    room.write("test/ignored.log", "not added: the base ignores it\n");
    fs::set_permissions(room.at("run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        room.committed().await,
        ["run.sh", "src/a.js", "test/deep/a.test.js"]
    );

    let refusals = async |room: &Room| -> Vec<String> {
        match room.collect().await {
            Collected::OutOfScope { refused } => refused.iter().map(ToString::to_string).collect(),
            other => panic!("not refused: {other:?}"),
        }
    };
    room.write("test/.hidden.js", "x");
    room.write("test/Secrets/key.js", "x");
    room.write("new.lock", "only those that exist may be changed");
    fs::remove_file(room.at("src/a.js")).unwrap();
    symlink("deep/a.test.js", room.at("test/link.js")).unwrap();
    assert_eq!(
        refusals(&room).await,
        [
            "`new.lock`: it is in scope to modify, and not to create",
            "`src/a.js`: it is in scope to modify, and not to delete",
            "`test/.hidden.js`: the SPEC does not list it",
            "`test/Secrets/key.js`: `.sallyport.toml` keeps it from every agent, by `test/secrets` in `scope.never`",
            "`test/link.js`: it is a link, a submodule or something else that is no regular file",
        ]
    );
}

#[tokio::test]
async fn a_rename_is_a_deletion_and_a_creation_and_a_twin_is_neither() {
    let mut room = Room::new().await;
    let rename = |room: &Room| fs::rename(room.at("src/a.js"), room.at("src/A.js")).unwrap();
    let listed = |changes: &[(&str, &str)]| {
        let mut spec = spec_for(&[]);
        spec.files = changes
            .iter()
            .map(|(path, change)| {
                serde_json::from_value(json!({"path": path, "change": change, "reason": "r"}))
                    .unwrap()
            })
            .collect();
        Scope::of(&spec, &ScopeRules::default())
    };
    rename(&room);
    room.scope = listed(&[("src/A.js", "create")]);
    assert_eq!(
        room.refused().await,
        ["src/a.js"],
        "nobody let it be deleted"
    );
    room.scope = listed(&[("src/A.js", "create"), ("src/a.js", "delete")]);
    assert_eq!(room.committed().await, ["src/A.js", "src/a.js"]);
    // Both at once.
    room.write("src/a.js", "export const a = 1;\n");
    let Collected::OutOfScope { refused } = room.collect().await else {
        panic!("not refused");
    };
    assert_eq!(
        refused[0].why,
        Refusal::Twin("src/a.js".into()),
        "{refused:?}"
    );
    assert_eq!(paths(refused), ["src/A.js"]);
}
