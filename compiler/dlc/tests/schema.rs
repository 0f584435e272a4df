//! Machine output is as the committed schemas say.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// The part of JSON Schema that the schemas here use.
fn faults(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(options) = schema["oneOf"].as_array() {
        let fits = options.iter().any(|option| faults(option, value, place).is_empty());
        return if fits { Vec::new() } else { vec![format!("{place}: fits no alternative")] };
    }
    if let Some(options) = schema["enum"].as_array() {
        return if options.contains(value) {
            Vec::new()
        } else {
            vec![format!("{place}: {value} is not allowed")]
        };
    }
    let of_type = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{place}: the schema names the type {other}"),
    };
    let fits = match &schema["type"] {
        Value::String(name) => of_type(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(of_type),
        other => panic!("{place}: the schema states {other} as type"),
    };
    if !fits {
        return vec![format!("{place}: {value} is not {}", schema["type"])];
    }
    let mut found = Vec::new();
    if let (Some(items), false) = (value.as_array(), schema["items"].is_null()) {
        for (index, item) in items.iter().enumerate() {
            found.extend(faults(&schema["items"], item, &format!("{place}[{index}]")));
        }
    }
    if let Some(object) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(required.as_str().expect("a name")) {
                found.push(format!("{place}: lacks {required}"));
            }
        }
        for (key, inner) in object {
            let place = format!("{place}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => found.push(format!("{place}: is not in the schema")),
                (Value::Null, rest) => found.extend(faults(rest, inner, &place)),
                (known, _) => found.extend(faults(known, inner, &place)),
            }
        }
    }
    found
}

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.json"));
    serde_json::from_str(&fs::read_to_string(&path).expect("a schema")).expect("JSON")
}

#[test]
fn outputs_fit_their_schemas() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let digits = models.join("digits.model").display().to_string();
    let broken = models.join("demo/broken.model").display().to_string();
    let dlc = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
        command.current_dir(folder.path()).args(arguments).env("XDG_CACHE_HOME", folder.path());
        command.output().expect("dlc starts").stdout
    };
    dlc(&["train", &digits, "--set", "train.steps=2"]);
    // A fault with a fix, and a warning with labels on both sides.
    let slip = "model M(x: f32[batch, 4]) -> (y: f32[batch, 2]) { y = x |> dens(2) }\n";
    let warned = "model M(x: f32[batch, 4], t: f32[batch]) -> (y: f32) {\n    p = x |> dense(1)\n    y = sum(p - t)\n}\n";
    fs::write(folder.path().join("slip.model"), slip).expect("a file");
    fs::write(folder.path().join("warned.model"), warned).expect("a file");
    let table: &[(&str, &[&str])] = &[
        ("check", &["check", &broken, "--format", "json"]),
        ("check", &["check", "slip.model", "warned.model", "--format", "json"]),
        ("sarif", &["check", &broken, "slip.model", "warned.model", "--format", "sarif"]),
        ("inspect", &["inspect", &digits, "--format", "json"]),
        ("inspect", &["inspect", &digits, "--format", "json", "--kernels", "--bind", "batch=8"]),
        ("eval", &["eval", &digits, "--format", "json"]),
        ("doctor", &["doctor", "--format", "json"]),
    ];
    for (name, arguments) in table {
        let value: Value = serde_json::from_slice(&dlc(arguments)).expect("JSON");
        let found = faults(&schema(name), &value, name);
        assert!(found.is_empty(), "{}\n{value:#}", found.join("\n"));
        let empty = if value.is_array() { Value::from(vec![Value::Null]) } else { serde_json::json!({}) };
        assert!(!faults(&schema(name), &empty, name).is_empty(), "the schema of {name} refuses something");
    }
}
