//! What a repository says of itself: README, guides for contributors and agents, manifests; those at its top, and those
//! nearest to the files that fit the ticket.

use super::{Part, Source, report::tokens, search::Fit};
use crate::mirror::{MirrorError, TreeFile};

/// What may be a guide, in lower case without folders, the most telling first; with the most bytes that are shown of it.
const GUIDES: &[(&str, usize)] = &[
    ("readme.md", 8 << 10),
    ("readme.rst", 8 << 10),
    ("readme.txt", 8 << 10),
    ("readme", 8 << 10),
    ("agents.md", 6 << 10),
    ("claude.md", 6 << 10),
    ("contributing.md", 6 << 10),
    ("contributing.rst", 6 << 10),
    ("architecture.md", 4 << 10),
    ("package.json", 3 << 10),
    ("cargo.toml", 3 << 10),
    ("pyproject.toml", 3 << 10),
    ("setup.cfg", 2 << 10),
    ("go.mod", 2 << 10),
    ("pom.xml", 3 << 10),
    ("build.gradle", 3 << 10),
    ("build.gradle.kts", 3 << 10),
    ("gemfile", 2 << 10),
    ("composer.json", 2 << 10),
    ("cmakelists.txt", 2 << 10),
    ("makefile", 3 << 10),
];
/// Folders that hold guides of the whole repository.
const FOLDERS: &[&str] = &["", ".github/", "docs/", "doc/"];
/// The largest guide of which the beginning is shown.
const MAXIMUM_GUIDE: u64 = 1 << 20;
/// How many of the most fitting files have their nearest guides shown.
const NEAREST_TO: usize = 5;

/// Shows guides in at most `budget` tokens.
pub(super) async fn guides(
    source: &Source<'_>,
    files: &[TreeFile],
    fits: &[Fit<'_>],
    budget: u64,
) -> Result<Part, MirrorError> {
    let mut part = Part::new("What the repository says of itself");
    let chosen = choose(files, fits);
    let (chosen, large): (Vec<_>, Vec<_>) = chosen
        .into_iter()
        .partition(|(file, _, _)| file.bytes <= MAXIMUM_GUIDE);
    for (file, _, _) in large {
        part.leave_out(format!("`{}` has {} bytes", file.path, file.bytes));
    }
    let objects = chosen
        .iter()
        .map(|(file, _, _)| file.object.clone())
        .collect();
    let mut contents = source.mirror.git().contents(objects, MAXIMUM_GUIDE)?;
    let mut left = budget;
    for (file, limit, why) in chosen {
        let Some(content) = contents.next().await? else {
            break;
        };
        let Some(text) = super::text(content) else {
            part.leave_out(format!("`{}` is no text", file.path));
            continue;
        };
        let text = super::cut(text, limit.min(left as usize * 3));
        if tokens(&text) > left {
            part.leave_out(format!("`{}`: no room was left", file.path));
            continue;
        }
        left -= tokens(&text);
        part.show(&file.path, &why, text);
    }
    Ok(part)
}

fn choose<'a>(files: &'a [TreeFile], fits: &[Fit<'_>]) -> Vec<(&'a TreeFile, usize, String)> {
    let find = |folder: &str, name: &str| {
        let from = files.partition_point(|file| file.path.as_str() < folder);
        let inside = files[from..]
            .iter()
            .take_while(|file| file.path.starts_with(folder));
        let mut inside = inside.filter(|file| !file.path[folder.len()..].contains('/'));
        inside.find(|file| file.path[folder.len()..].to_lowercase() == name)
    };
    let mut chosen: Vec<(&TreeFile, usize, String)> = Vec::new();
    let mut add = |file: Option<&'a TreeFile>, limit, why: String| {
        if let Some(file) = file
            && !chosen.iter().any(|(other, _, _)| other.path == file.path)
        {
            chosen.push((file, limit, why));
        }
    };
    for (name, limit) in GUIDES {
        // One of each kind: a README in `docs/` is not the repository's if there is one at the top.
        let folder = FOLDERS.iter().find(|folder| find(folder, name).is_some());
        if let Some(folder) = folder {
            add(
                find(folder, name),
                *limit,
                "a guide of the whole repository".to_owned(),
            );
        }
    }
    for fit in fits.iter().take(NEAREST_TO) {
        for (name, limit) in GUIDES {
            let nearest = ancestors(&fit.file.path).find_map(|folder| find(folder, name));
            add(nearest, *limit / 2, format!("near `{}`", fit.file.path));
        }
    }
    chosen
}

/// The folders above `path`, each with a slash at its end, the nearest first; without the top.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(end, _)| &path[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Origin;

    #[tokio::test]
    async fn guides_at_the_top_and_near_fitting_files_are_shown() {
        let long = "x".repeat(20_000);
        let origin = Origin::new(&[
            ("README.md", long.as_str()),
            (".github/CONTRIBUTING.md", "How to help.\n"),
            ("docs/README.md", "Docs.\n"),
            ("package.json", "{}\n"),
            ("packages/a/package.json", "{\"name\": \"a\"}\n"),
            ("packages/a/src/deep/code.js", "code\n"),
            ("packages/b/package.json", "{\"name\": \"b\"}\n"),
            ("packages/readme/code.js", "code\n"),
        ])
        .await;
        let (_folder, mirror, head) = origin.mirror().await;
        let files = mirror.files(&head).await.unwrap();
        let source = Source {
            mirror: &mirror,
            commit: &head,
        };
        let fit = Fit::of(&files[5], 1.0);
        let part = guides(&source, &files, &[fit], 4000).await.unwrap();
        let shown: Vec<&str> = part
            .report
            .shown
            .iter()
            .map(|shown| shown.what.as_str())
            .collect();
        let expected = [
            "README.md",
            ".github/CONTRIBUTING.md",
            "package.json",
            "packages/a/package.json",
        ];
        assert_eq!(shown, expected);
        assert!(part.report.tokens() < 3000, "the README is cut");
        let none = guides(&source, &files, &[], 0).await.unwrap();
        assert!(none.report.shown.is_empty() && none.report.left_out.len() == 3);
    }
}
