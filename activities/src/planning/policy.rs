//! The policy that holds at a commit: the installation's, as the repository's `.sallyport.toml` makes it stricter.

use sallyport_workflows::{failure::kind, policy::InstallationPolicy};

use crate::{
    failure::StepError,
    mirror::{Mirror, MirrorError},
    policy_file::{self, Policy},
    policy_section,
    qa::detect,
};

fn invalid(problem: &dyn std::fmt::Display) -> StepError {
    StepError::fatal(kind::POLICY_INVALID, problem)
}

/// Reads `.sallyport.toml` at `commit`; where it names no gates, they are found in the repository's manifests. A file that
/// is wrong is a final error.
pub async fn policy_at(
    mirror: &Mirror,
    commit: &str,
    installation: &InstallationPolicy,
) -> Result<Policy, StepError> {
    let limit = policy_file::MAXIMUM_FILE_BYTES;
    let content = match mirror.read(commit, policy_file::FILE, limit).await {
        Err(error @ MirrorError::TooLarge { .. }) => return Err(invalid(&error)),
        other => other?,
    };
    policy_of(mirror, commit, content.as_deref(), installation).await
}

/// The same with `content` as the repository's `.sallyport.toml`.
pub async fn policy_of(
    mirror: &Mirror,
    commit: &str,
    content: Option<&[u8]>,
    installation: &InstallationPolicy,
) -> Result<Policy, StepError> {
    let repository = policy_file::parse(content).map_err(|problem| invalid(&problem))?;
    let effective =
        policy_section::effective(installation, content).map_err(|problem| invalid(&problem))?;
    let repository = detect::complete(mirror, commit, repository).await?;
    Ok(Policy {
        effective,
        repository,
    })
}
