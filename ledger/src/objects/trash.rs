//! How an object leaves the storage: first into the trash, and from there for good.
//!
//! Nothing locks the storage, so somebody may store an object again in the moment in which it is removed for being old
//! and not referred to. It is then still in the trash, where [`Objects::get`] finds it and puts it back; see
//! [`crate::garbage`] for why that is enough.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload, path::Path as ObjectPath};

use super::{ObjectError, Objects, path_of_key};

const TRASH: &str = "trash";

/// Which objects to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Those in use.
    Stored,
    /// Those in the trash.
    Discarded,
}

/// An object, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written last, or came into the trash.
    pub modified: DateTime<Utc>,
}

impl Objects {
    /// All objects, in no order. What is no object is passed over.
    pub fn list(
        &self,
        listing: Listing,
    ) -> impl Stream<Item = Result<StoredObject, ObjectError>> + '_ {
        let (folder, above) = match listing {
            Listing::Stored => (ObjectPath::from("sha256"), ""),
            Listing::Discarded => (ObjectPath::from_iter([TRASH, "sha256"]), "trash/"),
        };
        self.store
            .list(Some(&folder))
            .map_err(|error| self.error("list the objects", &error))
            .try_filter_map(move |meta| async move {
                let key = meta.location.as_ref().strip_prefix(above);
                let key = key.filter(|key| path_of_key(key).is_ok());
                Ok(key.map(|key| StoredObject {
                    key: key.to_owned(),
                    bytes: meta.size,
                    modified: meta.last_modified,
                }))
            })
    }

    /// Moves the object into the trash. Key: its own; gone already is success.
    pub async fn discard(&self, key: &str) -> Result<(), ObjectError> {
        let path = path_of_key(key)?;
        let Some(content) = self.read(&path).await? else {
            return Ok(());
        };
        // Written and not copied: its age in the trash counts from now.
        self.store
            .put(&trash_of(&path), PutPayload::from(content))
            .await
            .map_err(|error| self.error("move an object into the trash", &error))?;
        self.delete(&path).await
    }

    /// Puts what is in the trash back where it belongs, if it is not there. Key: its own; again is success.
    pub async fn recover(&self, key: &str) -> Result<(), ObjectError> {
        let path = path_of_key(key)?;
        if let Some(content) = self.read(&trash_of(&path)).await?
            && self.read(&path).await?.is_none()
        {
            self.store
                .put(&path, PutPayload::from(content))
                .await
                .map_err(|error| self.error("take an object out of the trash", &error))?;
        }
        self.purge(key).await
    }

    /// Removes the object from the trash for good. Key: its own; gone already is success.
    pub async fn purge(&self, key: &str) -> Result<(), ObjectError> {
        self.delete(&trash_of(&path_of_key(key)?)).await
    }

    /// What the trash holds under this key.
    pub(super) async fn discarded(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.read(&trash_of(&path_of_key(key)?)).await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, ObjectError> {
        let action = "read an object";
        match self.store.get(path).await {
            Ok(found) => {
                let content = found.bytes().await;
                content
                    .map(Some)
                    .map_err(|error| self.error(action, &error))
            }
            Err(error) => self.absent(action, &error).map(|()| None),
        }
    }

    async fn delete(&self, path: &ObjectPath) -> Result<(), ObjectError> {
        match self.store.delete(path).await {
            Ok(()) => Ok(()),
            Err(error) => self.absent("remove an object", &error),
        }
    }
}

fn trash_of(path: &ObjectPath) -> ObjectPath {
    std::iter::once(TRASH.into()).chain(path.parts()).collect()
}
