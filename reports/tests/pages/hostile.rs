//! Files that are broken, enormous or malicious.

use crate::{invented, options, page_of, valid};
use reports::{Collector, Limits};
use serde_json::{Value, json};

fn fault_of(files: &[&str], mixed: bool) -> (&'static str, String) {
    let mut collector = Collector::default();
    for text in files {
        if let Err(fault) = collector.add("r.jsonl", text.as_bytes(), &Limits::default()) {
            return (fault.code, fault.message);
        }
    }
    let fault = collector.finish(mixed).and_then(|results| reports::page(&results, &options())).unwrap_err();
    (fault.code, fault.message)
}

fn line(change: impl FnOnce(&mut Value)) -> String {
    let mut line = invented::arm("dlc", "mlp", "infer", 1, 1, 1e-3, &mut invented::Draw::new());
    change(&mut line);
    format!("{line}\n")
}

#[test]
fn faults_have_their_place() {
    let good = line(|_| {});
    let broken = format!("{good}\n{{\"kind\": \"arm\", \"arm\": \"dlc\",, }}\n");
    let cases: &[(String, &str, &str)] = &[
        (broken, "E1021", "`r.jsonl`, line 3, column 30: key must be a string"),
        ("{\"kind\": \"floor\", \"spread\": NaN}".into(), "E1021", "line 1, column 29: expected value"),
        ("{\"kind\": \"floor\", \"spread\": 1e999}".into(), "E1021", "number out of range"),
        ("{\"kind\": \"arm\", \"batch\": -1}".into(), "E1021", "line 1, column 27"),
        ("{\"arm\": \"dlc\"}".into(), "E1021", "missing field `kind`"),
        ("[1, 2]".into(), "E1021", "line 1"),
        ("{\"kind\": \"arm\"}".into(), "E1021", "missing field `arm`"),
        (format!("{{\"kind\": {}", "[".repeat(100_000)), "E1021", "line 1"),
        (
            format!(
                "{{\"kind\": \"facts\", \"arm\": \"a\", \"x\": {}1{}}}",
                "[".repeat(500),
                "]".repeat(500)
            ),
            "E1021",
            "recursion",
        ),
        (
            line(|line| line["median_s"] = json!(0.0)),
            "E1022",
            "`median_s` is 0e0, which is no time in seconds",
        ),
        (line(|line| line["median_s"] = json!(1e300)), "E1022", "no time in seconds"),
        (line(|line| line["median_s"] = json!(null)), "E1022", "has a `median_s`"),
        (line(|line| line["ci95_s"] = json!([2e-3, 3e-3])), "E1022", "outside of its interval"),
        (line(|line| line["samples_s"] = json!([-1.0])), "E1022", "`samples_s` holds -1e0"),
        (line(|line| line["warm_up_s"] = json!([5e-324])), "E1022", "`warm_up_s`"),
        (
            line(|line| line["peak_bytes"] = json!(1e30)),
            "E1022",
            "`peak_bytes` is 1e30, which no machine has",
        ),
        (line(|line| line["model"] = json!("m".repeat(101))), "E1022", "`model` is a name"),
        (
            "{\"kind\": \"curve\", \"arm\": \"a\", \"model\": \"m\", \"seconds\": [1], \"loss\": []}".into(),
            "E1022",
            "differ in length",
        ),
        (line(|line| line["why"] = json!("y".repeat(5000))), "E1023", "`why` is longer than 4000 bytes"),
        (line(|line| line["samples_s"] = json!(vec![1e-3; 10_001])), "E1023", "more than 10000 items"),
        ("\n".repeat(1_000_000), "E1023", "line 100001: the file has more than 100000 lines"),
        ("x".repeat(2 << 20), "E1023", "line 1: the line is longer"),
        (String::new(), "E1025", "nothing to report"),
        ("{\"kind\": \"later\"}\n".into(), "E1025", "nothing to report"),
    ];
    for (text, code, message) in cases {
        let (found, words) = fault_of(&[text], false);
        assert!(
            found == *code && words.contains(message),
            "{found} {words}\n{}",
            &text[..text.len().min(200)]
        );
    }
    let (code, words) = fault_of(&["{\"kind\": \"arm\", \u{1}"], false);
    assert!(code == "E1021" && words.contains("column 17"), "{words}");
    let mut collector = Collector::default();
    let fault = collector.add("r.jsonl", &b"{\"kind\": \"\xff\"}"[..], &Limits::default()).unwrap_err();
    assert!(
        fault.code == "E1021" && fault.message.contains("column 11: the text is not UTF-8"),
        "{}",
        fault.message
    );
}

/// Fails at the second read.
struct Torn(bool);

impl std::io::Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(std::io::Error::other("the disk is gone"));
        }
        buffer[0] = b'{';
        Ok(1)
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let fault = Collector::default().add("r.jsonl", Torn(false), &Limits::default()).unwrap_err();
    assert_eq!((fault.code, fault.message.as_str()), ("E1020", "cannot read `r.jsonl`: the disk is gone"));
}

#[test]
fn machines_are_not_mixed_unless_asked_to() {
    let other = line(|line| {
        line["machine"] = json!("other");
        line["arm"] = json!("pytorch");
        line["median_s"] = json!(2e-3);
        line["ci95_s"] = json!(null);
    });
    let ours = line(|_| {});
    let (code, words) = fault_of(&[&ours, &other], false);
    assert_eq!((code, words.as_str()), ("E1024", "the files come from 2 machines: invented, other"));
    // An environment is enough to tell: its lines need not repeat it.
    let environment = format!("{}\n", invented::environment("third"));
    let implied = format!("{environment}{}", line(|line| line["machine"] = json!(null)));
    assert_eq!(fault_of(&[&ours, &implied], false).0, "E1024");
    let mut collector = Collector::default();
    for text in [&ours, &other] {
        collector.add("r.jsonl", text.as_bytes(), &Limits::default()).unwrap();
    }
    let page = reports::page(&collector.finish(true).unwrap(), &options()).unwrap();
    valid::check(&page);
    assert!(page.contains("class=\"warning\"") && page.contains("2 machines (invented, other)"));
    assert!(!page.contains("id=\"summary\""), "no ratio across machines");
}

#[test]
fn texts_cannot_leave_their_place() {
    let nasty = "</script></style></title><script>alert(1)</script>\" onload=\"x\u{202e}\u{0} https://example.org 'q'";
    let text = format!(
        "{}{}{}{}",
        line(|line| line["machine"] = json!("m")),
        line(|line| {
            line["machine"] = json!("m");
            line["arm"] = json!(&nasty[..60]);
            line["version"] = json!(nasty);
            line["command"] = json!(nasty);
            line["dtype_seen"] = json!(nasty);
        }),
        line(|line| {
            line["machine"] = json!("m");
            line["arm"] = json!("tvm");
            line["status"] = json!("missing");
            line["why"] = json!(nasty);
            line["install"] = json!(nasty);
        }),
        json!({"kind": "environment", "machine": "m", "cpu": nasty, "versions": {nasty: nasty}, "deep": [[[{nasty: [nasty]}]]]})
    );
    let page = page_of(&text);
    valid::check(&page);
    assert!(
        page.contains("&lt;/script&gt;")
            && page.contains("&#104;ttps://example.org")
            && !page.contains('\u{202e}')
    );
}

#[test]
fn odd_but_possible_values_still_give_a_page() {
    let changes: [fn(&mut Value); 9] = [
        |line| line["samples_s"] = json!([]),
        |line| line["samples_s"] = json!([1e-12, 1e9]),
        |line| line["samples_s"] = json!(vec![1e-3; 60]),
        |line| line["warm_up_s"] = json!([1.0]),
        |line| line["threads"] = json!(null),
        |line| line["batch"] = json!(u64::MAX),
        |line| line["sizes"] = json!({"": 0.0, "seq": -1.5}),
        |line| line["first_s"] = json!(0.0),
        |line| line["import_s"] = json!(1e8),
    ];
    for change in changes {
        let text = format!(
            "{}{}",
            line(change),
            line(|line| {
                change(line);
                line["arm"] = json!("x".repeat(100));
            })
        );
        valid::check(&page_of(&text));
    }
    // Alone, each kind of line makes a page of its own.
    let lines = invented::whole();
    for kind in ["curve", "kernel", "compiler", "arm"] {
        let of_kind: Vec<&str> =
            lines.lines().filter(|line| line.contains(&format!("\"kind\":\"{kind}\""))).collect();
        valid::check(&page_of(&of_kind[..of_kind.len().min(40)].join("\n")));
    }
}

#[test]
fn a_page_that_would_be_too_large_is_refused() {
    let rows = |count: u64| {
        let mut draw = invented::Draw::new();
        let mut line = |number: u64| {
            let model = format!("model{}", number / 20);
            invented::arm("dlc", &model, "infer", number % 20, 1, 1e-3, &mut draw)
        };
        invented::text(&(0..count).map(&mut line).collect::<Vec<_>>())
    };
    let (code, words) = fault_of(&[&rows(5001)], false);
    assert_eq!((code, words.as_str()), ("E1026", "the files have 5001 rows, and a page at most 5000"));
    // A thousand models, two conditions each.
    let lines: Vec<Value> = (0..4000)
        .map(|number| {
            let model = format!("model{}", number / 4);
            invented::arm("dlc", &model, "infer", number % 4, 1, 1e-3, &mut invented::Draw::new())
        })
        .collect();
    let (code, words) = fault_of(&[&invented::text(&lines)], false);
    assert!(code == "E1026" && words.contains("more than 3 MB"), "{words}");
}

#[test]
fn more_than_the_page_has_room_for_is_left_out_with_a_word() {
    let mut draw = invented::Draw::new();
    let mut lines = Vec::new();
    for batch in 0..180 {
        for (name, slower) in invented::ARMS {
            lines.push(invented::arm(name, "mlp", "infer", batch, 1, 1e-3 * slower, &mut draw));
        }
    }
    let page = page_of(&invented::text(&lines));
    valid::check(&page);
    assert!(page.len() < 3_000_000 && page.contains("174 further columns of the table without a chart"));
}
