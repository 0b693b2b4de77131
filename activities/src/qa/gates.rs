//! Running gates, one after the other, on a clean checkout.

use std::{path::Path, time::Duration};

use sallyport_workflows::ObjectRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{QaError, QaRoom, report::StoredObject};
use crate::{
    policy_file::QualityGate,
    sandbox::{CommandResult, Layer, Limits, Room, Stopped, run_in},
    setup,
};

/// How much of a gate's output is kept at hand, in bytes from its end. All that was captured is stored.
pub const OUTPUT_AT_HAND: usize = 8 << 10;

/// How a gate's command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum End {
    /// By itself.
    Exited {
        /// Its exit code; 128 and more: a signal ended it.
        code: i32,
    },
    /// It was stopped when its time was up.
    TimedOut {
        /// Its time, in seconds.
        seconds: u64,
    },
    /// The kernel killed it because the machine's memory ran out.
    OutOfMemory,
    /// It was stopped when its files took too much room.
    Outgrown {
        /// What they may take.
        limit: String,
    },
}

/// One run of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateRun {
    /// How it ended. It passed if it exited with 0.
    pub end: End,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it printed: its end, at most 8 KiB. Written by untrusted code.
    pub output: String,
    /// All that was captured, stored.
    #[schemars(with = "StoredObject")]
    pub stored: ObjectRef,
    /// Whether this is the result of an earlier run on the same files.
    pub earlier: bool,
}

impl GateRun {
    /// Whether it ended by itself with 0.
    pub fn passed(&self) -> bool {
        self.end == End::Exited { code: 0 }
    }
}

/// Runs all `gates` on the files in `tree`, also after one has failed. What one leaves there the next one finds.
pub(super) async fn run_all(
    room: QaRoom<'_>,
    tree: &Path,
    gates: &[QualityGate],
    announce: &mut impl FnMut(&str),
) -> Result<Vec<GateRun>, QaError> {
    let mut runs = Vec::new();
    for gate in gates {
        announce(&gate.name);
        let limits = Limits {
            wall: Duration::from_secs(gate.timeout_seconds),
            ..Limits::for_commands()
        };
        let mut inner = Room::new(Layer::Inner, tree, limits);
        if room.installed.is_some() {
            inner = inner.variable("HOME", setup::home());
        }
        let result = run_in(room.sandbox, &inner, &gate.command).await?;
        runs.push(stored(room, gate, result).await?);
    }
    Ok(runs)
}

async fn stored(
    room: QaRoom<'_>,
    gate: &QualityGate,
    result: CommandResult,
) -> Result<GateRun, QaError> {
    let output = crate::agent::redact(&room.leaks.hide_own(&result.output.text));
    Ok(GateRun {
        end: match result.stopped {
            None => End::Exited { code: result.exit },
            Some(Stopped::TimeUp) => End::TimedOut {
                seconds: gate.timeout_seconds,
            },
            Some(Stopped::OutOfMemory) => End::OutOfMemory,
            Some(Stopped::Outgrown(limit)) => End::Outgrown { limit },
        },
        duration_ms: u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX),
        output: end_of(&output, OUTPUT_AT_HAND).to_owned(),
        stored: room.objects.put(output).await?,
        earlier: false,
    })
}

/// The last `limit` bytes of `text`, or a little less: no character is cut.
pub(crate) fn end_of(text: &str, limit: usize) -> &str {
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
