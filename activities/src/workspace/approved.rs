//! What was approved, and proof that it still is what is stored.

use sallyport_ledger::objects::{ObjectError, Objects};
use sallyport_workflows::{
    ObjectRef,
    failure::kind,
    revision::spec_revision,
    spec::{Spec, SpecRef},
};

use crate::{failure::StepError, planning::render::spec_markdown, policy_file::Policy};

/// An approved SPEC with the policy that it was approved with.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovedSpec {
    /// The SPEC.
    pub spec: Spec,
    /// SPEC.md, as people approved it.
    pub text: String,
    /// The policy.
    pub policy: Policy,
}

/// Loads a SPEC of the ticket `ticket_id` and its policy, and checks that they are exactly what `reference.revision` was
/// made of. If they are not: a final failure, [`kind::SPEC_CHANGED`].
pub async fn load(
    objects: &Objects,
    ticket_id: &str,
    reference: &SpecRef,
    policy: &ObjectRef,
) -> Result<ApprovedSpec, StepError> {
    let text = objects
        .get_text(&reference.text)
        .await
        .map_err(unreadable)?;
    let document = objects.get(&reference.document).await.map_err(unreadable)?;
    let policy_bytes = objects.get(policy).await.map_err(unreadable)?;
    if revision_of(&text, &reference.base_commit, policy) != reference.revision {
        return Err(changed("its text, base commit or policy differ"));
    }
    let spec: Spec = serde_json::from_slice(&document).map_err(changed)?;
    // The text is what was approved; the document is what is carried out.
    if spec_markdown(ticket_id, &spec) != text {
        return Err(changed(
            "the stored data does not render to the approved text",
        ));
    }
    let policy = serde_json::from_slice(&policy_bytes).map_err(changed)?;
    Ok(ApprovedSpec { spec, text, policy })
}

/// The revision of a SPEC whose policy is stored as `policy`.
pub fn revision_of(text: &str, base_commit: &str, policy: &ObjectRef) -> String {
    let hash = policy.key.strip_prefix("sha256/").unwrap_or(&policy.key);
    spec_revision(text, base_commit, hash)
}

fn changed(reason: impl std::fmt::Display) -> StepError {
    StepError::fatal(
        kind::SPEC_CHANGED,
        format!(
            "what is stored is not the SPEC that was approved: {reason}; plan the ticket again"
        ),
    )
}

fn unreadable(error: ObjectError) -> StepError {
    if error.is_temporary() {
        StepError::step(error)
    } else {
        changed(error)
    }
}

#[cfg(test)]
mod tests {
    use sallyport_ledger::config::ObjectsConfig;
    use sallyport_workflows::policy::InstallationPolicy;

    use super::*;
    use crate::policy_file::{QualityGate, RepositoryPolicy};

    fn spec() -> Spec {
        serde_json::from_value(serde_json::json!({
            "title": "t", "problem": "p", "solution": "s",
            "files": [{"path": "a.js", "change": "modify", "reason": "r"}],
            "plan": ["1"], "testing": ["t"], "risks": [], "confidence": 0.5,
            "criteria": [{"text": "c", "check": "g"}],
            "gates": {"detected": false, "list": [{"name": "g", "command": "true", "required": true}]},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn only_the_approved_bytes_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(&ObjectsConfig::folder(folder.path().to_owned())).unwrap();
        let gate = QualityGate {
            name: "g".into(),
            command: "true".into(),
            required: true,
            allow_red_base: false,
            timeout_seconds: 1,
        };
        let policy = Policy {
            effective: InstallationPolicy::default(),
            repository: RepositoryPolicy {
                gates: vec![gate],
                ..RepositoryPolicy::default()
            },
        };
        let text = spec_markdown("FL-1", &spec());
        let stored = objects
            .put(serde_json::to_vec(&policy).unwrap())
            .await
            .unwrap();
        let good = SpecRef {
            revision: revision_of(&text, "c0ffee", &stored),
            text: objects.put(text.clone()).await.unwrap(),
            document: objects
                .put(serde_json::to_vec(&spec()).unwrap())
                .await
                .unwrap(),
            base_commit: "c0ffee".into(),
            files: 1,
            confidence_percent: 50,
            context: None,
        };
        let loaded = load(&objects, "FL-1", &good, &stored).await.unwrap();
        assert_eq!(
            (loaded.spec, loaded.text, &loaded.policy),
            (spec(), text, &policy)
        );

        let mut wider = spec();
        wider.files.push(sallyport_workflows::spec::SpecFile {
            path: "b.js".to_owned().try_into().unwrap(),
            ..wider.files[0].clone()
        });
        let mut laxer = policy.clone();
        laxer.repository.gates[0].required = false;
        let other_policy = objects
            .put(serde_json::to_vec(&laxer).unwrap())
            .await
            .unwrap();
        let other_document = objects
            .put(serde_json::to_vec(&wider).unwrap())
            .await
            .unwrap();
        let missing = ObjectRef::of(b"never stored");
        for (reference, policy, ticket) in [
            (
                SpecRef {
                    document: other_document,
                    ..good.clone()
                },
                &stored,
                "FL-1",
            ),
            (
                SpecRef {
                    base_commit: "decaf".into(),
                    ..good.clone()
                },
                &stored,
                "FL-1",
            ),
            (
                SpecRef {
                    text: missing,
                    ..good.clone()
                },
                &stored,
                "FL-1",
            ),
            (good.clone(), &other_policy, "FL-1"),
            (good.clone(), &stored, "FL-2"),
        ] {
            let error = load(&objects, ticket, &reference, policy)
                .await
                .unwrap_err();
            assert!(error.is_final());
            assert_eq!(error.kind(), kind::SPEC_CHANGED, "{error}");
        }
    }
}
