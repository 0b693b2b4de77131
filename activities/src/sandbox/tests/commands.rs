//! What rooms are for, and what is said when there can be none.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, thread};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Handle,
};

use super::*;

#[tokio::test]
async fn a_command_works_in_its_workspace_and_tells_how_it_ended() {
    let house = House::new();
    let result = house
        .run("pwd; echo made >file; echo oops >&2; node -p 6*7; exit 3")
        .await;
    assert_eq!(result.output.text, "/room\noops\n42\n");
    assert_eq!(
        (result.exit, &result.stopped, result.success()),
        (3, &None, false)
    );
    assert_eq!(
        fs::read_to_string(house.workspace().join("file")).unwrap(),
        "made\n"
    );
    let owner = fs::metadata(house.workspace().join("file")).unwrap().uid();
    assert_eq!(
        owner,
        if runs_as_root() {
            ROOM_UID
        } else {
            rustix::process::getuid().as_raw()
        }
    );
}

#[tokio::test]
async fn a_room_lives_on_when_the_thread_that_asked_for_it_ends() {
    let house = House::new();
    let room = Room::new(Layer::Inner, house.workspace(), Limits::for_commands());
    let (runtime, sandbox) = (Handle::current(), house.sandbox.clone());
    let asking = thread::spawn(move || {
        runtime
            .block_on(sandbox.spawn(&room, &["/usr/bin/cat"]))
            .unwrap()
    });
    let mut process = tokio::task::spawn_blocking(move || asking.join().unwrap())
        .await
        .unwrap();

    process
        .stdin
        .take()
        .unwrap()
        .write_all(b"still here")
        .await
        .unwrap();
    let mut said = String::new();
    process
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert_eq!(said, "still here");
    assert!(process.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_room_that_cannot_be_made_says_why() {
    let house = House::new();
    let error = run_command(
        &house.sandbox,
        Path::new("/does/not/exist"),
        "true",
        Limits::for_commands(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, SandboxError::Setup { .. }), "{error:?}");
    assert!(error.to_string().contains("/does/not/exist"), "{error}");
}

#[tokio::test]
async fn preflight_makes_a_room_or_says_what_to_install() {
    let house = House::new();
    preflight(&house.sandbox, house.folder.path())
        .await
        .unwrap();

    let tools = Tools {
        bwrap: "/nowhere/bwrap".into(),
        ..house.sandbox.tools().clone()
    };
    let sandbox = Sandbox::open(&tools, &house.folder.path().join("kit")).unwrap();
    let error = preflight(&sandbox, house.folder.path())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/bwrap is not on this machine")
            && error.contains("apt-get install bubblewrap"),
        "{error}"
    );
}
