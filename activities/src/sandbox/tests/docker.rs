//! What only a room made by Docker must be shown to do: end with a worker that it is no child of. Nothing where the environment
//! names no Docker engine.

use super::*;
use crate::sandbox::process::Running;

/// A house with Docker's engine, if there is one.
fn house() -> Option<House> {
    let house = House::new();
    if house.is_docker() {
        return Some(house);
    }
    eprintln!("not tried: SALLYPORT_DOCKER names no socket of a Docker engine");
    None
}

async fn sleeping(house: &House, marker: &str) -> RoomProcess {
    let room = Room::new(Layer::Inner, house.workspace(), Limits::for_commands());
    let process = house
        .sandbox
        .spawn(&room, &["/usr/bin/sleep", marker])
        .await
        .unwrap();
    let program = format!("sleep\0{marker}\0");
    while !runs(&program) {
        tokio::task::yield_now().await;
    }
    process
}

#[tokio::test]
async fn a_container_ends_when_its_worker_holds_the_lock_no_more() {
    let Some(house) = house() else { return };
    let marker = marker();
    let mut process = sleeping(&house, &marker).await;
    let Running::Docker(running) = &mut process.running else {
        panic!("{process:?}");
    };
    running.lose_lifeline();
    let exit = process.wait().await.unwrap();
    assert_eq!(exit.code, 137);
    assert!(!runs(&marker));
}

#[tokio::test]
async fn what_waits_for_the_lock_may_be_killed_from_inside_and_comes_again() {
    let Some(house) = house() else { return };
    let command =
        "for i in 1 2 3; do until pkill -9 flock; do :; done; done; echo still here; exit 3";
    let result = house.run(command).await;
    assert_eq!(
        (result.exit, result.output.text.as_str()),
        (3, "still here\n")
    );
}

#[tokio::test]
async fn what_an_earlier_worker_left_is_removed() {
    let Some(house) = house() else { return };
    let marker = marker();
    let left = sleeping(&house, &marker).await;
    // As if it were killed, but that the lock goes on being held.
    std::mem::forget(left);
    let folder = house.folder.path().join("kit");
    let next = Sandbox::open_with(&crate::tools::for_tests(), &folder, &engine()).unwrap();
    let workspace = house.workspace();
    let done = run_command(&next, &workspace, "true", Limits::for_commands()).await;
    assert!(done.unwrap().success());
    assert!(!runs(&marker));
}
