//! `dlc report` as one calls it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Invented, and in one process each.
const LINES: &str = r#"{"kind": "arm", "arm": "dlc", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1, "median_s": 1e-3, "correct": true, "machine": "a"}
{"kind": "arm", "arm": "pytorch", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1, "median_s": 2e-3, "correct": true, "machine": "a"}
"#;

fn report(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).arg("report").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_page_goes_to_a_file_or_to_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("results.jsonl"), LINES).unwrap();
    let output = report(folder.path(), &["results.jsonl", "--title", "Two <lines>"], "");
    assert!(output.status.success() && output.stdout.is_empty());
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<h1>Two &lt;lines&gt;</h1>") && page.contains("2.00×"));
    assert!(page.contains("<code>dlc report results.jsonl -o report.html</code>"), "what makes the page");
    assert!(
        page.contains("--out again.jsonl\ndlc report again.jsonl -o report.html</code>"),
        "what measures anew"
    );
    let output = report(folder.path(), &["-", "-o", "-", "--quiet"], LINES);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8(output.stdout).unwrap().contains("2.00×"));
}

#[test]
fn faults_end_it_without_a_page() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), LINES).unwrap();
    fs::write(folder.path().join("b.jsonl"), LINES.replace("\"a\"", "\"b\"")).unwrap();
    let cases: [(&[&str], &str, &str); 3] = [
        (&["missing.jsonl"], "", "E1020"),
        (&["-"], "{\"kind\": 1}", "E1021"),
        (&["a.jsonl", "b.jsonl"], "", "E1024"),
    ];
    for (arguments, input, code) in cases {
        let output = report(folder.path(), arguments, input);
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(code), "{told}");
        assert!(!folder.path().join("report.html").exists());
    }
    assert!(report(folder.path(), &["a.jsonl", "b.jsonl", "--force"], "").status.success());
}
