//! Seals the audit log at regular times. Any number of starters may do so: one works at a time.

use std::error::Error;

use sallyport_ledger::audit::sealer::{SealError, seal};
use tokio_util::sync::CancellationToken;

use crate::state::StarterState;

/// Seals until `shutdown`, and once more then, so that little stays unsealed while nothing runs.
pub async fn run(state: StarterState, shutdown: CancellationToken) {
    loop {
        let is_last = shutdown.is_cancelled();
        match seal(&state.database, &state.objects, &state.seal_key).await {
            Ok(sealed) => {
                if sealed.heads > 0 {
                    tracing::debug!(chains = sealed.heads, "sealed the audit log");
                }
            }
            Err(error @ SealError::Fork { .. }) => {
                tracing::error!(error = &error as &dyn Error, "the audit log is not sealed");
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "cannot seal the audit log; trying again"
                );
            }
        }
        if is_last {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(state.seal_interval) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
