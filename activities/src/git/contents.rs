//! The contents of many objects, one after the other, from one process: `git cat-file --batch`. However many they are, one
//! is in memory at a time.

use std::io;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout},
    task::JoinHandle,
    time::timeout,
};

use super::{Git, GitError, Group, LOCAL_TIMEOUT};

const COMMAND: &str = "cat-file";

/// Objects that are being read. Dropping it ends git.
#[derive(Debug)]
pub struct Contents {
    output: BufReader<ChildStdout>,
    header: String,
    content: Vec<u8>,
    limit: u64,
    /// How many objects are still to come.
    left: usize,
    /// Writes the objects' names while we read, so that neither side waits for the other.
    names: JoinHandle<()>,
    // Before the child: once that is reaped, its id may be another's.
    _group: Group,
    _child: Child,
}

impl Git {
    /// The contents of `objects`, in their order. One of more than `limit` bytes is an error.
    pub fn contents(&self, objects: Vec<String>, limit: u64) -> Result<Contents, GitError> {
        let invocation = self.run(COMMAND).arguments(["--batch", "--buffer"]);
        let (mut child, group) = invocation.spawn()?;
        let (Some(mut stdin), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        // Whatever it complains of, its answers end early.
        drop(child.stderr.take());
        let left = objects.len();
        let names = tokio::spawn(async move {
            for object in objects {
                // git ended: whoever reads its output sees why.
                if stdin
                    .write_all(format!("{object}\n").as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Contents {
            output: BufReader::with_capacity(64 << 10, output),
            header: String::new(),
            content: Vec::new(),
            limit,
            left,
            names,
            _group: group,
            _child: child,
        })
    }
}

impl Contents {
    /// The next object's content, or nothing at the end. An object that is not here is an error.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, GitError> {
        let read = timeout(LOCAL_TIMEOUT, self.read()).await;
        let found = read.map_err(|_| GitError::TimedOut {
            command: COMMAND.to_owned(),
            seconds: LOCAL_TIMEOUT.as_secs(),
        })??;
        Ok(found.then_some(self.content.as_slice()))
    }

    async fn read(&mut self) -> Result<bool, GitError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(false);
        };
        self.left = left;
        self.header.clear();
        let length = self
            .output
            .read_line(&mut self.header)
            .await
            .map_err(failed)?;
        if length == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        // `<object> <type> <bytes>`; another answer is `<object> missing`.
        let mut words = self.header.split_ascii_whitespace().skip(1);
        let bytes = match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some("blob"), Some(Ok(bytes))) => bytes,
            _ => {
                return Err(GitError::Unexpected {
                    command: COMMAND.to_owned(),
                    answer: self.header.trim().chars().take(80).collect(),
                });
            }
        };
        if bytes > self.limit {
            return Err(GitError::TooMuch {
                command: COMMAND.to_owned(),
                limit: self.limit,
            });
        }
        self.content.clear();
        let mut content = (&mut self.output).take(bytes);
        content
            .read_to_end(&mut self.content)
            .await
            .map_err(failed)?;
        let end = self.output.read_u8().await.map_err(failed)?;
        if self.content.len() as u64 != bytes || end != b'\n' {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(true)
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.names.abort();
    }
}

fn failed(source: io::Error) -> GitError {
    GitError::Run {
        command: COMMAND.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn repository(contents: &[Vec<u8>]) -> (tempfile::TempDir, Git, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::create_bare(&folder.path().join("r.git"))
            .await
            .unwrap();
        let mut objects = Vec::new();
        for content in contents {
            let hash = git.run("hash-object").arguments(["-w", "--stdin"]);
            objects.push(hash.input(content.clone()).text().await.unwrap());
        }
        (folder, git, objects)
    }

    #[tokio::test]
    async fn contents_come_in_order_whatever_is_in_them() {
        let large = b"line\n".repeat(100_000);
        let contents = [Vec::new(), large, b"a\0b\nc".to_vec(), b"\n".to_vec()];
        let (_folder, git, objects) = repository(&contents).await;
        // Many more names than a pipe holds.
        let many: Vec<String> = objects.iter().cycle().take(4000).cloned().collect();
        let mut found = git.contents(many, 1 << 20).unwrap();
        for number in 0..4000 {
            let content = found.next().await.unwrap().unwrap();
            assert!(content == contents[number % 4], "{number}");
        }
        assert!(found.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_missing_or_too_large_is_an_error() {
        let (folder, git, objects) = repository(&[b"12345".to_vec()]).await;
        let mut found = git.contents(vec!["0".repeat(40)], 9).unwrap();
        let error = found.next().await.unwrap_err();
        assert!(
            matches!(error, GitError::Unexpected { ref answer, .. } if answer.ends_with("missing"))
        );
        let mut found = git.contents(objects, 4).unwrap();
        let error = found.next().await.unwrap_err();
        assert!(
            matches!(error, GitError::TooMuch { limit: 4, .. }),
            "{error}"
        );
        // git ends before it has answered.
        let nothing = Git::at(folder.path().join("nothing.git"));
        let mut found = nothing.contents(vec!["0".repeat(40)], 9).unwrap();
        let error = found.next().await.unwrap_err();
        assert!(matches!(error, GitError::Run { .. }), "{error}");
    }
}
