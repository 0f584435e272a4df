//! The report page: well formed, self-contained, complete, the same bytes each time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use train::{Line, report};

fn lines() -> Vec<Line> {
    let line = |step: u64, split: &str, loss: f64, lr| Line {
        step,
        epoch: step / 10 + 1,
        split: split.into(),
        loss,
        metrics: if split == "train" { Vec::new() } else { vec![("a<b>&\"c\"".into(), loss / 2.0)] },
        lr,
        seconds: step as f64,
    };
    let mut lines: Vec<Line> =
        (1..3000).map(|step| line(step, "train", 1.0 / step as f64, Some(1e-3))).collect();
    lines.extend([
        line(10, "val", 0.25, None),
        line(20, "val", f64::NAN, None),
        line(30, "val", 0.125, None),
    ]);
    lines
}

/// Every element is closed, in order; every attribute is quoted.
fn check_well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(
            !text.contains('>') || open.last().is_some_and(|name| name == "style"),
            "stray `>` in {text:?}"
        );
        let mut quoted = false;
        let end = rest[start..].find(|character| {
            quoted ^= character == '"';
            character == '>' && !quoted
        });
        let tag = &rest[start + 1..start + end.unwrap()];
        rest = &rest[start + end.unwrap() + 1..];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap().to_string();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed));
        } else if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new());
}

#[test]
fn a_page_is_well_formed_and_self_contained() {
    let page = report("Line <1>", &lines(), "{\"text\": \"</pre><script>\"}").unwrap();
    check_well_formed(&page);
    assert!(!page.contains("<script") && !page.contains("<b>"), "unescaped text");
    assert!(page.contains("Training of Line &lt;1&gt;"));
    // Namespaces are names, nothing else may look like an address.
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("url("));
    // Loss, the metric, the learning rate.
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("role=\"img\" aria-label=").count(), 3);
    assert!(page.contains("loss by step: train from 1 to"), "no text alternative");
    assert!(!page.contains("#000000"), "black would vanish on a dark page");
    assert!(page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("<td>0.125</td>") && page.contains("<td>NaN</td>"));
    assert_eq!(page, report("Line <1>", &lines(), "{\"text\": \"</pre><script>\"}").unwrap());
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn the_best_is_marked_as_the_run_wants_it() {
    let line = |step: u64, loss: f64, auc: f64| Line {
        step,
        epoch: 1,
        split: "val".into(),
        loss,
        metrics: vec![("auc".into(), auc)],
        lr: None,
        seconds: 3700.0,
    };
    let lines = [line(1, 1.0, 0.5), line(2, 0.25, 0.75), line(3, 0.5, 0.875), line(4, 0.5, 0.875)];
    let config = r#"{"metrics": {"auc": "higher"}, "checkpoint": {"best": "val.auc"}}"#;
    let page = report("Best", &lines, config).unwrap();
    check_well_formed(&page);
    assert!(page.contains("Best <span class=\"fact\">val.auc 0.875</span> at step 3"));
    assert!(page.contains("val (best 0.25 at step 2)") && page.contains("val (best 0.875 at step 3)"));
    assert!(page.contains("<tr class=\"best\"><td>val</td><td>3</td>"));
    assert_eq!(page.matches("<tr class=\"best\">").count(), 1);
    assert!(page.contains("4 steps, epoch 1, 1 h 1 min"));
    // Without directions only the loss has a best.
    let page = report("Best", &lines, "").unwrap();
    assert!(page.contains("val.loss 0.25") && !page.contains("best 0.875"));
}

#[test]
fn odd_logs_still_give_a_page() {
    let one = |loss: f64| Line {
        step: 1,
        epoch: 1,
        split: "train".into(),
        loss,
        metrics: Vec::new(),
        lr: None,
        seconds: 0.0,
    };
    let logs = [
        vec![],
        vec![one(f64::NAN)],
        vec![one(0.0)],
        vec![one(-1e300), one(1e300)],
        vec![one(5e-324)],
        vec![one(f64::INFINITY), one(1.0)],
        vec![one(f64::MIN), one(f64::MAX)],
        vec![one(-1e30), one(1e30)],
        vec![one(1.0), one(1.0 + f64::EPSILON)],
    ];
    for lines in logs {
        check_well_formed(&report("Odd", &lines, "").unwrap());
    }
}
