//! Object storage: SPECs, diffs, logs and reports, each under the hash of its content.
//!
//! Because the key is the content's hash, writing the same twice is one write, nothing is ever changed, and whoever
//! reads checks what was read against the key. It is a local folder, or a bucket of any storage that speaks S3.
//!
//! | to find | look in |
//! | --- | --- |
//! | documents with names of their own, each written once | `named` |
//! | how an object leaves: into the trash, and later from there | `trash` |
//! | the storage behind S3's protocol | `s3` |
//! | what can go wrong, in words | `error` |

mod error;
mod named;
mod s3;
mod trash;

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath,
};
use sallyport_workflows::ObjectRef;

use crate::config::ObjectsConfig;

/// The content of an object.
pub use bytes::Bytes;
pub use error::ObjectError;
pub use trash::{Listing, StoredObject};

/// The largest object, in bytes.
pub const MAXIMUM_OBJECT_BYTES: u64 = 64 * 1024 * 1024;

/// An object in a bucket that is younger than this is not uploaded again. One that is older is, so that it counts as
/// young again: who just stored something must not lose it to a removal of what is old and not referred to.
pub const UPLOAD_AGAIN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The object storage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// How messages name it.
    place: String,
    /// Whether an upload costs more than the question whether it is needed.
    is_remote: bool,
}

impl Objects {
    /// Opens the storage, making its folder where it is missing. A bucket is not asked yet; see [`Objects::check`].
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectError> {
        match (&config.path, &config.s3) {
            (Some(path), None) => Self::in_folder(path),
            (None, Some(s3)) => {
                let (store, place) = s3::open(s3)?;
                Ok(Self {
                    store,
                    place,
                    is_remote: true,
                })
            }
            (None, None) => Err(ObjectError::Section("both missing")),
            (Some(_), Some(_)) => Err(ObjectError::Section("both set")),
        }
    }

    fn in_folder(path: &Path) -> Result<Self, ObjectError> {
        let folder = |source: io::Error| ObjectError::Folder {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(folder)?;
        // fsync: whoever holds a reference relies on the object.
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|error| folder(io::Error::other(error)))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            place: format!("the folder {}", path.display()),
            is_remote: false,
        })
    }

    /// Stores `content`: all of it or nothing. Stored already is success, and counts as stored now.
    pub async fn put(&self, content: impl Into<Bytes>) -> Result<ObjectRef, ObjectError> {
        let content = content.into();
        if content.len() as u64 > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::TooLarge(content.len() as u64));
        }
        let reference = ObjectRef::of(&content);
        let path = path_of(&reference)?;
        // A folder is written anew instead, which is as cheap and mends what was damaged.
        if self.is_remote && self.is_young(&path, &reference).await? {
            return Ok(reference);
        }
        self.store
            .put(&path, PutPayload::from(content))
            .await
            .map_err(|error| self.error("write an object", &error))?;
        Ok(reference)
    }

    /// The object's content, checked against its reference.
    pub async fn get(&self, reference: &ObjectRef) -> Result<Bytes, ObjectError> {
        let action = "read an object";
        let found = match self.store.get(&path_of(reference)?).await {
            Ok(found) => found,
            Err(error) => {
                self.absent(action, &error)?;
                return self.recovered(reference).await;
            }
        };
        // Before reading: a file that grew must not fill the memory.
        if found.meta.size != reference.bytes || reference.bytes > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::Changed(reference.key.clone()));
        }
        let content = found
            .bytes()
            .await
            .map_err(|error| self.error(action, &error))?;
        if !reference.names(&content) {
            return Err(ObjectError::Changed(reference.key.clone()));
        }
        Ok(content)
    }

    /// The content of an object that was taken for forgotten, which is put back where it belongs.
    async fn recovered(&self, reference: &ObjectRef) -> Result<Bytes, ObjectError> {
        match self.discarded(&reference.key).await? {
            Some(content) if reference.names(&content) => {
                self.put(content.clone()).await?;
                Ok(content)
            }
            _ => Err(ObjectError::NotFound(reference.key.clone())),
        }
    }

    /// Whether the object is there in its length and needs no upload.
    async fn is_young(
        &self,
        path: &ObjectPath,
        reference: &ObjectRef,
    ) -> Result<bool, ObjectError> {
        match self.store.head(path).await {
            Ok(meta) => {
                // A clock that is ahead of ours makes it younger than new.
                let age = (Utc::now() - meta.last_modified)
                    .to_std()
                    .unwrap_or_default();
                Ok(meta.size == reference.bytes && age < UPLOAD_AGAIN_AFTER)
            }
            Err(error) => self.absent("look for an object", &error).map(|()| false),
        }
    }

    /// Nothing where `error` says that there is no such object.
    fn absent(&self, action: &'static str, error: &object_store::Error) -> Result<(), ObjectError> {
        match (error, self.error(action, error)) {
            (_, problem @ ObjectError::NoBucket { .. }) => Err(problem),
            (object_store::Error::NotFound { .. }, _) => Ok(()),
            (_, problem) => Err(problem),
        }
    }

    fn error(&self, action: &'static str, error: &object_store::Error) -> ObjectError {
        ObjectError::of(action, &self.place, error)
    }

    /// The object as text.
    pub async fn get_text(&self, reference: &ObjectRef) -> Result<String, ObjectError> {
        let content = self.get(reference).await?;
        String::from_utf8(content.into()).map_err(|_| ObjectError::NotText(reference.key.clone()))
    }
}

fn path_of(reference: &ObjectRef) -> Result<ObjectPath, ObjectError> {
    path_of_key(&reference.key)
}

fn path_of_key(key: &str) -> Result<ObjectPath, ObjectError> {
    let bad = || ObjectError::BadKey(key.to_owned());
    let hash = key.strip_prefix("sha256/").ok_or_else(bad)?;
    let is_hash = hash.len() == 64
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return Err(bad());
    }
    ObjectPath::parse(key).map_err(|_| bad())
}
