//! A static program looks up names without the modules of the machine that it is on.
//!
//! The test gives a small static program a machine whose `/etc/nsswitch.conf` names a module that tells
//! when it is loaded. It mounts that file, in a mount namespace that nobody else sees, and fails where
//! that cannot be done.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

/// Looks up a name that `/etc/hosts` has.
const PROGRAM: &str = r#"
use std::net::ToSocketAddrs;
fn main() {
    if std::env::args().nth(1).is_some() {
        names::look_up_without_modules();
    }
    println!("localhost: {}", ("localhost", 80).to_socket_addrs().is_ok());
}
"#;

/// A module that does nothing but say that it was loaded.
const MODULE: &str = r#"
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { (void)!write(1, "loaded\n", 7); }
"#;

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
    output
}

fn build(folder: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let program = format!("#[path = {source:?}]\nmod names;\n{PROGRAM}");
    std::fs::write(folder.join("program.rs"), program).unwrap();
    std::fs::write(folder.join("module.c"), MODULE).unwrap();
    std::fs::write(folder.join("nsswitch.conf"), "hosts: trap files\n").unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "-Ctarget-feature=+crt-static"]);
    done(rustc.arg("program.rs").current_dir(folder));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o", "libnss_trap.so.2", "module.c"]);
    done(cc.current_dir(folder));
}

/// What the program says on a machine with that module.
fn said(folder: &Path, argument: &str) -> String {
    let text = format!(
        "mount --bind nsswitch.conf /etc/nsswitch.conf && LD_LIBRARY_PATH=. ./program {argument}"
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", &text]);
    let output = done(unshare.current_dir(folder));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_static_program_loads_no_module_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let usual = said(folder.path(), "");
    assert_eq!(usual, "loaded\nlocalhost: true\n", "the trap works");
    let without = said(folder.path(), "without");
    assert_eq!(without, "localhost: true\n");
}
