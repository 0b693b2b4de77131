//! Prints the API's description, for `docs/openapi.json`: `cargo xtask generate` runs it.

fn main() -> anyhow::Result<()> {
    println!(
        "{}",
        sallyport_starter::openapi::description().to_pretty_json()?
    );
    Ok(())
}
