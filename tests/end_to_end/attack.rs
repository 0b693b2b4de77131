//! All of `cargo xtask attack`, on every test run.

use std::{path::PathBuf, process::Command};

#[test]
fn every_attack_is_blocked_by_the_layer_that_must_do_so() {
    let program = match std::env::var_os("SALLYPORT_ATTACK") {
        Some(program) => PathBuf::from(program),
        None => sallyport_test_support::installation::sallyport_binary()
            .expect("the binary is built")
            .with_file_name("sallyport-attack"),
    };
    let output = Command::new(&program)
        .output()
        .expect("the attacks are built: `cargo xtask test` does it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
