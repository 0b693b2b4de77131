//! The only way in which Sallyport starts `git`.
//!
//! Whatever git reads may be hostile: a work tree that an agent wrote, a repository that a stranger filled. So git gets
//! an empty environment, no configuration of the machine or the user, no hooks, file system monitors, filters, pagers,
//! editors, credential helpers or signing programs, and no transport unless the caller asks for the network. The git
//! directory is always named and never looked for.

mod contents;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use crate::failure::scrub;
pub use contents::Contents;

/// How long a git command that stays on this machine may take.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a git command that talks to another machine may take.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(240);

/// How much git may answer, unless the caller says otherwise.
const OUTPUT_LIMIT: u64 = 64 << 20;

/// How much of git's complaint is kept.
const COMPLAINT_LIMIT: u64 = 2000;

/// What the environment of each git holds.
const ENVIRONMENT: [(&str, &str); 11] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/nonexistent"),
    ("LANG", "C.UTF-8"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"),
];

/// What overrides each repository's own configuration.
const CONFIGURATION: [&str; 22] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.pager=cat",
    "core.editor=false",
    "core.askPass=",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
];

/// What a repository of ours says of every file, above all that files in the tree say: take it as it is.
const ATTRIBUTES: &str =
    "* -text -eol -crlf -filter -ident -working-tree-encoding !diff !merge !export-subst\n";

/// A git command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be run.
    #[error("`git {command}` could not be run: {source}; is git installed?")]
    Run {
        /// The sub-command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Its time was up.
    #[error("`git {command}` took longer than {seconds} s and was stopped")]
    TimedOut {
        /// The sub-command.
        command: String,
        /// Its time.
        seconds: u64,
    },
    /// It said more than was asked for.
    #[error("`git {command}` answered more than {limit} bytes and was stopped")]
    TooMuch {
        /// The sub-command.
        command: String,
        /// What it may answer.
        limit: u64,
    },
    /// It ended with an error.
    #[error("`git {command}` failed ({code}): {complaint}")]
    Failed {
        /// The sub-command.
        command: String,
        /// The exit code; -1 if a signal ended it.
        code: i32,
        /// What it said: shortened, without credentials.
        complaint: String,
    },
    /// It answered something that it never should.
    #[error("`git {command}` answered something unexpected: {answer}")]
    Unexpected {
        /// The sub-command.
        command: String,
        /// What it answered, shortened.
        answer: String,
    },
}

/// A git directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    directory: PathBuf,
}

/// A finished git command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to its standard output.
    pub output: Vec<u8>,
}

/// A git command to be run.
#[derive(Debug)]
#[must_use]
pub struct Invocation {
    name: String,
    command: Command,
    configuration: Vec<OsString>,
    arguments: Vec<OsString>,
    input: Vec<u8>,
    limit: u64,
    timeout: Duration,
    allowed: Vec<i32>,
}

impl Git {
    /// The git directory at `directory`, an absolute path. Nothing is checked.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Makes an empty bare repository in which no attribute of a file has any effect.
    pub async fn create_bare(directory: &Path) -> Result<Self, GitError> {
        let git = Self::at(directory);
        git.run("init")
            .arguments(["--quiet", "--bare", "--template=", "--initial-branch=main"])
            .done()
            .await?;
        let information = directory.join("info");
        let written = std::fs::create_dir_all(&information)
            .and_then(|()| std::fs::write(information.join("attributes"), ATTRIBUTES));
        written.map_err(|source| GitError::Run {
            command: "init".to_owned(),
            source,
        })?;
        Ok(git)
    }

    /// The git directory's path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The sub-command `name` on this git directory.
    pub fn run(&self, name: &str) -> Invocation {
        let mut command = Command::new("git");
        command
            .env_clear()
            .envs(ENVIRONMENT)
            .env("GIT_DIR", &self.directory)
            .current_dir(existing_folder(&self.directory))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Helpers such as `git-remote-https` are in its group, and end with it.
            .process_group(0)
            .kill_on_drop(true);
        Invocation {
            name: name.to_owned(),
            command,
            configuration: Vec::new(),
            arguments: Vec::new(),
            input: Vec::new(),
            limit: OUTPUT_LIMIT,
            timeout: LOCAL_TIMEOUT,
            allowed: vec![0],
        }
        .configure("protocol.allow=never")
    }

    /// The full id of the commit that `revision` names, or nothing if there is none.
    pub async fn commit(&self, revision: &str) -> Result<Option<String>, GitError> {
        let answer = self
            .run("rev-parse")
            .arguments(["--verify", "--quiet", "--end-of-options"])
            .argument(format!("{revision}^{{commit}}"))
            .allow(&[1, 128])
            .answer()
            .await?;
        if answer.code != 0 {
            return Ok(None);
        }
        Ok(Some(
            String::from_utf8_lossy(&answer.output).trim().to_owned(),
        ))
    }
}

impl Git {
    /// Whether `ancestor` is `commit` or one of its ancestors. A commit that is not here is no ancestor.
    pub async fn is_ancestor(&self, ancestor: &str, commit: &str) -> Result<bool, GitError> {
        let answer = self
            .run("merge-base")
            .arguments(["--is-ancestor", ancestor, commit])
            .allow(&[1, 128])
            .answer()
            .await?;
        Ok(answer.code == 0)
    }
}

/// git starts in a folder that nobody else can write to; a repository that is still to be made is none yet.
fn existing_folder(directory: &Path) -> &Path {
    directory
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
}

impl Invocation {
    /// Adds an argument.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn arguments<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.arguments
            .extend(arguments.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets a key of the configuration for this command, as `key=value`.
    pub fn configure(mut self, setting: impl Into<OsString>) -> Self {
        self.configuration.push(setting.into());
        self
    }

    /// Sets a variable of git's environment.
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Uses an index of its own.
    pub fn index(self, path: &Path) -> Self {
        self.variable("GIT_INDEX_FILE", path)
    }

    /// Works on `path`'s files. They may be hostile.
    pub fn work_tree(self, path: &Path) -> Self {
        self.variable("GIT_WORK_TREE", path)
            .configure("core.bare=false")
    }

    /// Lets git reach repositories by `file:` and `https:`, and gives it more time.
    pub fn network(self) -> Self {
        let mut this = self
            .configure("protocol.file.allow=always")
            .configure("protocol.https.allow=always");
        this.timeout = NETWORK_TIMEOUT;
        this
    }

    /// What git reads from its standard input.
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    /// The most that git may answer, in bytes.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// How long it may take.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Takes these exit codes as answers too.
    pub fn allow(mut self, codes: &[i32]) -> Self {
        self.allowed.extend_from_slice(codes);
        self
    }

    /// Starts it. Whatever happens to us, the whole group ends with what is answered here.
    fn spawn(mut self) -> Result<(Child, Group), GitError> {
        let configuration = CONFIGURATION.iter().map(OsString::from);
        for setting in configuration.chain(self.configuration) {
            self.command.arg("-c").arg(setting);
        }
        self.command.arg(&self.name).args(&self.arguments);
        let child = self.command.spawn().map_err(|source| GitError::Run {
            command: self.name,
            source,
        })?;
        let group = Group::of(&child);
        Ok((child, group))
    }

    /// Runs it.
    pub async fn answer(mut self) -> Result<Answer, GitError> {
        let (name, input) = (self.name.clone(), std::mem::take(&mut self.input));
        let (limit, time, allowed) = (self.limit, self.timeout, std::mem::take(&mut self.allowed));
        let failed = |source| GitError::Run {
            command: name.clone(),
            source,
        };
        let (mut child, mut group) = self.spawn()?;
        let talk = converse(&mut child, &input, limit);
        let (output, complaint, status) = timeout(time, talk)
            .await
            .map_err(|_| GitError::TimedOut {
                command: name.clone(),
                seconds: time.as_secs(),
            })?
            .map_err(failed)?;
        if output.len() as u64 > limit {
            return Err(GitError::TooMuch {
                command: name,
                limit,
            });
        }
        group.disarm();
        let code = status.and_then(|status| status.code()).unwrap_or(-1);
        if !allowed.contains(&code) {
            return Err(GitError::Failed {
                command: name,
                code,
                complaint: scrub(String::from_utf8_lossy(&complaint).trim()),
            });
        }
        Ok(Answer { code, output })
    }

    /// Runs it, and answers its standard output.
    pub async fn output(self) -> Result<Vec<u8>, GitError> {
        Ok(self.answer().await?.output)
    }

    /// Runs it, and answers its standard output as text without white space around it.
    pub async fn text(self) -> Result<String, GitError> {
        let command = self.name.clone();
        let output = self.output().await?;
        match String::from_utf8(output) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(GitError::Unexpected {
                command,
                answer: String::from_utf8_lossy(error.as_bytes())
                    .chars()
                    .take(80)
                    .collect(),
            }),
        }
    }

    /// Runs it for its effect.
    pub async fn done(self) -> Result<(), GitError> {
        self.answer().await.map(drop)
    }
}

type Conversation = (Vec<u8>, Vec<u8>, Option<std::process::ExitStatus>);

/// Writes, reads and waits, all at once, so that no side waits for the other. Without a status if there was too much.
async fn converse(child: &mut Child, input: &[u8], limit: u64) -> io::Result<Conversation> {
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // git may have all it needs before it has read everything.
            let _ = stdin.write_all(input).await;
        }
        io::Result::Ok(())
    };
    let read = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(limit + 1).read_to_end(&mut output).await?;
        }
        io::Result::Ok(output)
    };
    let complain = async {
        let mut complaint = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr)
                .take(COMPLAINT_LIMIT)
                .read_to_end(&mut complaint)
                .await?;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        io::Result::Ok(complaint)
    };
    let all = async {
        let ((), output, complaint) = tokio::try_join!(write, read, complain)?;
        io::Result::Ok((output, complaint))
    };
    let (output, complaint) = all.await?;
    if output.len() as u64 > limit {
        return Ok((output, complaint, None));
    }
    let status = child.wait().await?;
    Ok((output, complaint, Some(status)))
}

/// Kills a process group unless told not to.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        )
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
