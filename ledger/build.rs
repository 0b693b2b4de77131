//! Rebuilds this crate when a migration is added: `sqlx::migrate!` alone sees only changes of the files it knows.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
