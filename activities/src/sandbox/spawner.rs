//! The one thread that starts rooms.
//!
//! `bwrap --die-with-parent` asks the kernel for a signal when its parent ends, and for the kernel a parent is the
//! *thread* that started the process. A runtime's worker threads, and above all the threads for blocking work, may end
//! long before the worker does, and would take a running room with them. So rooms are started from a thread that only
//! ends with the process.

use std::{
    io,
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command` from the thread that lives as long as the process. Its end is watched by the caller's runtime.
pub(super) async fn spawn(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts sandboxes has ended");
    let (answer, answered) = oneshot::channel();
    orders()?
        .send(Order {
            command,
            runtime: Handle::current(),
            answer,
        })
        .map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

fn orders() -> io::Result<Sender<Order>> {
    static ORDERS: OnceLock<Result<Sender<Order>, String>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        // A room's first process outlives bubblewrap's outer process by a moment. It then becomes ours to bury, so that
        // a worker that runs as a container's only program leaves no zombies.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| error.to_string())?;
        thread::Builder::new()
            .name("rooms".to_owned())
            .spawn(move || {
                for Order {
                    mut command,
                    runtime,
                    answer,
                } in receiver
                {
                    let _in_runtime = runtime.enter();
                    // A caller that gave up drops the answer, and with it the child, which is killed on drop.
                    let _ = answer.send(command.spawn());
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(sender)
    });
    orders.clone().map_err(io::Error::other)
}
