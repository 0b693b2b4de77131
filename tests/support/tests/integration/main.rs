//! The fakes against the real clients and the written contracts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract_document;
mod demo_repository;
mod flux_lens_contract;
mod flux_lens_webhooks;
mod pi;
mod scripted_model_failures;
mod scripted_model_genai;
mod scripted_model_pi;
mod tools;
mod webhook_receiver;
