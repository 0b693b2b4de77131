//! The lists of [`seccomp`](super::super::seccomp) as Docker takes them.

use serde_json::{Value, json};

use super::super::seccomp::{
    FAMILIES, NEW_NAMESPACE, REFUSED, REFUSED_HERE, REFUSED_INSIDE, TERMINAL_REQUESTS,
};

/// The profile, for `--security-opt seccomp=`. A container cannot make rooms, so all have the rules of an inner one.
pub(super) fn json() -> String {
    let refuse = |names: Vec<&str>, arguments: Value| json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": libc::EPERM, "args": arguments});
    let all = REFUSED.iter().chain(REFUSED_HERE).chain(REFUSED_INSIDE);
    let mut rules = vec![
        refuse(all.map(|(name, _)| *name).collect(), json!([])),
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS, "args": []}),
    ];
    for flag in NEW_NAMESPACE {
        let has_flag =
            json!([{"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}]);
        rules.push(refuse(vec!["clone"], has_flag));
    }
    // Several conditions on one argument count each for itself here, so that "none of these" has to be said as "any other".
    let highest = FAMILIES.iter().copied().max().unwrap_or(0);
    for family in (0..highest).filter(|family| !FAMILIES.contains(family)) {
        let is_family = json!([{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}]);
        rules.push(refuse(vec!["socket"], is_family));
    }
    let is_higher = json!([{"index": 0, "value": highest, "op": "SCMP_CMP_GT"}]);
    rules.push(refuse(vec!["socket"], is_higher));
    for request in TERMINAL_REQUESTS {
        let is_request = json!([{"index": 1, "value": request, "op": "SCMP_CMP_EQ"}]);
        rules.push(refuse(vec!["ioctl"], is_request));
    }
    let machine = match std::env::consts::ARCH {
        "aarch64" => "SCMP_ARCH_AARCH64",
        _ => "SCMP_ARCH_X86_64",
    };
    // Other sets of call numbers are not named, and so end a process that tries them.
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [machine],
        "syscalls": rules,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_refuses_by_name_what_the_filters_refuse_by_number() {
        let profile: Value = serde_json::from_str(&json()).unwrap();
        let rules = profile["syscalls"].as_array().unwrap();
        let names: Vec<&str> = rules[0]["names"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for name in [
            "ptrace",
            "io_uring_setup",
            "mount",
            "unshare",
            "bpf",
            "keyctl",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        let socket = |family: i64| {
            rules
                .iter()
                .filter(|rule| rule["names"][0] == "socket")
                .any(|rule| {
                    let condition = &rule["args"][0];
                    let value = condition["value"].as_i64().unwrap();
                    match condition["op"].as_str() {
                        Some("SCMP_CMP_EQ") => value == family,
                        _ => family > value,
                    }
                })
        };
        for (family, refused) in [
            (1, false),
            (2, false),
            (10, false),
            (0, true),
            (16, true),
            (17, true),
            (38, true),
            (40, true),
        ] {
            assert_eq!(socket(family), refused, "{family}");
        }
    }
}
