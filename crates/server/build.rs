//! Tells the program what it was built from, for `balcony --version` and `xmpp_build_info`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BALCONY_COMMIT");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    println!(
        "cargo::rustc-env=BALCONY_RUSTC={}",
        first_line(Command::new(rustc).arg("--version"))
    );
    println!("cargo::rustc-env=BALCONY_COMMIT={}", commit());
}

/// The commit given by who packages, else that of the working copy. Only releases look at the working copy: a development
/// build would be made anew after each commit.
fn commit() -> String {
    if let Ok(commit) = std::env::var("BALCONY_COMMIT") {
        return commit;
    }
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return "development".to_owned();
    }
    println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
    first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        "unknown".to_owned()
    } else {
        line.to_owned()
    }
}
