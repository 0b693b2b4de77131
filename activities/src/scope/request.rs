//! The agent's requests for more scope: what counts as one, and what it is made into before anybody sees it.
//!
//! A request is the agent's word. Its paths must be ones that the scope could hold; its reason is cleaned of what hides
//! or looks like a secret, and is only ever shown.

use std::collections::BTreeSet;

use sallyport_workflows::scope::{
    BadPath, MAXIMUM_REASON_BYTES, MAXIMUM_REQUESTED_FILES, RepositoryPath, ScopePattern,
    ScopeRequest, is_hidden,
};
use serde::Deserialize;

use super::Scope;
use crate::agent::redact;

/// Why something is no request for more scope. The agent is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Nobody would look at it.
    #[error("no requests are left")]
    NoneLeft,
    /// It has not the form of one.
    #[error("it is not a list of paths and a reason")]
    Form,
    /// It names nothing.
    #[error("it names no file")]
    NoFiles,
    /// It names more than a person can judge.
    #[error("it names {0} files, and at most {MAXIMUM_REQUESTED_FILES} may be asked for at once")]
    TooManyFiles(usize),
    /// One of its paths is none.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// One of its paths is there twice.
    #[error("it names `{0}` twice")]
    Twice(RepositoryPath),
    /// One of its paths may be changed anyway.
    #[error("`{0}` is in the scope already")]
    InScope(RepositoryPath),
    /// One of its paths is kept from all agents.
    #[error(
        "nobody can grant `{path}`: `.sallyport.toml` keeps it from every agent, by `{by}` in `scope.never`"
    )]
    Never {
        /// The path.
        path: RepositoryPath,
        /// The pattern that fits it.
        by: ScopePattern,
    },
    /// It does not say why.
    #[error("it gives no reason")]
    NoReason,
    /// It says too much.
    #[error("its reason is longer than {MAXIMUM_REASON_BYTES} bytes")]
    LongReason,
}

/// What the agent asks for beside `scope`, from what its tool reported.
pub fn parse(reported: &serde_json::Value, scope: &Scope) -> Result<ScopeRequest, BadRequest> {
    #[derive(Deserialize)]
    struct Reported {
        paths: Vec<String>,
        reason: String,
    }
    let reported = Reported::deserialize(reported).map_err(|_| BadRequest::Form)?;
    // Before each is looked at.
    if reported.paths.len() > MAXIMUM_REQUESTED_FILES {
        return Err(BadRequest::TooManyFiles(reported.paths.len()));
    }
    let paths = reported.paths.into_iter().map(RepositoryPath::try_from);
    let request = ScopeRequest {
        paths: paths.collect::<Result<_, _>>()?,
        reason: presentable(&reported.reason),
    };
    check(&request)?;
    for path in &request.paths {
        if let Some(by) = scope.kept(path.as_str().as_bytes()) {
            let (path, by) = (path.clone(), by.clone());
            return Err(BadRequest::Never { path, by });
        }
    }
    let known = |path: &&RepositoryPath| scope.is_open(path.as_str().as_bytes());
    match request.paths.iter().find(known) {
        Some(path) => Err(BadRequest::InScope(path.clone())),
        None => Ok(request),
    }
}

/// Whether `request` is one that a person could have been asked about.
pub fn check(request: &ScopeRequest) -> Result<(), BadRequest> {
    let ScopeRequest { paths, reason } = request;
    if paths.is_empty() {
        return Err(BadRequest::NoFiles);
    }
    if paths.len() > MAXIMUM_REQUESTED_FILES {
        return Err(BadRequest::TooManyFiles(paths.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(path) = paths.iter().find(|path| !seen.insert(*path)) {
        return Err(BadRequest::Twice(path.clone()));
    }
    if reason.trim().is_empty() {
        return Err(BadRequest::NoReason);
    }
    if reason.len() > MAXIMUM_REASON_BYTES {
        return Err(BadRequest::LongReason);
    }
    Ok(())
}

/// A reason as everybody will see it: without letters that hide or turn others, and without secrets.
fn presentable(reason: &str) -> String {
    let shown: String = reason
        .replace("\r\n", "\n")
        .chars()
        .map(|letter| if letter == '\t' { ' ' } else { letter })
        .filter(|letter| !is_hidden(*letter) && (!letter.is_control() || *letter == '\n'))
        .collect();
    redact(&shown).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scope() -> Scope {
        let path = |path: &str| RepositoryPath::try_from(path.to_owned()).unwrap();
        [path("src/a.js")].into_iter().collect()
    }

    fn problem(reported: &Value) -> String {
        match parse(reported, &scope()) {
            Err(problem) => problem.to_string(),
            Ok(request) => panic!("{request:?}"),
        }
    }

    #[test]
    fn a_request_is_kept_in_its_order() {
        let reported =
            json!({"paths": ["src/c.js", "src/b.js"], "reason": "  They hold the table.\n"});
        let request = parse(&reported, &scope()).unwrap();
        let paths: Vec<_> = request.paths.iter().map(RepositoryPath::as_str).collect();
        assert_eq!(paths, ["src/c.js", "src/b.js"]);
        assert_eq!(request.reason, "They hold the table.");
        assert_eq!(check(&request), Ok(()));
    }

    #[test]
    fn what_nobody_could_grant_is_refused() {
        let many: Vec<String> = (0..1000).map(|number| format!("f{number}")).collect();
        let of = |paths: Value| json!({"paths": paths, "reason": "r"});
        for (reported, expected) in [
            (of(json!([])), "no file"),
            (of(json!(many)), "1000 files"),
            (of(json!(["../x"])), "`..`"),
            (of(json!([".git/config"])), "git's own files"),
            (of(json!(["/etc/passwd"])), "relative"),
            (of(json!(["src/\u{202e}sj.b"])), "cannot be seen"),
            (of(json!(["x".repeat(513)])), "512 bytes"),
            (of(json!(["b", "b"])), "twice"),
            (of(json!(["src/a.js"])), "in the scope already"),
            (
                json!({"paths": ["b"], "reason": " \u{202e}\t\n"}),
                "no reason",
            ),
            (
                json!({"paths": ["b"], "reason": "r".repeat(2001)}),
                "2000 bytes",
            ),
            (json!({"paths": "b", "reason": "r"}), "not a list"),
            (json!({"paths": ["b"]}), "not a list"),
            (json!({"paths": [7], "reason": "r"}), "not a list"),
            (Value::Null, "not a list"),
        ] {
            let said = problem(&reported);
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn a_reason_hides_nothing_and_gives_nothing_away() {
        let key = format!("sk-{}", "0123456789abcdef");
        let reason = format!("a\u{202e}b\u{0}c\u{7}\r\nkey {key}\td");
        let request = parse(&json!({"paths": ["b"], "reason": reason}), &scope()).unwrap();
        assert_eq!(request.reason, "abc\nkey [secret] d");
    }
}
