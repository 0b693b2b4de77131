//! What can go wrong with object storage, in words that say what to do.

use std::{error::Error as StdError, io, path::PathBuf};

use object_store::client::{HttpError, HttpErrorKind};

use super::MAXIMUM_OBJECT_BYTES;
use crate::secret::SecretError;

/// The codes by which S3 refuses whoever asks.
const REFUSALS: [&str; 8] = [
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Why an object could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The section `[objects]` does not say where the storage is, or says it twice.
    #[error(
        "`objects.path` and `objects.s3` are {0}; set one of them: a local folder, or a bucket"
    )]
    Section(&'static str),
    /// A key of the section is wrong.
    #[error("`{key}` is wrong: {reason}")]
    Key {
        /// Which.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A key of the storage cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The folder cannot be used.
    #[error("cannot use {path} as object storage: {source}; check `objects.path`", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers at the storage's address.
    #[error(
        "object storage failed to {action}: {place} cannot be reached: {reason}; check `objects.s3.endpoint` and the network"
    )]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// Bucket and endpoint.
        place: String,
        /// Why.
        reason: String,
    },
    /// The bucket is not there.
    #[error(
        "object storage failed to {action}: there is no {place}; make the bucket, or correct `objects.s3.bucket`"
    )]
    NoBucket {
        /// What was tried.
        action: &'static str,
        /// Bucket and endpoint.
        place: String,
    },
    /// The storage does not let us.
    #[error(
        "object storage failed to {action}: {place} refuses it ({reason}); check `objects.s3.access_key_id`, \
         `objects.s3.secret_access_key` and `objects.s3.region`, and that this key may list, read, write and delete in \
         the bucket"
    )]
    Refused {
        /// What was tried.
        action: &'static str,
        /// Bucket and endpoint.
        place: String,
        /// The storage's own word for it.
        reason: String,
    },
    /// The storage overwrites where it was asked to write only what is not there.
    #[error(
        "{place} ignores conditional writes (`If-None-Match: *`), so what must never change could be overwritten there; \
         use a storage that has them"
    )]
    Unconditional {
        /// Bucket and endpoint.
        place: String,
    },
    /// There is no such object.
    #[error("there is no object `{0}` in object storage")]
    NotFound(String),
    /// What is stored is not what the reference names.
    #[error("the object `{0}` is not what its reference names: it was changed or damaged")]
    Changed(String),
    /// A document of that name is there with other content; it stays as it is.
    #[error(
        "the document `{0}` is in object storage already, with other content; it is never overwritten"
    )]
    Taken(String),
    /// The reference is none that object storage gave out.
    #[error("`{0}` is no key of an object")]
    BadKey(String),
    /// It is no name that a document may have.
    #[error("`{0}` is no name of a document; write it like seals/0001.json, in lower case")]
    BadName(String),
    /// It is larger than [`MAXIMUM_OBJECT_BYTES`].
    #[error("an object of {0} bytes is too large; at most {MAXIMUM_OBJECT_BYTES} are taken")]
    TooLarge(u64),
    /// It is no text.
    #[error("the object `{0}` is not text in UTF-8")]
    NotText(String),
    /// The storage failed. Trying again may help.
    #[error("object storage failed to {action}: {reason}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        reason: String,
    },
}

impl ObjectError {
    /// Whether it lies with the storage and not with what was asked, so that trying again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Folder { .. }
                | Self::Unreachable { .. }
                | Self::NoBucket { .. }
                | Self::Refused { .. }
                | Self::Secret(_)
                | Self::Storage { .. }
        )
    }

    /// What the storage said, put into our words. An answer of S3 repeats the signed request, so only its code is kept.
    pub(super) fn of(action: &'static str, place: &str, error: &object_store::Error) -> Self {
        let place = place.to_owned();
        let (text, code) = (root_cause(error), code(error));
        match error {
            _ if code.as_deref() == Some("NoSuchBucket") => Self::NoBucket { action, place },
            _ if is_refused(error, code.as_deref()) => Self::Refused {
                action,
                place,
                reason: code.unwrap_or_else(|| "access denied".to_owned()),
            },
            _ if is_unreachable(error) => Self::Unreachable {
                action,
                place,
                reason: text,
            },
            _ => Self::Storage {
                action,
                reason: code.map_or(text, |code| format!("{place} answers {code}")),
            },
        }
    }
}

/// The error and what caused it, outermost first.
fn chain(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&error| {
        error.source()
    })
}

fn root_cause(error: &object_store::Error) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn is_refused(error: &object_store::Error, code: Option<&str>) -> bool {
    // A refused list is no error of its own kind.
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    ) || code.is_some_and(|code| REFUSALS.contains(&code))
}

fn is_unreachable(error: &object_store::Error) -> bool {
    chain(error)
        .filter_map(|error| error.downcast_ref::<HttpError>())
        .any(|error| {
            matches!(
                error.kind(),
                HttpErrorKind::Connect | HttpErrorKind::Timeout
            )
        })
}

/// The code in S3's XML answer.
fn code(error: &object_store::Error) -> Option<String> {
    let text = error.to_string();
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    Some(
        code.chars()
            .filter(char::is_ascii_alphanumeric)
            .take(60)
            .collect(),
    )
}
