//! Whole tickets while processes are killed and connections cut, at the boundaries of activities, by a seed.
//!
//! | to find | look in |
//! | --- | --- |
//! | what a seed does, and nothing else | [`plan`] |
//! | how a boundary is noticed | [`boundaries`] |
//! | one ticket's life under a plan | [`trial`] |
//! | what must have happened exactly once | [`evidence`] |

pub mod boundaries;
pub mod evidence;
pub mod plan;
pub mod trial;
