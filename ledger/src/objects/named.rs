//! Documents under names of their own, beside the objects that are named by their hash.
//!
//! A name is written once: what stands under it never changes. That makes a growing chain of documents out of storage
//! that has no transactions.

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    path::Path as ObjectPath,
};

use super::{MAXIMUM_OBJECT_BYTES, ObjectError, Objects};

/// The folder of all documents.
const FOLDER: &str = "named";
/// The document that [`Objects::check`] writes.
const PROBE: &str = "storage-check.txt";
const PROBE_CONTENT: &[u8] = b"Written by Sallyport to see that it may write here.\n";
/// Longer than any name that makes sense, shorter than what S3 refuses.
const MAXIMUM_NAME: usize = 500;

impl Objects {
    /// Writes `content` as the document `name`, such as `seals/0001.json`, if there is none of that name.
    ///
    /// Key: the name. The same content again is success; other content is [`ObjectError::Taken`] and changes nothing.
    pub async fn put_named(
        &self,
        name: &str,
        content: impl Into<Bytes>,
    ) -> Result<(), ObjectError> {
        let content = content.into();
        if content.len() as u64 > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::TooLarge(content.len() as u64));
        }
        if self.create(name, content.clone()).await? {
            return Ok(());
        }
        // Also what our own first try wrote whose answer was lost.
        match self.get_named(name).await? {
            Some(found) if found == content => Ok(()),
            Some(_) => Err(ObjectError::Taken(name.to_owned())),
            None => Err(ObjectError::Storage {
                action: "write a document",
                reason: format!("`{name}` was there and is gone now; try again"),
            }),
        }
    }

    /// The document `name`, if there is one.
    pub async fn get_named(&self, name: &str) -> Result<Option<Bytes>, ObjectError> {
        let action = "read a document";
        let found = match self.store.get(&path_of(name)?).await {
            Ok(found) => found,
            Err(error) => return self.absent(action, &error).map(|()| None),
        };
        if found.meta.size > MAXIMUM_OBJECT_BYTES {
            return Err(ObjectError::TooLarge(found.meta.size));
        }
        let content = found.bytes().await;
        content
            .map(Some)
            .map_err(|error| self.error(action, &error))
    }

    /// The names of all documents in the folder `prefix`, such as `seals`, in order.
    pub async fn list_named(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let folder = path_of(prefix.trim_end_matches('/'))?;
        let found: Vec<_> = self
            .store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| self.error("list documents", &error))?;
        let mut names: Vec<String> = found
            .iter()
            .filter_map(|meta| meta.location.as_ref().strip_prefix("named/"))
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Sees whether the storage can be used: lists, writes and reads there.
    ///
    /// Key: one document of a fixed name and content.
    pub async fn check(&self) -> Result<(), ObjectError> {
        self.store
            .list_with_delimiter(Some(&ObjectPath::from(FOLDER)))
            .await
            .map_err(|error| self.error("list documents", &error))?;
        self.put_named(PROBE, PROBE_CONTENT).await?;
        if self
            .create(PROBE, Bytes::from_static(PROBE_CONTENT))
            .await?
        {
            return Err(ObjectError::Unconditional {
                place: self.place.clone(),
            });
        }
        Ok(())
    }

    /// Writes a document unless there is one of that name. Returns whether it did.
    async fn create(&self, name: &str, content: Bytes) -> Result<bool, ObjectError> {
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from(content);
        match self.store.put_opts(&path_of(name)?, payload, options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.error("write a document", &error)),
        }
    }
}

fn path_of(name: &str) -> Result<ObjectPath, ObjectError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'_' | b'.'))
    };
    if name.len() > MAXIMUM_NAME || !name.split('/').all(is_part) {
        return Err(ObjectError::BadName(
            name.chars().take(MAXIMUM_NAME).collect(),
        ));
    }
    Ok(ObjectPath::from_iter(
        std::iter::once(FOLDER).chain(name.split('/')),
    ))
}
