//! What `git fast-import` is told: <https://git-scm.com/docs/git-fast-import>.

/// A commit to be made. It has no message and an author without a name, at no time, so that equal ones are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    head: String,
    deletions: Vec<u8>,
    files: Vec<u8>,
}

impl Commit {
    /// A commit for the ref `name`, with the files of `from` to begin with.
    pub(super) fn new(name: &str, from: Option<&str>) -> Self {
        let from = from
            .map(|from| format!("from {from}\n"))
            .unwrap_or_default();
        Self {
            head: format!("commit {name}\ncommitter <> 0 +0000\ndata 0\n{from}"),
            deletions: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Leaves out the file at `path`.
    pub(super) fn delete(&mut self, path: &[u8]) {
        self.deletions.extend(b"D ");
        quote(path, &mut self.deletions);
        self.deletions.push(b'\n');
    }

    /// Puts a file or a link at `path`.
    pub(super) fn file(&mut self, path: &[u8], mode: &str, content: &[u8]) {
        self.files.extend(format!("M {mode} inline ").bytes());
        quote(path, &mut self.files);
        self.files
            .extend(format!("\ndata {}\n", content.len()).bytes());
        self.files.extend(content);
        self.files.push(b'\n');
    }

    /// The words for all of it. What goes comes first: a file may stand where a folder was.
    pub(super) fn into_stream(self) -> Vec<u8> {
        let mut stream = self.head.into_bytes();
        stream.extend(self.deletions);
        stream.extend(self.files);
        stream.push(b'\n');
        stream
    }
}

/// `path` as a string of the C language, whatever bytes it has.
fn quote(path: &[u8], stream: &mut Vec<u8>) {
    stream.push(b'"');
    for byte in path {
        match byte {
            b'"' | b'\\' => stream.extend([b'\\', *byte]),
            0..32 => stream.extend(format!("\\{byte:03o}").bytes()),
            _ => stream.push(*byte),
        }
    }
    stream.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_bytes_are_quoted_and_deletions_come_first() {
        let mut commit = Commit::new("refs/x", Some("abc"));
        commit.file(b"a \"b\"\n\\\xff", "100644", b"1\n");
        commit.delete(b"-\t");
        assert_eq!(
            commit.into_stream(),
            b"commit refs/x\ncommitter <> 0 +0000\ndata 0\nfrom abc\nD \"-\\011\"\n\
              M 100644 inline \"a \\\"b\\\"\\012\\\\\xff\"\ndata 2\n1\n\n\n"
        );
    }
}
