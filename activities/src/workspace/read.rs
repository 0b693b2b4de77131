//! Reading files that an agent may be changing at this moment.
//!
//! A path that was a file may be a link to `/etc/shadow` when it is opened. So each is opened from the top folder on, by one
//! system call that follows no link, and what was opened is looked at once more.

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat},
    io::Errno,
};

/// A file or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File { executable: bool, content: Vec<u8> },
    Link { target: Vec<u8> },
}

impl Entry {
    /// The mode that git knows it by.
    pub(crate) fn mode(&self) -> &'static str {
        match self {
            Self::File {
                executable: false, ..
            } => "100644",
            Self::File {
                executable: true, ..
            } => "100755",
            Self::Link { .. } => "120000",
        }
    }

    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Self::Link { .. })
    }

    /// What is in the file, or where the link leads.
    pub(crate) fn content(&self) -> &[u8] {
        match self {
            Self::File { content, .. } => content,
            Self::Link { target } => target,
        }
    }

    /// Cuts off what comes after the last end of a line.
    pub(crate) fn keep_whole_lines(&mut self) {
        if let Self::File { content, .. } = self {
            let end = content.iter().rposition(|byte| *byte == b'\n');
            content.truncate(end.map_or(0, |end| end + 1));
        }
    }
}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Found(Entry),
    /// Nothing that git knows: also a folder, a pipe, or what lies behind a link.
    Nothing,
    /// Something that is too large or closed to us.
    Refused,
}

/// A folder to read from.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::PATH;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// Reads what is at `path`, if that is no more than `limit` bytes.
    pub(crate) fn read(&self, path: &[u8], limit: u64) -> Read {
        match self.try_to_read(path, limit) {
            Ok(Some(entry)) => Read::Found(entry),
            Ok(None) => Read::Nothing,
            // NXIO: a socket.
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::ISDIR
                | Errno::NXIO
                | Errno::NAMETOOLONG,
            ) => Read::Nothing,
            Err(_) => Read::Refused,
        }
    }

    fn try_to_read(&self, path: &[u8], limit: u64) -> Result<Option<Entry>, Errno> {
        let Ok(path) = CString::new(path) else {
            return Ok(None);
        };
        // NONBLOCK: a pipe that nobody writes to would block the opening itself.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.open_at(&path, flags) {
            Err(Errno::LOOP) => return self.link(&path, limit),
            other => File::from(other?),
        };
        let found = fstat(&file)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut content = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut content);
        read.map_err(|_| Errno::IO)?;
        if content.len() as u64 > limit {
            return Err(Errno::FBIG);
        }
        Ok(Some(Entry::File {
            executable: found.st_mode & 0o100 != 0,
            content,
        }))
    }

    fn link(&self, path: &CString, limit: u64) -> Result<Option<Entry>, Errno> {
        let link = self.open_at(path, OFlags::PATH)?;
        if FileType::from_raw_mode(fstat(&link)?.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        let target = readlinkat(&link, c"", Vec::new())?.into_bytes();
        if target.len() as u64 > limit {
            return Err(Errno::FBIG);
        }
        Ok(Some(Entry::Link { target }))
    }

    fn open_at(&self, path: &CString, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, flags, Mode::empty(), resolve)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
    };

    use super::*;

    #[test]
    fn only_files_and_links_are_read_and_nothing_behind_a_link() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/file"), "content").unwrap();
        symlink(outside.path(), at("link")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();

        let open = Folder::open(folder.path()).unwrap();
        let file = Entry::File {
            executable: false,
            content: b"content".to_vec(),
        };
        assert_eq!(open.read(b"d/file", 7), Read::Found(file));
        assert_eq!(open.read(b"d/file", 6), Read::Refused, "too large");
        let target = outside.path().as_os_str().as_encoded_bytes().to_vec();
        assert_eq!(
            open.read(b"link", 1000),
            Read::Found(Entry::Link { target })
        );
        for path in [
            &b"link/secret"[..],
            b"d",
            b"d/file/x",
            b"none",
            b"pipe",
            b"socket",
            b"a\0b",
            b"",
        ] {
            assert_eq!(open.read(path, 1000), Read::Nothing, "{path:?}");
        }
        for path in [&b"../x"[..], b"/etc/passwd"] {
            assert_eq!(open.read(path, 1000), Read::Refused, "{path:?}");
        }
        assert!(Folder::open(&at("link")).is_err());
    }
}
