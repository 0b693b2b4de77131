//! Which files a SPEC or a diff is about, for the summary before a decision.

use crate::terminal::line;

/// The items of the SPEC's section about files. The planner's text is rendered so that no other text of it can look like
/// this heading.
pub fn spec_files(text: &str) -> Vec<String> {
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
    use super::*;

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
