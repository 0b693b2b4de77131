//! The pull request that carries a ticket's change.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A pull request on a forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Where people read it.
    pub url: String,
    /// The branch that it asks to merge.
    pub branch: String,
    /// The branch that it is merged into.
    pub base_branch: String,
    /// Its head commit as we pushed it.
    pub head_commit: String,
}
