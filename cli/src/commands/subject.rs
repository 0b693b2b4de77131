//! What a gate asks about, as it is shown before a decision: the files of a SPEC or a diff, or the agent's wish.

use sallyport_workflows::{gate::Gate, revision, scope::ScopeRequest};

use super::{
    count,
    question::{self, Question},
};
use crate::{
    client::Client,
    exit::{Exit, Problem},
    terminal::{Painter, line},
};

/// How many files are named before the rest is only counted.
const FILES_SHOWN: usize = 20;

/// What the question is about, in lines. Read by the request's id, so that it is exactly what is decided about.
pub async fn read(
    client: &Client,
    question: &Question,
    painter: Painter,
) -> Result<Vec<String>, Problem> {
    let document = client.content(question.approval_id).await?;
    let is_other = || {
        Problem::new(
            Exit::Conflict,
            "what the gate asks about changed while it was read; nothing was decided",
        )
        .hint("read it again, then decide")
    };
    if document.revision.as_ref() != Some(&question.revision) {
        return Err(is_other());
    }
    match question.gate {
        Gate::Spec => Ok(listed(spec_files(&document.text()))),
        Gate::Pr => Ok(listed(diff_files(&document.text()))),
        Gate::Scope => {
            let request: ScopeRequest =
                serde_json::from_slice(&document.bytes).map_err(|error| {
                    Problem::new(
                        Exit::Failed,
                        format!("the agent's request is not understood: {error}"),
                    )
                })?;
            let paths: Vec<String> = request.paths.iter().cloned().map(String::from).collect();
            if revision::scope_revision(&paths, &request.reason) != question.revision {
                return Err(is_other());
            }
            Ok(question::files(&request, painter))
        }
    }
}

/// How many files there are, and the first of them.
pub fn listed(files: Vec<String>) -> Vec<String> {
    if files.is_empty() {
        return files;
    }
    let mut lines = vec![format!("{}:", count(files.len() as u64, "file"))];
    lines.extend(
        files
            .iter()
            .take(FILES_SHOWN)
            .map(|file| format!("  {file}")),
    );
    if files.len() > FILES_SHOWN {
        lines.push(format!("  and {} more", files.len() - FILES_SHOWN));
    }
    lines
}

/// The items of the SPEC's section about files. The planner's text is rendered so that no other text of it can look like
/// this heading.
fn spec_files(text: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| *line != "## Files to modify")
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|text| text.strip_prefix("- "))
        .map(line)
        .collect()
}

/// The files of a diff, each with its added and removed lines.
pub fn diff_files(diff: &str) -> Vec<String> {
    let mut files: Vec<(String, u64, u64)> = Vec::new();
    let mut in_hunk = false;
    for text in diff.lines() {
        if let Some(names) = text.strip_prefix("diff --git ") {
            let name = names.rsplit_once(" b/").map_or(names, |(_, name)| name);
            files.push((line(name), 0, 0));
            in_hunk = false;
        } else if text.starts_with("@@") {
            in_hunk = true;
        } else if let (true, Some(file)) = (in_hunk, files.last_mut()) {
            match text.as_bytes().first() {
                Some(b'+') => file.1 += 1,
                Some(b'-') => file.2 += 1,
                _ => {}
            }
        }
    }
    files
        .into_iter()
        .map(|(name, added, removed)| format!("{name}  +{added} -{removed}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fixtures, *};
    use crate::{client::test_server::TestServer, instance::Instance};

    /// What is shown at the SCOPE gate of the fixtures if the server answers with this wish under this revision.
    async fn shown(wish: Value, revision: &str) -> Result<Vec<String>, Problem> {
        let question = question::question(&fixtures::at_the_scope_gate()).unwrap();
        let server = TestServer::start_with_revision(revision, vec![(200, wish)]);
        let client = Client::new(Instance {
            url: server.url.clone(),
            token: "t".into(),
        });
        let shown = read(&client?, &question, Painter::plain()).await;
        let path = format!("GET /approvals/{}/content", question.approval_id);
        assert_eq!(server.asked()[0].0, path);
        shown
    }

    #[tokio::test]
    async fn only_what_the_revision_means_is_shown_as_asked() {
        let view = fixtures::at_the_scope_gate();
        let revision = question::question(&view).unwrap().revision;
        let wish = json!(view.scope_requests[1].request);
        let lines = shown(wish.clone(), &revision).await.unwrap();
        assert!(lines.contains(&"  src/units.js".to_owned()), "{lines:?}");
        let mut other = wish.clone();
        other["paths"][0] = "src/harmless.js".into();
        let another_time = "0".repeat(64);
        for (wish, revision) in [(other, revision.as_str()), (wish, &another_time)] {
            let problem = shown(wish, revision).await.unwrap_err();
            assert_eq!(problem.exit, Exit::Conflict);
            assert!(problem.message.contains("nothing was decided"), "{problem}");
        }
    }

    #[test]
    fn many_files_are_counted() {
        let lines = listed((0..30).map(|number| number.to_string()).collect());
        assert_eq!((lines.len(), lines[0].as_str()), (22, "30 files:"));
        assert_eq!(lines[21], "  and 10 more");
        assert!(listed(Vec::new()).is_empty());
    }

    #[test]
    fn the_specs_files_are_found() {
        let text = "# Ticket FL-1: Files to modify\n\n## Problem\n\n- not a file\n\n## Files to modify\n\n- `a.js` (modify): because\n- `b.js`\u{1b}[2J\n\n## Plan\n\n- no\n";
        assert_eq!(spec_files(text), ["`a.js` (modify): because", "`b.js`[2J"]);
    }

    #[test]
    fn the_diffs_lines_are_counted_only_inside_hunks() {
        let diff = "diff --git a/a b.js b/a b.js\n--- a/a b.js\n+++ b/a b.js\n@@ -1,2 +1,3 @@\n-old\n+new\n+---\n same\n\
                    diff --git a/gone.js b/gone.js\ndeleted file mode 100644\n--- a/gone.js\n+++ /dev/null\n@@ -1 +0,0 @@\n--- x\n";
        assert_eq!(diff_files(diff), ["a b.js  +2 -1", "gone.js  +0 -1"]);
    }
}
