//! Files that a room cannot change.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
};

use super::*;
use crate::sandbox::{keep_read_only, runs_as_root};

#[tokio::test]
async fn a_room_reads_runs_and_surrounds_them_and_changes_nothing() {
    if !runs_as_root() {
        return;
    }
    let house = House::new();
    let at = |name: &str| house.workspace().join(name);
    fs::create_dir_all(at("src/deep")).unwrap();
    for name in ["src/kept.sh", "src/deep/kept", "src/listed", "top"] {
        fs::write(at(name), "echo kept\n").unwrap();
    }
    symlink("kept.sh", at("src/link")).unwrap();
    fs::set_permissions(
        at("src/kept.sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let outside = house.folder.path().join("outside");
    fs::write(&outside, "").unwrap();
    symlink(&outside, at("src/deep/out")).unwrap();
    give_to_room(&house.workspace()).unwrap();
    let files = [
        "src/kept.sh",
        "src/deep/kept",
        "src/deep/out",
        "src/link",
        "top",
        "gone",
        "src/gone/x",
    ]
    .map(|name| name.as_bytes().to_vec());
    keep_read_only(&house.workspace(), &files).unwrap();

    let hostile = "for f in src/kept.sh src/deep/kept top; do echo x >> $f; rm -f $f; mv $f /tmp/; chmod 777 $f; ln -sf x $f; done; \
         rm -f src/link src/deep/out; mv src elsewhere; mv src/deep src/d; rmdir src/deep; rm -rf src/deep; chmod 777 src .; \
         true";
    house.run(hostile).await;
    for name in ["src/kept.sh", "src/deep/kept", "top"] {
        assert_eq!(
            fs::read_to_string(at(name)).unwrap(),
            "echo kept\n",
            "{name}"
        );
    }
    assert_eq!(fs::read_link(at("src/link")).unwrap(), Path::new("kept.sh"));
    assert_eq!(fs::read_link(at("src/deep/out")).unwrap(), outside);
    assert_eq!(
        fs::metadata(&outside).unwrap().mode() & 0o7777,
        0o644 & !umask()
    );

    let honest = "set -e; sh src/kept.sh; src/kept.sh; mkdir src/build; echo x > src/build/x; echo y > src/deep/new; \
         rm src/deep/new; echo z >> src/listed; mv src/listed src/l; sed -i s/z/w/ src/l; rm src/l; rm -r src/build; echo fine";
    let said = house.run(honest).await.output.text;
    assert!(said.ends_with("fine\n"), "{said}");
}

fn umask() -> u32 {
    let probe = tempfile::tempdir().unwrap();
    fs::write(probe.path().join("x"), "").unwrap();
    0o666 & !fs::metadata(probe.path().join("x")).unwrap().mode()
}
