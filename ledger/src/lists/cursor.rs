//! Where a page of a list ended, as a word that clients hand back and do not look into.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, Utc};
use uuid::Uuid;

/// The length of what a cursor holds: its list, a time in microseconds, an id.
const BYTES: usize = 1 + 8 + 16;

/// A place in the list `LIST`: that of the row that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<const LIST: u8> {
    /// The row's time, by which the list is ordered.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// What was handed back is none of this list's cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not what `next` of an earlier answer of this list said")]
pub struct CursorError;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<const LIST: u8> {
    /// After so many rows.
    Offset(u32),
    /// After this one.
    After(Cursor<LIST>),
}

impl<const LIST: u8> Default for Position<LIST> {
    fn default() -> Self {
        Self::Offset(0)
    }
}

impl<const LIST: u8> fmt::Display for Cursor<LIST> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![LIST];
        bytes.extend(self.at.timestamp_micros().to_be_bytes());
        bytes.extend(self.id.as_bytes());
        formatter.write_str(&hex::encode(bytes))
    }
}

impl<const LIST: u8> FromStr for Cursor<LIST> {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CursorError)?;
        let (list, at, id) = (bytes[0], &bytes[1..9], &bytes[9..]);
        let at = i64::from_be_bytes(at.try_into().map_err(|_| CursorError)?);
        let at = DateTime::from_timestamp_micros(at)
            // Postgres knows less years than there are.
            .filter(|at| (1970..=9999).contains(&at.year()))
            .ok_or(CursorError)?;
        if list != LIST {
            return Err(CursorError);
        }
        let id = Uuid::from_slice(id).map_err(|_| CursorError)?;
        Ok(Self { at, id })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(micros in 0i64..253_402_300_800_000_000, id: u128) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let cursor = Cursor::<1> { at, id: Uuid::from_u128(id) };
            let text = cursor.to_string();
            prop_assert_eq!(text.parse(), Ok(cursor));
            prop_assert_eq!(text.parse::<Cursor<2>>(), Err(CursorError));
        }

        #[test]
        fn anything_else_is_refused_and_never_a_time_that_postgres_does_not_know(text in "[0-9a-f]{50}|\\PC*") {
            if let Ok(cursor) = text.parse::<Cursor<1>>() {
                prop_assert!((1970..=9999).contains(&cursor.at.year()));
                prop_assert_eq!(cursor.to_string(), text.to_lowercase());
            }
        }
    }
}
