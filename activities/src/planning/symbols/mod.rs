//! Which functions, types and other symbols files define, and which names they use.
//!
//! The grammars are C code and the files may be hostile, so no file is parsed in the worker: a child process that can do
//! nothing but compute does it.
//!
//! | to find | look in |
//! | --- | --- |
//! | which languages are known | `languages` |
//! | one file's symbols | `extract` |
//! | the process that parses | [`child`] |
//! | how it is asked | [`reader`] |
//! | which symbols matter to a ticket | [`rank`] |

pub mod child;
mod extract;
mod languages;
pub mod rank;
pub mod reader;

use serde::{Deserialize, Serialize};

pub use languages::is_known;

/// What one file defines and uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSymbols {
    /// What it defines, from its beginning to its end.
    pub definitions: Vec<Definition>,
    /// The names that it uses and does not define, each with how often; sorted by name.
    pub references: Vec<(String, u32)>,
}

/// One symbol's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The line that it stands in, from 1.
    pub line: u32,
    /// That line without white space at its ends, shortened.
    pub text: String,
}
