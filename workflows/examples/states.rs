//! Prints the documentation of the states; `cargo xtask generate` writes it to `docs/states.md`.

fn main() {
    print!("{}", sallyport_workflows::state_diagram::markdown());
}
