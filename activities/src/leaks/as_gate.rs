//! The check as one of QA's gates: what it found goes back to the agent like a failed test.

use std::time::Duration;

use sallyport_ledger::objects::{ObjectError, Objects};

use super::Leak;
use crate::{
    policy_file::QualityGate,
    qa::{
        gates::{End, GateRun},
        rule::Judged,
    },
};

/// The gate's name.
pub const GATE: &str = "Secrets and large files";

/// How many findings are told; who has that many has understood.
const TOLD: usize = 50;

/// The gate with its results. On the base commit it passes: what is there is there.
///
/// # Errors
/// If the output cannot be stored.
pub async fn as_gate(
    objects: &Objects,
    leaks: &[Leak],
    duration: Duration,
) -> Result<Judged, ObjectError> {
    let output = output(leaks);
    let run = async |output: String, code: i32, duration: Duration| {
        Ok::<_, ObjectError>(GateRun {
            end: End::Exited { code },
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            stored: objects.put(output.clone()).await?,
            output,
            earlier: false,
        })
    };
    Ok(Judged {
        gate: QualityGate {
            name: GATE.to_owned(),
            command: "(a check of Sallyport's own, on all that a push would take along)".to_owned(),
            required: true,
            allow_red_base: false,
            timeout_seconds: 0,
        },
        commit: run(output, i32::from(!leaks.is_empty()), duration).await?,
        base: run(String::new(), 0, Duration::ZERO).await?,
    })
}

fn output(leaks: &[Leak]) -> String {
    if leaks.is_empty() {
        return String::new();
    }
    let mut lines: Vec<String> = leaks.iter().take(TOLD).map(ToString::to_string).collect();
    if leaks.len() > TOLD {
        lines.push(format!("... and {} more", leaks.len() - TOLD));
    }
    lines.push(
        "Take it out of the change. Code reads a secret from its environment or from a file outside the repository; a test makes \
         one up that looks like none, or puts it together from parts."
            .to_owned(),
    );
    lines.join("\n") + "\n"
}
