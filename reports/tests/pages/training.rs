//! The page of a training run.

use crate::valid;
use reports::training::{About, Line, page};

fn lines() -> Vec<Line> {
    let line = |step: u64, split: &str, loss: f64, lr| Line {
        step,
        epoch: step / 10 + 1,
        split: split.into(),
        loss,
        metrics: if split == "train" { Vec::new() } else { vec![("a<b>&\"c\"".into(), loss / 2.0)] },
        lr,
        seconds: step as f64 / 4.0,
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

fn about() -> About {
    let environment = vec![("processor".to_string(), "an <invented> one".to_string())];
    About { command: "dlc train line.model --set train.epochs=3".into(), environment }
}

#[test]
fn it_is_valid_complete_and_the_same_each_time() {
    let config = r#"{"text": "</pre><script>", "batch": 8}"#;
    let made = page("Line <1>", &lines(), config, &about());
    valid::check(&made);
    assert!(made.contains("Training of Line &lt;1&gt;") && made.contains("an &lt;invented&gt; one"));
    // Loss, the metric, the learning rate, the speed.
    assert_eq!(made.matches("<figure").count(), 4);
    assert_eq!(made.matches("<code>dlc train line.model --set train.epochs=3</code>").count(), 4);
    assert!(made.contains("loss by step: train from 1 to"), "no text alternative");
    assert!(made.contains("<p class=\"big\">32</p>"), "4 steps a second of 8 examples");
    assert!(made.contains("<td>0.125</td>") && made.contains("<td>NaN</td>"));
    assert!(made.contains("2999 steps") || made.contains("30 steps"));
    assert_eq!(made, page("Line <1>", &lines(), config, &about()));
    assert!(made.len() < 400_000, "{} bytes", made.len());
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
    let made = page("Best", &lines, config, &about());
    valid::check(&made);
    assert!(made.contains("Best val.auc</p>") && made.contains("<p class=\"big\">0.875</p>"));
    assert!(made.contains("step 3, epoch 1, after 1 h 1 min"));
    assert!(made.contains("val (best 0.25 at step 2)") && made.contains("val (best 0.875 at step 3)"));
    assert!(made.contains("<tr class=\"best\"><th scope=\"row\">val</th><td>3</td>"));
    assert_eq!(made.matches("<tr class=\"best\">").count(), 1);
    assert!(made.contains("4 steps, epoch 1, 1 h 1 min"));
    // Without directions only the loss has a best.
    let made = page("Best", &lines, "", &About::default());
    assert!(made.contains("Best val.loss") && !made.contains("best 0.875") && !made.contains("Environment"));
}

#[test]
fn odd_logs_still_give_a_page() {
    let one = |loss: f64| Line {
        step: 1,
        epoch: 1,
        split: "train".into(),
        loss,
        metrics: vec![("m".into(), loss)],
        lr: Some(loss),
        seconds: loss,
    };
    let logs = [
        vec![],
        vec![one(f64::NAN)],
        vec![one(0.0)],
        vec![one(-1e300), one(1e300)],
        vec![one(5e-324), one(1.0)],
        vec![one(f64::INFINITY), one(1.0)],
        vec![one(f64::MIN), one(f64::MAX)],
        vec![one(-1e30), one(1e30)],
        vec![one(1.0), one(1.0 + f64::EPSILON)],
        vec![Line { step: u64::MAX, ..one(1.0) }, one(2.0)],
        vec![Line { split: "other".into(), ..one(1.0) }],
    ];
    for lines in logs {
        for config in ["", "[1]", r#"{"batch": 1e300, "metrics": 3, "checkpoint": []}"#] {
            valid::check(&page("Odd", &lines, config, &about()));
        }
    }
}
