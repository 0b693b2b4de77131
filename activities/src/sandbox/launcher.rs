//! The script with which an agent's shell commands enter an inner room.
//!
//! It lies in the kit, which an agent's room sees at `/opt/sallyport`. It is made from the same arguments as the inner
//! rooms that the worker starts itself, so that there is one inner room and not two that look alike.

use std::{ffi::OsString, path::Path};

use super::{
    KIT, NODE, WORKSPACE,
    room::{Layer, Limits, Places, entry, walls},
    seccomp::{ABI_FILTER, CLONE3_FILTER, INNER_FILTER},
};
use crate::walls::{Wall, stands};

/// The script's name in the kit.
pub(crate) const FILE: &str = "inner-room";

/// How much of a command's output reaches Pi from its beginning, and how much from its end. Pi writes all that it gets
/// into its `/tmp` and crashes when that is full.
const HEAD_BYTES: usize = 512 << 10;
const TAIL_BYTES: usize = 512 << 10;

/// The script. Its one argument is the command.
pub(super) fn script(limits: &Limits) -> String {
    let etc = format!("{KIT}/etc");
    let places = Places {
        etc: Path::new(&etc),
        node: Path::new(NODE),
        workspace: Path::new(WORKSPACE),
    };
    // Emptied before bubblewrap starts, for its first process shows it: Pi's environment names the session.
    let mut room: Vec<OsString> = ["/usr/bin/env", "-i"].map(Into::into).into();
    room.push(format!("{KIT}-bwrap").into());
    room.extend(walls(Layer::Inner, &places, limits));
    room.extend(["--remount-ro", "/"].map(Into::into));
    if stands(Wall::SystemCalls) {
        for descriptor in ["7", "8", "9"] {
            room.extend(["--add-seccomp-fd", descriptor].map(Into::into));
        }
    }
    room.push("--".into());
    room.extend(entry(limits));
    if !stands(Wall::InnerRoom) {
        room = entry(limits);
    }
    let room: Vec<String> = room
        .iter()
        .map(|argument| quote(&argument.to_string_lossy()))
        .collect();
    let room = room.join(" ");
    let tail_and_one = TAIL_BYTES + 1;
    format!(
        r#"#!/bin/bash
# Written by Sallyport: runs the shell command $1 in a room of its own. Of its output, the beginning and the end are passed
# on; all of it is read, so that no command fails because it says too much.
unset BASH_ENV ENV
set -o pipefail
{{
  exec 2>&1 7<{KIT}/{INNER_FILTER} 8<{KIT}/{CLONE3_FILTER} 9<{KIT}/{ABI_FILTER}
  exec {room} /bin/bash -c "$1" </dev/null
}} | {{
  /usr/bin/head -c {HEAD_BYTES}
  rest=$(/usr/bin/mktemp) || exit 1
  /usr/bin/tail -c {tail_and_one} >"$rest"
  if [ "$(/usr/bin/stat -c %s "$rest")" -gt {TAIL_BYTES} ]; then
    printf '\n[... output left out: only the beginning and the end are shown ...]\n'
  fi
  /usr/bin/tail -c {TAIL_BYTES} "$rest"
  /usr/bin/rm -f "$rest"
}}
exit "${{PIPESTATUS[0]}}"
"#
    )
}

/// `text` as one word of a shell's command line.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_one_word() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_script_makes_an_inner_room_without_what_the_agents_room_has() {
        let script = script(&Limits::for_commands());
        for wall in [
            "'--unshare-all'",
            "'--disable-userns'",
            "'--cap-drop' 'ALL'",
            "'--add-seccomp-fd' '7'",
        ] {
            assert!(script.contains(wall), "{wall}");
        }
        for thing in ["/run/gw", "/session", "/pi-agent", "/opt/pi"] {
            assert!(!script.contains(thing), "{thing}");
        }
    }
}
