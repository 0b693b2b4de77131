//! Proofs of who decided: the starter signs a decision after it authenticated the person; an activity checks it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sallyport_workflows::{command::Command, decision::Decision};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::secret::SecretError;

/// The shortest key, in bytes.
pub const MINIMUM_KEY_BYTES: usize = 32;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum DecisionKeyError {
    /// It is not configured, or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It can be guessed.
    #[error(
        "`decisions.key` has {0} bytes; at least {MINIMUM_KEY_BYTES} are needed, such as the output of `openssl rand -hex 32`"
    )]
    TooShort(usize),
}

/// What is known about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// There is none: the sender's word is all there is.
    Missing,
    /// The starter made it over exactly this.
    Valid,
    /// It was made over something else, with another key, or by somebody else.
    Forged,
}

/// The key that proofs are made and checked with.
#[derive(Clone)]
pub struct DecisionKey(Hmac<Sha256>);

impl fmt::Debug for DecisionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DecisionKey([REDACTED])")
    }
}

impl DecisionKey {
    /// The key made of the configured secret's bytes.
    pub fn new(secret: &SecretString) -> Result<Self, DecisionKeyError> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < MINIMUM_KEY_BYTES {
            return Err(DecisionKeyError::TooShort(bytes.len()));
        }
        Ok(Self(
            Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length"),
        ))
    }

    /// The proof for a decision: HMAC-SHA256 in lower-case hexadecimal.
    pub fn sign_decision(&self, decision: &Decision, workflow_id: &str) -> String {
        self.sign(&decision.signed_bytes(workflow_id))
    }

    /// What the decision's proof is worth.
    pub fn check_decision(&self, decision: &Decision, workflow_id: &str) -> Proof {
        self.check(
            decision.proof.as_deref(),
            &decision.signed_bytes(workflow_id),
        )
    }

    /// The proof for a command.
    pub fn sign_command(&self, command: &Command, workflow_id: &str) -> String {
        self.sign(&command.signed_bytes(workflow_id))
    }

    /// What the command's proof is worth.
    pub fn check_command(&self, command: &Command, workflow_id: &str) -> Proof {
        self.check(command.proof.as_deref(), &command.signed_bytes(workflow_id))
    }

    fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.clone().chain_update(bytes).finalize().into_bytes())
    }

    fn check(&self, proof: Option<&str>, bytes: &[u8]) -> Proof {
        let Some(proof) = proof else {
            return Proof::Missing;
        };
        let Ok(proof) = hex::decode(proof) else {
            return Proof::Forged;
        };
        // Constant in time: how much of a guess was right must not show.
        match self.0.clone().chain_update(bytes).verify_slice(&proof) {
            Ok(()) => Proof::Valid,
            Err(_) => Proof::Forged,
        }
    }
}

#[cfg(test)]
mod tests {
    use sallyport_workflows::{
        command::Action, decision::Verdict, gate::Gate, policy::BudgetRaise,
    };

    use super::*;

    fn key(first: char) -> DecisionKey {
        DecisionKey::new(&format!("{first}{}", "k".repeat(31)).into()).unwrap()
    }

    fn decision() -> Decision {
        Decision {
            id: None,
            gate: Gate::Spec,
            revision: "0123abcd".into(),
            decision: Verdict::Approve,
            by: "approver@example.com".into(),
            comments: None,
            proof: None,
        }
    }

    #[test]
    fn only_what_was_signed_is_proven() {
        let mut signed = decision();
        assert_eq!(key('a').check_decision(&signed, "w"), Proof::Missing);
        signed.proof = Some(key('a').sign_decision(&signed, "w"));
        assert_eq!(key('a').check_decision(&signed, "w"), Proof::Valid);
        assert_eq!(key('a').check_decision(&signed, "other"), Proof::Forged);
        assert_eq!(key('b').check_decision(&signed, "w"), Proof::Forged);
        let changed = Decision {
            by: "other@example.com".into(),
            ..signed.clone()
        };
        assert_eq!(key('a').check_decision(&changed, "w"), Proof::Forged);
    }

    #[test]
    fn what_is_no_proof_is_forged() {
        let whole = key('a').sign_decision(&decision(), "w");
        for proof in ["", "zz", &whole[..62], &format!("{whole}00")] {
            let decision = Decision {
                proof: Some(proof.to_owned()),
                ..decision()
            };
            assert_eq!(
                key('a').check_decision(&decision, "w"),
                Proof::Forged,
                "{proof}"
            );
        }
    }

    #[test]
    fn commands_are_signed_too() {
        let mut command = Command {
            id: Some(uuid::Uuid::from_u128(7)),
            action: Action::Cancel,
            from: None,
            raise: BudgetRaise::default(),
            seconds: None,
            by: "admin@example.com".into(),
            reason: None,
            proof: None,
        };
        command.proof = Some(key('a').sign_command(&command, "w"));
        assert_eq!(key('a').check_command(&command, "w"), Proof::Valid);
        command.action = Action::Abandon;
        assert_eq!(key('a').check_command(&command, "w"), Proof::Forged);
    }

    /// Computed independently with Python's hmac: key 32 times `k`, over the length-prefixed fields.
    #[test]
    fn golden_proof() {
        let key = DecisionKey::new(&"k".repeat(32).into()).unwrap();
        assert_eq!(
            key.sign_decision(&decision(), "ticket:flux-lens:FL-1"),
            "b1db6c1d88b9032b85de75f7a246ababaf4650ae39384d7bfc77bedbcdc0a077"
        );
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", key('a')), "DecisionKey([REDACTED])");
    }
}
