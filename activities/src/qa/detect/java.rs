//! Java and its neighbours, by Maven or Gradle.

use super::{Proposal, Root};
use crate::mirror::MirrorError;

const GRADLE_FILES: [&str; 4] = [
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
];

pub(super) async fn gates(root: &mut Root<'_>) -> Result<Vec<Proposal>, MirrorError> {
    let mut gates = Vec::new();
    if let Some(text) = root.text("pom.xml").await? {
        if text.contains("<project") {
            let program = program(root, "mvn", "mvnw");
            let command = format!("{program} --offline --batch-mode test");
            gates.push(Proposal::required("Maven tests", command));
        } else {
            root.note("pom.xml is malformed");
        }
    }
    if GRADLE_FILES.iter().any(|file| root.has(file)) {
        let program = program(root, "gradle", "gradlew");
        let command = format!("{program} --offline --no-daemon --console=plain test");
        gates.push(Proposal::required("Gradle tests", command));
    }
    Ok(gates)
}

/// The repository's own wrapper, or else the program.
fn program(root: &Root<'_>, program: &str, wrapper: &str) -> String {
    match (root.has(wrapper), root.is_executable(wrapper)) {
        (_, true) => format!("./{wrapper}"),
        (true, false) => format!("sh ./{wrapper}"),
        (false, false) => program.to_owned(),
    }
}
