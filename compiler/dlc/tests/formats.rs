//! `dlc check` in the formats that programs read: the whole text of each, for a slip with a fix and for a warning.

use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const SLIP: &str = "model M(x: f32[batch, 4], n: i32[batch, 2]) -> (y: f32[batch, 2]) {
    h = x |> dens(2)
    y = h
}
";
const CAST: &str = "model M(x: f32[batch, 2], n: i32[batch, 2]) -> (y: f32[batch, 2]) { y = x * n }\n";
const WARNED: &str = "model M(x: f32[batch, 4]) -> (y: f32[batch, 2]) {
    spare = 2 * x
    y = x |> dense(2)
}
";

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).arg("check").args(arguments).env("NO_COLOR", "1");
    command.env("XDG_CACHE_HOME", folder.join("cache")).output().expect("dlc starts")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("slip, 1.model", SLIP), ("cast.model", CAST), ("warned.model", WARNED)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn short_is_a_line_a_fault() {
    let folder = folder();
    let output = check(folder.path(), &["slip, 1.model", "warned.model", "--format", "short"]);
    let expected = "slip, 1.model:2:14: error[E0201]: `dens` is not known
warned.model:2:5: warning[W0202]: `spare` is never used
";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn github_escapes_what_its_commands_are_made_of() {
    let folder = folder();
    let output = check(folder.path(), &["slip, 1.model", "warned.model", "--format", "github"]);
    let expected = "::error file=slip%2C 1.model,line=2,endLine=2,col=14,endColumn=18,title=E0201::`dens` is not known%0AHelp: did you mean `dense`?
::warning file=warned.model,line=2,endLine=2,col=5,endColumn=10,title=W0202::`spare` is never used%0AHelp: use it, or remove it; if that is meant, call it `_spare`
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn json_tells_the_change_that_mends_a_slip() {
    let folder = folder();
    let found = json_of(&check(folder.path(), &["slip, 1.model", "cast.model", "--format", "json"]));
    let place = |file: &str, line: usize, column: usize, end: usize| json!({ "file": file, "line": line, "column": column, "end_line": line, "end_column": end });
    let slip = "slip, 1.model";
    assert_eq!(
        found[0],
        json!({
            "code": "E0201", "severity": "error", "message": "`dens` is not known",
            "place": place(slip, 2, 14, 18),
            "labels": [{ "place": place(slip, 2, 14, 18), "text": "not found" }],
            "notes": [], "help": "did you mean `dense`?",
            "fix": [{ "place": place(slip, 2, 14, 18), "text": "dense" }],
        })
    );
    let edits = json!([
        { "place": place("cast.model", 1, 77, 77), "text": "cast(" },
        { "place": place("cast.model", 1, 78, 78), "text": ", f32)" },
    ]);
    assert_eq!((&found[1]["code"], &found[1]["fix"]), (&json!("E0302"), &edits));
}

#[test]
fn sarif_has_rules_related_places_and_fixes() {
    let folder = folder();
    let log = json_of(&check(folder.path(), &["slip, 1.model", "warned.model", "--format", "sarif"]));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.iter().map(|rule| rule["id"].clone()).collect::<Vec<_>>(), ["E0201", "W0202"]);
    for (result, (code, index, level)) in run["results"]
        .as_array()
        .expect("results")
        .iter()
        .zip([("E0201", 0, "error"), ("W0202", 1, "warning")])
    {
        assert_eq!(
            (&result["ruleId"], &result["ruleIndex"], &result["level"]),
            (&json!(code), &json!(index), &json!(level))
        );
    }
    let slip = &run["results"][0];
    let region = json!({ "startLine": 2, "startColumn": 14, "endLine": 2, "endColumn": 18 });
    let place = json!({ "artifactLocation": { "uri": "slip,%201.model" }, "region": region });
    assert_eq!(slip["locations"], json!([{ "physicalLocation": place }]));
    assert_eq!(
        slip["relatedLocations"],
        json!([{ "id": 0, "physicalLocation": place, "message": { "text": "not found" } }])
    );
    let change = json!({
        "artifactLocation": { "uri": "slip,%201.model" },
        "replacements": [{ "deletedRegion": region, "insertedContent": { "text": "dense" } }],
    });
    assert_eq!(
        slip["fixes"],
        json!([{ "description": { "text": "did you mean `dense`?" }, "artifactChanges": [change] }])
    );
}

#[test]
fn warnings_fail_where_they_are_denied() {
    let folder = folder();
    for (arguments, status) in [
        (&["warned.model"][..], 0),
        (&["warned.model", "--deny-warnings"], 1),
        (&["warned.model", "--deny-warnings", "--format", "json"], 1),
        (&["cast.model", "--deny-warnings"], 1),
    ] {
        assert_eq!(check(folder.path(), arguments).status.code(), Some(status), "{arguments:?}");
    }
}
