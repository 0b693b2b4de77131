//! A Unix socket that a room's user may connect to.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::Path,
};

use tokio::net::UnixListener;

use super::{ROOM_UID, runs_as_root};

/// Listens on the socket `name` in the new folder `folder`; what was there is gone.
pub(crate) fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    if folder.exists() {
        // Left by a worker that was killed.
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let opened = File::open(folder)?;
    // A socket's path may have 107 bytes, and data folders lie deep. This name of the same folder is short.
    let short = format!("/proc/self/fd/{}/{name}", opened.as_raw_fd());
    let listener = UnixListener::bind(short)?;
    let socket = folder.join(name);
    if runs_as_root() {
        std::os::unix::fs::chown(folder, None, Some(ROOM_UID))?;
        std::os::unix::fs::chown(&socket, None, Some(ROOM_UID))?;
        fs::set_permissions(&socket, Permissions::from_mode(0o660))?;
        fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    } else {
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(listener)
}
