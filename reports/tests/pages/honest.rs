//! What a page may say of speed, and what it may not.

use crate::{
    invented::{Draw, arm, environment, text},
    page_of, valid,
};
use serde_json::{Value, json};

fn row(name: &str, model: &str, seconds: f64) -> Value {
    arm(name, model, "infer", 1, 1, seconds, &mut Draw::new())
}

/// The part of a page under a head.
fn section<'p>(page: &'p str, id: &str) -> &'p str {
    let from = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    page[from..].split("</section>").next().unwrap()
}

#[test]
fn the_headline_is_the_geometric_mean_over_models_with_the_worst_beside_it() {
    let lines = [
        environment("invented"),
        row("dlc", "mlp", 1e-3),
        row("pytorch", "mlp", 4e-3),
        row("dlc", "lenet", 2e-3),
        row("pytorch", "lenet", 1e-3),
        json!({"kind": "floor", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1, "spread": 0.02}),
    ];
    let page = page_of(&text(&lines));
    valid::check(&page);
    let summary = section(&page, "summary");
    // sqrt(4 × 0.5)
    assert!(summary.contains("<p class=\"big\">1.41×</p>"), "{summary}");
    assert!(summary.contains("Worst: 0.50× on lenet, batch 1, 1 thread, against PyTorch"));
    assert!(summary.contains("faster in 1, no difference in 0, slower in 1 of 2 rows"));
    let losses = summary.split("Where another framework is faster").nth(1).unwrap();
    assert!(
        losses.contains("1 of 2 comparisons") && losses.contains(">lenet</th>") && !losses.contains(">mlp<")
    );
    // The interval over two models reaches from the one to the other.
    assert!(summary.contains("geometric mean of 2 models, 0.50× to 4.0"), "{summary}");
}

#[test]
fn what_lies_within_the_noise_is_no_difference() {
    let lines = |spread: f64, theirs: f64| {
        let mut ours = row("dlc", "mlp", 1e-3);
        let mut other = row("pytorch", "mlp", theirs);
        (ours["ci95_s"], other["ci95_s"]) = (json!([1e-3, 1e-3]), json!([theirs, theirs]));
        let floor = json!({"kind": "floor", "model": "mlp", "mode": "infer", "batch": 1, "threads": 1, "spread": spread});
        page_of(&text(&[environment("invented"), ours, other, floor]))
    };
    let verdict = |page: &str| {
        ["dlc faster", "no difference", "dlc slower"]
            .map(|word| section(page, "models").contains(&format!(">{word}</td>")))
    };
    assert_eq!(verdict(&lines(0.05, 1.04e-3)), [false, true, false]);
    assert_eq!(verdict(&lines(0.05, 0.96e-3)), [false, true, false]);
    assert_eq!(verdict(&lines(0.03, 1.04e-3)), [true, false, false]);
    assert_eq!(verdict(&lines(0.03, 0.96e-3)), [false, false, true]);
    assert!(section(&lines(0.05, 1.04e-3), "models").contains("class=\"same\""), "it is grey");
    // Intervals that overlap are no difference either, without any floor.
    let mut wide = row("pytorch", "mlp", 1.2e-3);
    wide["ci95_s"] = json!([0.9e-3, 1.5e-3]);
    let page = page_of(&text(&[row("dlc", "mlp", 1e-3), wide]));
    assert_eq!(verdict(&page), [false, true, false]);
    assert!(page.contains("do not say how far two runs"));
}

#[test]
fn what_is_not_to_be_believed_has_no_speed() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str, &str); 7] = [
        (|line| line["status"] = json!("wrong"), "wrong result", ""),
        (|line| line["correct"] = json!(false), "wrong result", "its outputs are off by up to"),
        (|line| line["correct"] = json!(null), "wrong result", "not compared with the reference"),
        (|line| line["threads_seen"] = json!(2), "other threads", "it ran on 2 threads instead of 1"),
        (|line| line["flops"] = json!(1e11), "impossible", "128700 GFLOP/s, where the machine reaches 210"),
        (|line| line["status"] = json!("failed"), "failed", ""),
        (
            |line| {
                line["status"] = json!("missing");
                line["why"] = json!("no such package");
                line["install"] = json!("pip install flax");
            },
            "not installed",
            "no such package",
        ),
    ];
    for (change, word, why) in changes {
        let mut odd = row("flax", "mlp", 1e-3);
        // Nothing else of the page has these numbers.
        (odd["median_s"], odd["ci95_s"]) = (json!(7.77e-4), json!([7.76e-4, 7.78e-4]));
        odd["process_medians_s"] = json!([7.77e-4]);
        change(&mut odd);
        let mut slower = row("pytorch", "mlp", 2e-3);
        slower["flops"] = json!(1e6);
        let mut ours = row("dlc", "mlp", 1e-3);
        ours["flops"] = json!(1e6);
        let page = page_of(&text(&[environment("invented"), ours, slower, odd]));
        valid::check(&page);
        assert!(!page.contains("0.000777") && !page.contains("7.77"), "{word}: a speed");
        let listed = section(&page, "without");
        assert!(listed.contains(word) && listed.contains(why), "{word}: {listed}");
        assert!(section(&page, "models").contains(word));
        assert!(section(&page, "correctness").contains(word));
        let peers = section(&page, "summary").matches("<th scope=\"row\">Flax</th>").count();
        assert_eq!(peers, 0, "{word}: it is in the mean");
    }
}

#[test]
fn a_server_is_judged_by_its_own_load() {
    let lines: Vec<Value> = ["dlc", "pytorch"]
        .iter()
        .flat_map(|name| [30, 50, 70, 90].map(|load| (name, load)))
        .map(|(name, load)| {
            let mut line = arm(name, "mlp", "server", 1, 1, 1e-3 * f64::from(load), &mut Draw::new());
            line["sizes"] = json!({"load_percent": load});
            line
        })
        .collect();
    let page = page_of(&text(&lines));
    valid::check(&page);
    let server = section(&page, "server");
    assert!(
        server.contains("Latency under load: mlp, batch 1, 1 thread") && server.matches("<tr>").count() == 9
    );
    assert!(
        !page.contains("id=\"summary\"") && !page.contains("id=\"models\""),
        "no ratio of different loads"
    );
}

#[test]
fn the_last_measurement_of_an_arm_counts() {
    let page = page_of(&text(&[row("dlc", "mlp", 1e-3), row("dlc", "mlp", 3e-3)]));
    assert!(
        page.contains("1 arm measured more than once")
            && page.contains(">3 ms</td>")
            && !page.contains(">1 ms</td>")
    );
}
