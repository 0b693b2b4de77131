//! What is said to Pi, and when there is nothing more to hear from it.

use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use super::{
    follow::{Asked, Follower},
    rpc::{Events, prompt},
};
use crate::{gateway::RunGateway, sandbox::RoomProcess, scope::request::BadRequest};

/// How often an agent is told that its request for more scope is none.
const MOST_CORRECTIONS: u32 = 2;

/// Gives Pi its prompt, and follows it until there is nothing more to follow. An agent that asked for more files in a
/// way that is none is told so in the same conversation.
pub(super) async fn converse(
    pi: &mut RoomProcess,
    task: &str,
    follower: &mut Follower,
    tool_calls: u64,
    gateway: &RunGateway,
) {
    let (Some(stdin), Some(stdout)) = (pi.stdin.as_mut(), pi.stdout.take()) else {
        return;
    };
    let mut events = Events::new(stdout);
    let (say, mut lines) = mpsc::unbounded_channel();
    // Pi takes one prompt after the other, so no more than one waits here.
    let _ = say.send(prompt(task));
    // A Pi that ends before it has read this says why on its standard error.
    let tell = async {
        while let Some(line) = lines.recv().await {
            if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
    };
    let listen = async {
        let mut corrections = 0;
        while let Some(event) = events.next().await {
            follower.event(&event).await;
            follower.announce_request(|| gateway.usage());
            if follower.rejected.is_some() || follower.overran || follower.tool_calls > tool_calls {
                return;
            }
            if follower.settled {
                match &follower.asked {
                    Some(Asked::Badly(problem)) if corrections < MOST_CORRECTIONS => {
                        let _ = say.send(prompt(&correction(problem)));
                    }
                    _ => return,
                }
                corrections += 1;
                follower.prompted_again();
            }
        }
    };
    // Both at once: Pi need not read while it has something to say.
    tokio::pin!(listen);
    tokio::select! {
        () = &mut listen => return,
        () = tell => {}
    }
    listen.await;
}

/// What an agent is told whose request for more scope is none.
fn correction(problem: &BadRequest) -> String {
    format!(
        "Go on. Nobody was asked about your request for more files, because of this: {problem}. Mend the request and send \
         it again, or do what can be done without those files.\n"
    )
}
