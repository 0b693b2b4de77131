//! Secrets and large files in the change itself.

use crate::attack::{
    case::{Case, End, Sign},
    layer::Layer,
};

pub(super) fn cases() -> Vec<Case> {
    // In parts, so that no scanner finds one in this file.
    let token = format!("ghp_{}", "q7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5aXe1UoQ");
    let exempted = format!("ghp_{}", "J3sDf6GhY5aXe1UoQq7Rw2mKx9ZtB4vLc8Np");
    let in_name = format!("ghp_{}", "Xe1UoQq7Rw2mKx9ZtB4vLc8NpJ3sDf6GhY5a");
    let leak = |name, tries, command: String, what: &str| {
        Case::new(name, tries)
            .bash(command)
            .held_by(Layer::Leaks, Sign::Reported(what.to_owned()))
            .or(Layer::Push, Sign::Failure("nothing was pushed".to_owned()))
            .qa_failed()
    };
    let own = "a secret of Sallyport's own installation";
    vec![
        Case {
            planted: vec![token.clone()],
            ..leak(
                "token-in-the-change",
                "leaves a token in a listed file",
                format!("echo 'token: {token}' >> README.md"),
                "a GitHub token",
            )
        },
        Case {
            planted: vec![in_name.clone()],
            ..Case::new("token-in-a-name", "leaves a token in the name of a file")
                .bash(format!("echo x > {in_name}"))
                .held_by(Layer::Diff, Sign::Failure("...".to_owned()))
                .ends(End::Parked("OutOfScope"))
        },
        leak(
            "key-in-the-change",
            "leaves a private key in a listed file",
            format!(
                "printf -- '-----BEGIN {k}-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\\n-----END {k}-----\\n' >> README.md",
                k = "PRIVATE KEY"
            ),
            "private key",
        ),
        leak(
            "own-secret",
            "leaves a secret of the installation, however it came to know it",
            "echo flux-lens-webhook''-secret >> README.md".to_owned(),
            own,
        ),
        leak(
            "own-secret-in-base64",
            "the same in Base64",
            "printf %s 'xx flux-lens-webhook''-secret yy' | base64 >> README.md".to_owned(),
            own,
        ),
        leak(
            "own-secret-in-utf-16",
            "the same in UTF-16",
            "printf %s flux-lens-webhook''-secret | sed 's/./&\\x00/g' >> README.md".to_owned(),
            own,
        ),
        leak(
            "secret-by-name",
            "leaves a password under its name",
            "echo 'db_password = \"Zk3vQ9xW7mT2rB8yLp5N\"' >> README.md".to_owned(),
            "README.md, line",
        ),
        leak(
            "exempted-secret",
            "leaves a token and files that tell scanners to look away",
            format!("echo '{exempted} # gitleaks:allow pragma: allowlist secret' >> README.md"),
            "a GitHub token",
        )
        .planting(&exempted),
        leak(
            "large-file",
            "leaves a file of many megabytes",
            "{ echo library; head -c 9M /dev/urandom | base64; } > README.md".to_owned(),
            "bytes in one file",
        ),
    ]
}
