//! The image of all rooms: nothing but the links that lead into `/usr` on this host, as in bubblewrap's rooms.

use std::{fs, io, path::Path};

use bollard::{Docker as Client, query_parameters::CreateImageOptions};
use bytes::Bytes;
use futures::StreamExt as _;
use sallyport_workflows::revision::sha256_hex;
use tar::{Builder, EntryType, Header};

use super::{
    super::{SandboxError, room::SYSTEM_FOLDERS},
    failed,
};

/// The image's name, without its tag.
const NAME: &str = "sallyport-room";

/// Puts the image into the engine, if it is not there. Answers its name with its tag, which tells what is in it.
pub(super) async fn import(client: &Client) -> Result<String, SandboxError> {
    let archive = archive().map_err(SandboxError::io("packing the image of rooms"))?;
    let tag = &sha256_hex(&archive)[..12];
    let image = format!("{NAME}:{tag}");
    if client.inspect_image(&image).await.is_ok() {
        return Ok(image);
    }
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(NAME.to_owned()),
        tag: Some(tag.to_owned()),
        ..CreateImageOptions::default()
    };
    let archive = bollard::body_full(Bytes::from(archive));
    let mut answers = Box::pin(client.create_image(Some(options), Some(archive), None));
    while let Some(answer) = answers.next().await {
        answer.map_err(failed("making the image of rooms"))?;
    }
    Ok(image)
}

fn archive() -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for name in SYSTEM_FOLDERS {
        let Ok(target) = fs::read_link(name) else {
            continue;
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(
            &mut header,
            Path::new(name).strip_prefix("/").unwrap_or(Path::new(name)),
            target,
        )?;
    }
    builder.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_the_same_each_time_and_has_only_links() {
        let packed = archive().unwrap();
        assert_eq!(packed, archive().unwrap());
        let mut entries = tar::Archive::new(packed.as_slice());
        for entry in entries.entries().unwrap() {
            assert_eq!(entry.unwrap().header().entry_type(), EntryType::Symlink);
        }
    }
}
