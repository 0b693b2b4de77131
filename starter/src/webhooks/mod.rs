//! Webhooks: whatever comes in here is checked, written down, and only then acknowledged.

pub mod address;
pub mod body;
pub mod flux_lens;
pub mod limits;
pub mod signature;
