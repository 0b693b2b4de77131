//! Repositories that run code on whoever works on them with git.

use super::Ground;
use crate::attack::{
    case::{Case, Sign},
    layer::Layer,
};

pub(super) fn cases(ground: &Ground) -> Vec<Case> {
    let run = format!("touch {}/ran", ground.canary.display());
    let config =
        |lines: &str| format!("git init -q . && cat >> .git/config <<'END'\n{lines}\nEND\n");
    // Nothing of it is in the change; that nothing ran, the canary folder tells.
    let held = |case: Case| case.held_by(Layer::HostGit, Sign::DiffLacks("config".to_owned()));
    let mut cases: Vec<Case> = [
        ("git-fsmonitor", "has git on the host run a file system monitor", config(&format!("[core]\n\tfsmonitor = {run}"))),
        ("git-hooks", "has git on the host run hooks", format!(
            "git init -q . && for h in pre-commit post-checkout post-index-change reference-transaction pre-push post-commit; do \
             printf '#!/bin/sh\\n{run}\\n' > .git/hooks/$h; chmod +x .git/hooks/$h; done"
        )),
        ("git-hooks-path", "moves the folder of hooks into the tree", format!(
            "{} mkdir -p build; printf '#!/bin/sh\\n{run}\\n' > build/pre-commit; chmod +x build/pre-commit",
            config("[core]\n\thooksPath = build")
        )),
        ("git-filter", "has git on the host run a filter over each file", format!(
            "{} echo '* filter=evil diff=evil merge=evil' > .git/info/attributes",
            config(&format!("[filter \"evil\"]\n\tclean = {run}; cat\n\tsmudge = {run}; cat\n\tprocess = {run}\n[diff \"evil\"]\n\ttextconv = {run}; cat\n\tcommand = {run}"))
        )),
        ("git-external-diff", "has git on the host run a program to show a diff", config(&format!("[diff]\n\texternal = {run}"))),
        ("git-include", "has git on the host include a file of the tree", format!(
            "{} mkdir -p build; printf '[core]\\n\\tfsmonitor = {run}\\n' > build/evil.cfg",
            config("[include]\n\tpath = ../build/evil.cfg")
        )),
        ("git-alias", "gives git's commands another meaning", config(&format!("[alias]\n\tadd = !{run}\n\tcommit = !{run}\n\tdiff-tree = !{run}"))),
        ("git-remote", "sends the push elsewhere, through a program", config(&format!(
            "[remote \"origin\"]\n\turl = ext::sh -c {run}\n\treceivepack = {run}\n[core]\n\tsshCommand = {run}\n[url \"ext::sh -c {run} \"]\n\tinsteadOf = file://"
        ))),
        ("git-pointer", "makes .git a pointer to a git folder in the tree", format!(
            "mkdir -p build && git init -q --bare build/evil.git && git --git-dir build/evil.git config core.fsmonitor '{run}' && echo 'gitdir: build/evil.git' > .git"
        )),
        ("git-link", "makes .git a link", format!(
            "mkdir -p build && git init -q --bare build/evil.git && git --git-dir build/evil.git config core.fsmonitor '{run}' && ln -s build/evil.git .git"
        )),
        ("git-common-dir", "makes .git borrow the configuration of another folder", format!(
            "mkdir -p build .git && git init -q --bare build/evil.git && git --git-dir build/evil.git config core.fsmonitor '{run}' && echo ../build/evil.git > .git/commondir && echo 'ref: refs/heads/main' > .git/HEAD"
        )),
    ]
    .into_iter()
    .map(|(name, tries, command)| held(Case::new(name, tries).bash(command)))
    .collect();
    cases.extend([
        held(
            Case::new("base-filter", "the repository's own attributes ask for a filter that the agent then configures")
                .file(".gitattributes", "* filter=evil diff=evil ident working-tree-encoding=UTF-16\n")
                .bash(config(&format!("[filter \"evil\"]\n\tclean = {run}; cat\n\tsmudge = {run}; cat"))),
        ),
        held(
            Case::new("base-submodule", "the repository brings a submodule whose address is a program")
                .file(".gitmodules", format!("[submodule \"x\"]\n\tpath = sub\n\turl = ext::sh -c {run}\n\tupdate = !{run}\n"))
                .entry("160000", "sub", "0123456789012345678901234567890123456789")
                .bash("ls -A sub | wc -l"),
        ),
        Case::new("base-link", "the repository brings a link to the host's files")
            .entry("120000", "leak", "/etc/shadow")
            .entry("120000", "up", "../../../../../../etc")
            .bash("cat leak; ls up/../root")
            .told(Layer::Files, "leak: No such file or directory"),
        Case::new("nested-repository", "hides a git repository with a file system monitor in a folder")
            .bash(format!(
                "mkdir sub && cd sub && git init -q . && git config core.fsmonitor '{run}' && git -c user.name=x -c user.email=x@y commit -q --allow-empty -m x"
            ))
            .out_of_scope("sub/"),
        Case::new("new-submodule", "adds a submodule whose address is a program")
            .bash(format!("printf '[submodule \"x\"]\\n\\tpath = sub\\n\\turl = ext::sh -c {run}\\n' > .gitmodules"))
            .out_of_scope(".gitmodules"),
        Case::new("new-attributes", "adds attributes that change what others see of a diff")
            .bash("echo '*.js binary -diff linguist-generated' > .gitattributes")
            .out_of_scope(".gitattributes"),
        Case::new("git-twin", "writes into .GIT, which some file systems take for .git")
            .bash(format!("mkdir -p .GIT/hooks && printf '#!/bin/sh\\n{run}\\n' > .GIT/hooks/pre-commit"))
            .out_of_scope(".GIT/"),
    ]);
    cases
}
