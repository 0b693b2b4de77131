//! How the worker has files parsed by the child process.

use std::{ffi::OsString, io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    FileSymbols,
    child::{MAXIMUM_FILE, READY},
};

/// The sub-command of `sallyport` that is the child.
pub const COMMAND: &str = "parse-symbols";
/// How long a file may take; the child itself gives up earlier.
const FILE_TIME: Duration = Duration::from_secs(20);
/// The longest answer about a file, in bytes.
const MAXIMUM_ANSWER: u64 = 2 << 20;
/// How many files may end the child before no more are given to a new one.
const MAXIMUM_DEATHS: u32 = 3;

/// How the child is started.
#[derive(Clone, Debug)]
pub struct SymbolReader {
    program: OsString,
    arguments: Vec<OsString>,
}

/// Files cannot be parsed any more.
#[derive(Debug, thiserror::Error)]
#[error("the process that parses files {what}: {source}")]
pub struct ReaderError {
    what: &'static str,
    source: io::Error,
}

/// A conversation with the child. It is started for the first file, and anew after a file that ends it.
#[derive(Debug)]
pub struct Session<'a> {
    reader: &'a SymbolReader,
    child: Option<Running>,
    deaths: u32,
}

#[derive(Debug)]
struct Running {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    // Ends with it.
    _child: Child,
}

impl SymbolReader {
    /// This program itself, as it was when it was started, whatever lies at its path by now.
    pub fn this_program() -> Self {
        Self::new("/proc/self/exe", [COMMAND])
    }

    /// `program` with `arguments`.
    pub fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// Begins a conversation. Starts nothing yet.
    pub fn session(&self) -> Session<'_> {
        Session {
            reader: self,
            child: None,
            deaths: 0,
        }
    }

    async fn start(&self) -> io::Result<Running> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut running = Running {
            input,
            output: BufReader::new(output),
            _child: child,
        };
        // Before its walls stand, it gets no file.
        while running.line().await?.trim_end() != READY {}
        Ok(running)
    }
}

impl Session<'_> {
    /// The symbols of the file at `path`; nothing if it cannot be parsed. A file that ends the child counts as one; after a
    /// few of them there is an error.
    pub async fn symbols(
        &mut self,
        path: &str,
        content: &[u8],
    ) -> Result<Option<FileSymbols>, ReaderError> {
        if content.len() as u64 > MAXIMUM_FILE {
            return Ok(None);
        }
        let error = |what| move |source| ReaderError { what, source };
        let mut child = match self.child.take() {
            Some(child) => child,
            None => {
                let started = timeout(FILE_TIME, self.reader.start()).await;
                let started = started.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                started.map_err(error("cannot be started"))?
            }
        };
        let asked = timeout(FILE_TIME, child.ask(path, content)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(symbols) => {
                self.child = Some(child);
                Ok(symbols)
            }
            Err(problem) => {
                self.deaths += 1;
                tracing::warn!(path, %problem, "a file ended the process that parses");
                match self.deaths > MAXIMUM_DEATHS {
                    true => Err(error("ended too often")(problem)),
                    false => Ok(None),
                }
            }
        }
    }
}

impl Running {
    async fn ask(&mut self, path: &str, content: &[u8]) -> io::Result<Option<FileSymbols>> {
        for part in [path.as_bytes(), content] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            self.input.write_u32(length).await?;
            self.input.write_all(part).await?;
        }
        self.input.flush().await?;
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = (&mut self.output)
            .take(MAXIMUM_ANSWER)
            .read_line(&mut line)
            .await?;
        match read > 0 && line.ends_with('\n') {
            true => Ok(line),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const CHILD: &str = "planning::symbols::child::tests::as_child";

    /// The tests' own program as the child.
    pub(crate) fn reader() -> SymbolReader {
        SymbolReader::new(
            "/proc/self/exe",
            [CHILD, "--exact", "--ignored", "--nocapture"],
        )
    }

    #[tokio::test]
    async fn a_child_parses_one_file_after_the_other() {
        let reader = reader();
        let mut session = reader.session();
        for number in 0..200 {
            let content = format!("fn function_{number}() {{}}\n").repeat(20);
            let symbols = session
                .symbols("a.rs", content.as_bytes())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(symbols.definitions.len(), 20);
            assert_eq!(symbols.definitions[0].name, format!("function_{number}"));
        }
        assert_eq!(session.symbols("a.txt", b"words").await.unwrap(), None);
        let large = vec![b' '; MAXIMUM_FILE as usize + 1];
        assert_eq!(session.symbols("a.rs", &large).await.unwrap(), None);
        assert_eq!(session.deaths, 0);
    }

    #[tokio::test]
    async fn a_child_that_asks_for_more_than_it_needs_ends_at_once() {
        // `env` brings the variable into the child's empty environment.
        let arguments = ["SALLYPORT_SYMBOLS_ESCAPE=1", "/proc/self/exe"];
        let own = std::env::current_exe().unwrap();
        let mut arguments: Vec<OsString> = arguments.map(Into::into).into();
        arguments[1] = own.into();
        let rest = [CHILD, "--exact", "--ignored", "--nocapture"];
        arguments.extend(rest.map(OsString::from));
        let reader = SymbolReader::new("/usr/bin/env", arguments);
        let mut session = reader.session();
        for _ in 0..MAXIMUM_DEATHS {
            assert_eq!(session.symbols("a.rs", b"fn a() {}").await.unwrap(), None);
        }
        let error = session.symbols("a.rs", b"").await.unwrap_err().to_string();
        assert!(error.contains("ended too often"), "{error}");
        let nothing = SymbolReader::new("/nonexistent", [""; 0]);
        let error = nothing
            .session()
            .symbols("a.rs", b"")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be started"), "{error}");
    }
}
