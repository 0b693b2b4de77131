//! Whole tickets through a whole Sallyport: `sallyport dev` as a user starts it, the real Pi in the real room, real
//! git, and a scripted model behind the vendors' real protocols.

mod attack;
mod audit;
mod bad_input;
mod chaos;
mod crashes;
mod dependencies;
mod fixture;
mod full_story;
mod happy_path;
mod hosts;
mod leaks;
mod plan;
mod planners;
mod questions;
mod restore;
mod scope;
mod webhooks;
