//! The log of campaigns adds up, reaches what is promised, and leaves nothing unexplained.
#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Inputs or models that have to be tried of each kind.
const LEAST: &[(&str, u64)] = &[
    ("parser", 10_000_000),
    ("formatter", 10_000_000),
    ("checker", 1_000_000),
    ("graph", 1_000_000),
    ("shape", 1_000_000),
    ("compiled", 100_000),
    ("everything", 5_000),
    ("derivatives", 20_000),
];
/// How often random models have to have each operator in them.
const LEAST_DRAWN: u64 = 500;

struct Line {
    campaign: String,
    from: u64,
    to: u64,
    commit: String,
    findings: BTreeSet<u64>,
    whole: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn log() -> Vec<Line> {
    let text = fs::read_to_string(folder().join("log.jsonl")).unwrap();
    let line = |line: &str| {
        let whole: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| whole[key].as_u64().unwrap_or_else(|| panic!("`{key}` in {line}"));
        let word = |key: &str| whole[key].as_str().map(String::from);
        let findings = whole["findings"].as_array().unwrap().iter();
        Line {
            campaign: word("effort").or(word("target")).unwrap(),
            from: number("from"),
            to: number("to"),
            commit: word("commit").unwrap(),
            findings: findings.map(|found| found.as_u64().unwrap()).collect(),
            whole,
        }
    };
    text.lines().map(line).collect()
}

/// `from..to`, how many were found, and which are kept, by campaign and `from`.
fn explained() -> BTreeMap<(String, u64), (u64, usize, BTreeSet<u64>)> {
    let text = fs::read_to_string(folder().join("findings/README.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| campaign"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [campaign, from, to, count, what, kept] = cells[..] else { panic!("{line}") };
        assert!(what.len() >= "the same".len(), "{line}");
        let kept = kept.split(", ").filter(|number| !number.is_empty()).map(|number| number.parse().unwrap());
        let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
        ((campaign.to_string(), from), (to, count.parse().unwrap(), kept.collect()))
    };
    rows.map(row).collect()
}

#[test]
fn each_line_adds_up() {
    let mut seen: BTreeMap<(String, String), Vec<(u64, u64)>> = BTreeMap::new();
    for line in log() {
        let Line { campaign, from, to, commit, findings, whole } = &line;
        let number = |key: &str| whole[key].as_u64();
        let tried = number("models").or(number("inputs")).unwrap();
        assert_eq!(tried, to - from, "{campaign} {from}");
        assert!(findings.iter().all(|found| (from..to).contains(&found)), "{campaign} {from}");
        if let (Some(agreed), Some(rejected)) = (number("agreed"), whole["rejected"].as_object()) {
            let rejected: u64 = rejected.values().map(|count| count.as_u64().unwrap()).sum();
            assert_eq!(agreed + rejected + findings.len() as u64, tried, "{campaign} {from}");
            assert!(agreed * 10 > tried * 8, "{campaign} {from}: {rejected} are rejected");
        }
        // The same inputs twice are no more than once.
        let others = seen.entry((campaign.clone(), commit.clone())).or_default();
        assert!(others.iter().all(|(low, high)| to <= low || from >= high), "{campaign} {from} again");
        others.push((*from, *to));
    }
}

#[test]
fn enough_was_tried() {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for line in log() {
        *sums.entry(line.campaign).or_default() += line.to - line.from;
    }
    for (campaign, least) in LEAST {
        let sum = sums.remove(*campaign).unwrap_or_default();
        assert!(sum >= *least, "{campaign}: {sum} of {least}");
    }
    assert_eq!(sums, BTreeMap::new(), "campaigns of no known kind");
}

#[test]
fn models_had_everything_in_them() {
    let mut drawn: BTreeMap<String, u64> = BTreeMap::new();
    let mut fired: BTreeMap<String, u64> = BTreeMap::new();
    for line in log() {
        for (key, sums) in [("operators", &mut drawn), ("passes", &mut fired)] {
            for (name, count) in line.whole[key].as_object().into_iter().flatten() {
                *sums.entry(name.clone()).or_default() += count.as_u64().unwrap();
            }
        }
    }
    let of = |name: &str| drawn.get(name).copied().unwrap_or_default();
    let known = graph::Op::NAMES.iter().copied();
    let rare: Vec<String> = known
        .chain(drawn.keys().map(String::as_str))
        .filter(|name| of(name) < LEAST_DRAWN)
        .map(|name| format!("{name}: {}", of(name)))
        .collect();
    assert!(rare.is_empty(), "drawn too rarely: {rare:?}");
    for pass in passes::pipeline::PASSES {
        assert!(fired.contains_key(pass.name), "the pass `{}` never does anything", pass.name);
    }
}

#[test]
fn findings_are_explained() {
    let explained = explained();
    let log = log();
    for line in log.iter().filter(|line| !line.findings.is_empty()) {
        let row = explained.get(&(line.campaign.clone(), line.from));
        let told = row.map(|(to, count, _)| (*to, *count));
        assert_eq!(told, Some((line.to, line.findings.len())), "{} from {}", line.campaign, line.from);
        let kept = row.into_iter().flat_map(|(_, _, kept)| kept);
        kept.for_each(|number| assert!(line.findings.contains(number), "{} {number}", line.campaign));
    }
    assert_eq!(explained.len(), log.iter().filter(|line| !line.findings.is_empty()).count());
    let mut named: BTreeSet<(String, String)> = BTreeSet::new();
    for ((campaign, _), (.., kept)) in explained {
        named.extend(kept.iter().map(|number| (campaign.clone(), format!("{number}.txt"))));
    }
    let mut kept = BTreeSet::new();
    for target in fuzz::TARGETS {
        for (path, _) in fuzz::findings(target).unwrap() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            kept.insert((target.name.to_string(), name));
        }
    }
    assert_eq!(kept, named);
}
