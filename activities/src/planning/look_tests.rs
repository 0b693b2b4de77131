use super::*;
use crate::testing::Origin;

fn look(action: Action, path: &str, text: &str, line: i64) -> Look {
    Look {
        action,
        path: path.into(),
        text: text.into(),
        line,
    }
}

/// What a planner sees of `files`, for each of its `rounds`.
async fn seen(files: &[(&str, &str)], rounds: &[&[Look]]) -> (Vec<Vec<String>>, usize) {
    let origin = Origin::new(files).await;
    let (_folder, mirror, commit) = origin.mirror().await;
    let source = Source {
        mirror: &mirror,
        commit: &commit,
    };
    let files = mirror.files(&commit).await.unwrap();
    let progress = Progress::default();
    let mut looking = Looking::new(source, &files, &progress);
    let mut seen = Vec::new();
    for looks in rounds {
        let sights = looking.look(looks).await.unwrap();
        seen.push(sights.into_iter().map(|sight| sight.text).collect());
    }
    let left = looking.rounds_left();
    (seen, left)
}

const FILES: [(&str, &str); 5] = [
    ("README.md", "A library.\n"),
    ("src/parse.js", "one\nparse(Duration)\n  three\n"),
    ("src/units/days.js", "duration\n"),
    ("src/binary.dat", "Duration \0\n"),
    ("source.js", "durations\n"),
];

#[tokio::test]
async fn folders_files_and_texts_are_seen() {
    let looks = [
        look(Action::List, "", "", 0),
        look(Action::List, "./src/", "", 0),
        look(Action::Read, "src/parse.js", "", 2),
        look(Action::Search, "", "duration", 0),
        look(Action::Search, "src", "DURATION", 0),
        look(Action::Search, "src/parse.js", "three", 0),
    ];
    let (seen, left) = seen(&FILES, &[&looks]).await;
    let expected = [
        "src/ (3 files)\nREADME.md (11 bytes)\nsource.js (10 bytes)\n",
        "units/ (1 file)\nbinary.dat (11 bytes)\nparse.js (28 bytes)\n",
        "parse(Duration)\n  three\n",
        "In 3 files; at most 4 lines of each are shown, of 60 files:\nsource.js:1: durations\n\
         src/parse.js:2: parse(Duration)\nsrc/units/days.js:1: duration\n",
        "In 2 files; at most 4 lines of each are shown, of 60 files:\nsrc/parse.js:2: parse(Duration)\n\
         src/units/days.js:1: duration\n",
        "In 1 file; at most 4 lines of each are shown, of 60 files:\nsrc/parse.js:3: three\n",
    ];
    assert_eq!(seen[0], expected);
    assert_eq!(left, ROUNDS - 1);
}

#[tokio::test]
async fn what_is_seen_in_all_is_bounded_too() {
    let large = "a line of a file\n".repeat(4 << 10);
    let files = [("large.txt", large.as_str())];
    let looks = [look(Action::Read, "large.txt", "", 1)];
    let rounds = vec![&looks[..]; ROUNDS - 1];
    let (seen, left) = seen(&files, &rounds).await;
    let lengths: Vec<usize> = seen.iter().map(|round| round[0].len()).collect();
    assert!(
        lengths[0] > ROUND_BYTES / 2 && lengths[0] <= ROUND_BYTES + 200,
        "{lengths:?}"
    );
    assert_eq!(left, 0, "{lengths:?}");
    assert!(
        lengths.iter().sum::<usize>() < ALL_BYTES + 2_000,
        "{lengths:?}"
    );
}

#[tokio::test]
async fn nothing_outside_the_commits_text_files_is_seen() {
    for path in [
        "/etc/passwd",
        "../../etc/passwd",
        "src/../../../etc/passwd",
        ".git/config",
        "src",
        "src/parse.js/",
        "HEAD:src/parse.js",
        "-o/tmp/x",
        "src/*",
        "README.md\0",
    ] {
        let looks = [Action::Read, Action::List, Action::Search]
            .map(|action| look(action, path, "root:", 1));
        let (seen, _) = seen(&FILES, &[&looks]).await;
        let is_file = path == "src/parse.js/";
        let is_folder = path == "src";
        assert!(
            is_file || seen[0][0] == "There is no such file.\n",
            "{path}: {seen:?}"
        );
        assert!(
            is_folder || seen[0][1] == "There is no such folder.\n",
            "{path}: {seen:?}"
        );
        assert_eq!(seen[0][2], "No file has it.\n", "{path}");
    }
    let binary = [
        look(Action::Read, "src/binary.dat", "", 0),
        look(Action::Read, "README.md", "", 9),
    ];
    let (seen, _) = seen(&FILES, &[&binary]).await;
    assert_eq!(seen[0], ["It is no text.\n", "It has 1 line.\n"]);
}

#[tokio::test]
async fn what_is_seen_is_bounded_and_so_is_how_often() {
    let large = "a long line with many words in it\n".repeat(20_000);
    let names: Vec<String> = (0..200)
        .map(|number| format!("many/file-{number}.txt"))
        .collect();
    let mut files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "words\nwords\n"))
        .collect();
    files.push(("large.txt", &large));
    let one_line = "words ".repeat(100_000);
    files.push(("line.txt", &one_line));
    let looks: Vec<Look> = vec![
        look(Action::Read, "large.txt", "", 1),
        look(Action::Read, "line.txt", "", 1),
        look(Action::Search, "", "words", 0),
        look(Action::List, "many", "", 0),
    ];
    let (seen, left) = seen(&files, &[looks.as_slice(); 5]).await;
    let bytes: Vec<usize> = seen
        .iter()
        .map(|round| round.iter().map(String::len).sum())
        .collect();
    assert!(bytes.iter().all(|bytes| *bytes <= ROUND_BYTES), "{bytes:?}");
    assert!(bytes.iter().sum::<usize>() <= ALL_BYTES, "{bytes:?}");
    let first = &seen[0];
    assert!(first[0].ends_with(" more lines ...]\n"), "{}", first[0]);
    assert_eq!(first[1].chars().count(), LINE_OF_A_FILE + 1);
    assert!(first[2].starts_with("In 202 files; "), "{}", first[2]);
    let (_, after_few) = self::seen(&files, &[&looks[1..2]; 3]).await;
    assert_eq!(after_few, ROUNDS - 3);
    assert_eq!(left, ROUNDS - 5);
    let (_, after_many) = self::seen(&files, &[&looks[1..2]; ROUNDS]).await;
    assert_eq!(after_many, 0);
}
