//! What an agent may change: the files that the approved SPEC lists, and those that people granted beyond them. This is
//! the only place where a scope is widened; all who look at one have it from here.

use sallyport_ledger::objects::Objects;
use sallyport_workflows::{ObjectRef, failure::kind, scope::ScopeRequest};

use super::{Scope, request};
use crate::{failure::StepError, workspace::approved::ApprovedSpec};

/// What may be changed, and what of it was granted.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What may be changed, and how.
    pub scope: Scope,
    /// The agent's requests that people granted, oldest first.
    pub requests: Vec<ScopeRequest>,
}

/// Widens the scope of the approved SPEC by `grants`, each the stored request that people said yes to; its hash is the proof that
/// it is the same. If one is gone or is no request: a final failure, [`kind::SPEC_CHANGED`].
pub async fn load(
    objects: &Objects,
    approved: &ApprovedSpec,
    grants: &[ObjectRef],
) -> Result<Granted, StepError> {
    let requests = requests(objects, grants).await?;
    let mut scope = Scope::of(&approved.spec, &approved.policy.repository.scope);
    for path in requests.iter().flat_map(|request| &request.paths) {
        scope.grant(path.clone());
    }
    Ok(Granted { scope, requests })
}

/// The stored requests that people granted, in their order. Fails as [`load`] does.
pub async fn requests(
    objects: &Objects,
    grants: &[ObjectRef],
) -> Result<Vec<ScopeRequest>, StepError> {
    let mut requests = Vec::new();
    for grant in grants {
        requests.push(stored(objects, grant).await?);
    }
    Ok(requests)
}

/// The stored request `reference`, if it is one that people could have been asked about; else a final failure,
/// [`kind::SPEC_CHANGED`].
pub async fn stored(objects: &Objects, reference: &ObjectRef) -> Result<ScopeRequest, StepError> {
    let changed = |reason: &dyn std::fmt::Display| {
        let message = format!(
            "what is stored as {reference} is no request for more scope that people could have decided about: {reason}; \
             plan the ticket again"
        );
        StepError::fatal(kind::SPEC_CHANGED, message)
    };
    let content = objects.get(reference).await.map_err(|error| {
        if error.is_temporary() {
            StepError::step(error)
        } else {
            changed(&error)
        }
    })?;
    let request = serde_json::from_slice(&content).map_err(|problem| changed(&problem))?;
    request::check(&request).map_err(|problem| changed(&problem))?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::config::ObjectsConfig;
    use serde_json::json;

    use super::*;
    use crate::testing::{approved, spec_for};

    #[tokio::test]
    async fn only_stored_requests_widen_the_scope() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let objects = Objects::open(&ObjectsConfig::folder(path)).unwrap();
        let approved = approved(spec_for(&["src/a.js"]));
        let put = async |json: serde_json::Value| objects.put(json.to_string()).await.unwrap();
        let first = put(json!({"paths": ["src/b.js"], "reason": "r"})).await;
        let second = put(json!({"paths": ["c", "src/b.js"], "reason": "s"})).await;

        let none = load(&objects, &approved, &[]).await.unwrap();
        assert!(none.scope.may_touch(b"src/a.js") && !none.scope.may_touch(b"src/b.js"));
        assert_eq!(none.requests, []);
        let both = load(&objects, &approved, &[first, second]).await.unwrap();
        let open: Vec<_> = both
            .scope
            .files()
            .map(|(path, changes)| (path.as_str(), changes.len()))
            .collect();
        assert_eq!(open, [("c", 3), ("src/a.js", 1), ("src/b.js", 3)]);
        assert_eq!(both.requests[1].reason, "s");

        let many: Vec<String> = (0..21).map(|number| format!("f{number}")).collect();
        for wrong in [
            ObjectRef::of(b"never stored"),
            put(json!({"paths": ["../x"], "reason": "r"})).await,
            put(json!({"paths": [".git/config"], "reason": "r"})).await,
            put(json!({"paths": many, "reason": "r"})).await,
            put(json!({"paths": [], "reason": "r"})).await,
            put(json!({"paths": ["b"], "reason": ""})).await,
            put(json!({"paths": ["b"], "reason": "r", "granted": true})).await,
            put(json!(["b"])).await,
        ] {
            let error = load(&objects, &approved, &[wrong]).await.unwrap_err();
            assert!(error.is_final(), "{error}");
            assert_eq!(error.kind(), kind::SPEC_CHANGED, "{error}");
        }
    }
}
