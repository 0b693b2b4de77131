//! For `cargo xtask chaos` only, and only in builds with the feature `chaos`: at each activity's boundaries, before its work
//! and after its side effect, the worker asks somebody outside whether to go on. Who is asked may kill it instead.

use std::net::SocketAddr;

use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Asks at the boundaries.
#[derive(Clone, Copy, Debug)]
pub struct Boundary {
    /// Who is asked: one line of JSON, answered by one line.
    pub asked: SocketAddr,
}

impl ActivityInboundInterceptor for Boundary {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let info = input.activity_info();
        let (activity, call) = (info.activity_type.clone(), info.activity_id.clone());
        let workflow = info.workflow_id.clone().unwrap_or_default();
        let asked = self.asked;
        let at = move |phase: &'static str| {
            let line = format!(
                "{{\"activity\":\"{activity}\",\"workflow\":\"{workflow}\",\"call\":\"{call}\",\"phase\":\"{phase}\"}}\n"
            );
            ask(asked, line)
        };
        Box::pin(async move {
            at("before").await;
            let done = next.run(input).await;
            if done.is_ok() {
                at("after").await;
            }
            done
        })
    }
}

/// Returns when the answer is there. Nobody there to ask means to go on.
async fn ask(asked: SocketAddr, line: String) {
    let Ok(mut stream) = TcpStream::connect(asked).await else {
        return;
    };
    if stream.write_all(line.as_bytes()).await.is_ok() {
        let mut answer = String::new();
        // A connection that breaks off is an answer too.
        let _ = BufReader::new(stream).read_line(&mut answer).await;
    }
}
