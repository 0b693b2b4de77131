//! How long a room takes from its start to the end of a program that does nothing.

use std::{os::unix::net::UnixStream, path::Path, process::Command, time::Instant};

use anyhow::ensure;
use sallyport_activities::{
    sandbox::{EngineConfig, EngineName, InnerRooms, Layer, Limits, Room, Sandbox, give_to_room},
    tools::Tools,
};

use super::{folder, series::Series};

/// Measures bubblewrap, and Docker if its engine answers where it usually does, or at `SALLYPORT_DOCKER`.
pub async fn measure(tools: &Tools, runs: u32) -> anyhow::Result<()> {
    measure_engine(tools, runs, &EngineConfig::default()).await?;
    let mut docker = EngineConfig {
        engine: EngineName::Docker,
        ..EngineConfig::default()
    };
    if let Some(socket) = std::env::var_os("SALLYPORT_DOCKER") {
        docker.docker_socket = socket.into();
    }
    if UnixStream::connect(&docker.docker_socket).is_err() {
        println!(
            "\nNo Docker engine answers at {}.",
            docker.docker_socket.display()
        );
        return Ok(());
    }
    println!();
    measure_engine(tools, runs, &docker).await
}

/// Runs each kind of start `runs` times, in turn, and prints a table.
async fn measure_engine(tools: &Tools, runs: u32, engine: &EngineConfig) -> anyhow::Result<()> {
    let folder = folder()?;
    let sandbox = Sandbox::open_with(tools, &folder.path().join("kit"), engine)?;
    let workspace = folder.path().join("workspace");
    std::fs::create_dir(&workspace)?;
    give_to_room(&workspace)?;
    let node = "/opt/node/bin/node";
    let kinds: [(&str, Option<Layer>, &[&str]); 5] = [
        ("/bin/true without a room", None, &["/bin/true"]),
        (
            "/bin/true, a gate's room",
            Some(Layer::Inner),
            &["/bin/true"],
        ),
        ("/bin/true, Pi's room", Some(Layer::Agent), &["/bin/true"]),
        (
            "/bin/true, a command's room in Pi's",
            Some(Layer::Agent),
            &["/opt/sallyport/inner-room", "true"],
        ),
        (
            "node --version, a gate's room",
            Some(Layer::Inner),
            &[node, "--version"],
        ),
    ];
    let mut times: Vec<Series> = kinds.iter().map(|_| Series::default()).collect();
    for _ in 0..runs {
        for ((_, layer, program), times) in kinds.iter().zip(&mut times) {
            let began = Instant::now();
            match layer {
                None => ensure!(Command::new(program[0]).status()?.success()),
                Some(layer) => run(&sandbox, *layer, &workspace, program).await?,
            }
            times.add(began.elapsed());
        }
    }
    println!("{}, {runs} runs each, in milliseconds\n", engine.engine);
    println!("{:<38} {:>9} {:>9} {:>9}", "", "median", "least", "95 %");
    for ((name, ..), times) in kinds.iter().zip(&times) {
        println!("{name:<38} {}", times.cells());
    }
    Ok(())
}

async fn run(
    sandbox: &Sandbox,
    layer: Layer,
    workspace: &Path,
    program: &[&str],
) -> anyhow::Result<()> {
    let mut room = Room::new(layer, workspace, Limits::for_commands());
    let folder = folder()?;
    let rooms = InnerRooms::open(sandbox, &folder.path().join("rooms"), workspace)?;
    if let (Some(rooms), Layer::Agent) = (&rooms, layer) {
        room = rooms.shown_to(room);
    }
    let mut process = sandbox.spawn(&room, program).await?;
    let exit = process.wait().await?;
    ensure!(exit.success(), "{program:?} ended with {}", exit.code);
    Ok(())
}
