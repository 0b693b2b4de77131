//! Object storage: SPECs, diffs, logs and reports, each under the hash of its content.
//!
//! Because the key is the content's hash, writing the same twice is one write, nothing is ever changed, and whoever
//! reads checks what was read against the key.

use std::{fs, io, path::PathBuf};

use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath,
};
use sallyport_workflows::ObjectRef;
use std::sync::Arc;

use crate::config::ObjectsConfig;

/// The content of an object.
pub use bytes::Bytes;

/// The largest object, in bytes.
pub const MAXIMUM_OBJECT_BYTES: u64 = 64 * 1024 * 1024;

/// Why an object could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The folder cannot be used.
    #[error("cannot use {path} as object storage: {source}; check `objects.path`", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such object.
    #[error("there is no object `{0}` in object storage")]
    NotFound(String),
    /// What is stored is not what the reference names.
    #[error("the object `{0}` is not what its reference names: it was changed or damaged")]
    Changed(String),
    /// The reference is none that object storage gave out.
    #[error("`{0}` is no key of an object")]
    BadKey(String),
    /// It is larger than [`MAXIMUM_OBJECT_BYTES`].
    #[error("an object of {0} bytes is too large; at most {MAXIMUM_OBJECT_BYTES} are taken")]
    TooLarge(u64),
    /// It is no text.
    #[error("the object `{0}` is not text in UTF-8")]
    NotText(String),
    /// The storage failed. Trying again may help.
    #[error("object storage failed to {action}: {source}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        source: object_store::Error,
    },
}

/// The object storage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// Opens the storage, making its folder where it is missing.
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectError> {
        let folder = |source: io::Error| ObjectError::Folder {
            path: config.path.clone(),
            source,
        };
        fs::create_dir_all(&config.path).map_err(folder)?;
        // fsync: whoever holds a reference relies on the object.
        let store = LocalFileSystem::new_with_prefix(&config.path)
            .map_err(|error| folder(io::Error::other(error)))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
        })
    }

    /// Stores `content`: all of it or nothing. Stored already is success.
    pub async fn put(&self, content: impl Into<Bytes>) -> Result<ObjectRef, ObjectError> {
        let content = content.into();
        if content.len() as u64 > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::TooLarge(content.len() as u64));
        }
        let reference = ObjectRef::of(&content);
        self.store
            .put(&path_of(&reference)?, PutPayload::from(content))
            .await
            .map_err(|source| ObjectError::Storage {
                action: "write an object",
                source,
            })?;
        Ok(reference)
    }

    /// The object's content, checked against its reference.
    pub async fn get(&self, reference: &ObjectRef) -> Result<Bytes, ObjectError> {
        let failed = |source: object_store::Error| match source {
            object_store::Error::NotFound { .. } => ObjectError::NotFound(reference.key.clone()),
            source => ObjectError::Storage {
                action: "read an object",
                source,
            },
        };
        let found = self.store.get(&path_of(reference)?).await.map_err(failed)?;
        // Before reading: a file that grew must not fill the memory.
        if found.meta.size != reference.bytes || reference.bytes > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::Changed(reference.key.clone()));
        }
        let content = found.bytes().await.map_err(failed)?;
        if !reference.names(&content) {
            return Err(ObjectError::Changed(reference.key.clone()));
        }
        Ok(content)
    }

    /// The object as text.
    pub async fn get_text(&self, reference: &ObjectRef) -> Result<String, ObjectError> {
        let content = self.get(reference).await?;
        String::from_utf8(content.into()).map_err(|_| ObjectError::NotText(reference.key.clone()))
    }
}

fn path_of(reference: &ObjectRef) -> Result<ObjectPath, ObjectError> {
    let bad = || ObjectError::BadKey(reference.key.clone());
    let hash = reference.key.strip_prefix("sha256/").ok_or_else(bad)?;
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return Err(bad());
    }
    ObjectPath::parse(&reference.key).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> (tempfile::TempDir, Objects) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/demand");
        let objects = Objects::open(&ObjectsConfig { path }).unwrap();
        (folder, objects)
    }

    fn file_of(folder: &tempfile::TempDir, reference: &ObjectRef) -> PathBuf {
        folder.path().join("made/on/demand").join(&reference.key)
    }

    #[tokio::test]
    async fn what_was_put_is_got() {
        let (folder, objects) = objects();
        let reference = objects.put("Grüße").await.unwrap();
        assert_eq!(reference, objects.put("Grüße").await.unwrap());
        assert_eq!(objects.get_text(&reference).await.unwrap(), "Grüße");
        assert!(file_of(&folder, &reference).is_file());
    }

    #[tokio::test]
    async fn the_hash_is_checked() {
        let (folder, objects) = objects();
        let reference = objects.put("approved").await.unwrap();
        fs::write(file_of(&folder, &reference), "apprOved").unwrap();
        assert!(matches!(
            objects.get(&reference).await,
            Err(ObjectError::Changed(_))
        ));
        fs::write(file_of(&folder, &reference), "approved and more").unwrap();
        assert!(matches!(
            objects.get(&reference).await,
            Err(ObjectError::Changed(_))
        ));
        // Writing it again mends it.
        objects.put("approved").await.unwrap();
        assert_eq!(objects.get_text(&reference).await.unwrap(), "approved");
    }

    #[tokio::test]
    async fn a_reference_cannot_lead_out_of_the_folder() {
        let (_folder, objects) = objects();
        for key in [
            "sha256/../../etc/passwd",
            "/etc/passwd",
            "sha256/",
            "",
            "md5/0",
        ] {
            let reference = ObjectRef {
                key: key.to_owned(),
                bytes: 1,
            };
            assert!(
                matches!(objects.get(&reference).await, Err(ObjectError::BadKey(_))),
                "{key}"
            );
        }
    }

    #[tokio::test]
    async fn missing_and_binary_objects_are_told_apart() {
        let (_folder, objects) = objects();
        let absent = ObjectRef::of(b"never stored");
        assert!(matches!(
            objects.get(&absent).await,
            Err(ObjectError::NotFound(_))
        ));
        let binary = objects.put(vec![0xff, 0xfe]).await.unwrap();
        assert!(matches!(
            objects.get_text(&binary).await,
            Err(ObjectError::NotText(_))
        ));
    }

    #[tokio::test]
    async fn too_large_is_refused() {
        let (_folder, objects) = objects();
        let large = vec![0u8; MAXIMUM_OBJECT_BYTES as usize + 1];
        assert!(matches!(
            objects.put(large).await,
            Err(ObjectError::TooLarge(_))
        ));
    }
}
