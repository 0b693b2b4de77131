//! JavaScript and TypeScript, by the scripts of a `package.json`.

use serde_json::{Map, Value};

use super::{Proposal, Root};
use crate::mirror::MirrorError;

/// What npm puts there when nobody has written tests.
const NO_TEST: &str = "no test specified";

/// The scripts that are looked for, by what they are for; of several names the first that is there. Only these names ever
/// become part of a command.
const OPTIONAL: [(&str, &[&str]); 3] = [
    ("lint", &["lint"]),
    (
        "type check",
        &["typecheck", "type-check", "check-types", "tsc"],
    ),
    ("build", &["build"]),
];

pub(super) async fn gates(root: &mut Root<'_>) -> Result<Vec<Proposal>, MirrorError> {
    let Some(text) = root.text("package.json").await? else {
        return Ok(Vec::new());
    };
    let Ok(package) = serde_json::from_str::<Map<String, Value>>(&text) else {
        root.note("package.json is malformed");
        return Ok(Vec::new());
    };
    let manager = manager(root, package.get("packageManager"));
    let script = |name: &str| -> Option<&str> {
        let script = package.get("scripts")?.get(name)?.as_str()?;
        (!script.trim().is_empty()).then_some(script)
    };
    let mut gates = Vec::new();
    for (purpose, names) in OPTIONAL {
        if let Some(name) = names.iter().find(|name| script(name).is_some()) {
            gates.push(Proposal::optional(
                format!("{manager} {purpose}"),
                format!("{manager} run {name}"),
            ));
        }
    }
    match script("test") {
        // CI: many test runners otherwise wait for files to change.
        Some(test) if !test.contains(NO_TEST) => gates.push(Proposal::required(
            format!("{manager} tests"),
            format!("CI=true {manager} run test"),
        )),
        _ => root.note("package.json has no script `test`"),
    }
    Ok(gates)
}

/// Who runs the scripts: whoever `packageManager` names, as `pnpm@9.1.0`, or else whose lock file is there.
fn manager(root: &Root<'_>, named: Option<&Value>) -> &'static str {
    let named = named.and_then(Value::as_str).unwrap_or_default();
    let name = named.split('@').next().unwrap_or_default();
    for manager in ["npm", "pnpm", "yarn"] {
        if name == manager {
            return manager;
        }
    }
    for (lock, manager) in [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")] {
        if root.has(lock) {
            return manager;
        }
    }
    "npm"
}
