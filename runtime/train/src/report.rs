//! One self-contained page about a run: curves, numbers, configuration. No script, nothing loaded from elsewhere.

mod chart;

use crate::{Direction, Line, SplitName};
use base::Diagnostic;
use chart::{Series, chart};
use plotters::style::RGBColor;
use std::fmt::Write;

/// Its curve has the shape of a schedule, which powers of ten would bend.
const RATE: &str = "learning rate";

/// Evaluations shown in the table at most; the log has them all.
const MOST_ROWS: usize = 100;

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1c2024; --faint: #60666e; --line: #d8dce1; --page: #ffffff; --box: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8eb; --faint: #9aa2ab; --line: #363b42; --page: #15181c; --box: #1d2126; }
}
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 66rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page); }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0; color: var(--faint); }
.curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: .75rem; border: 1px solid var(--line); border-radius: 8px; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: .9rem; color: var(--faint); padding: 0 .25rem .25rem; } figcaption strong { color: var(--text); }
tr.best { font-weight: 600; } .fact { color: var(--text); }
.key { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin: 0 .35em 0 .9em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
pre { padding: 1rem; background: var(--box); border-radius: 8px; overflow-x: auto; font-size: .85rem; }
";

/// Middle tones, legible on white and on black.
const COLORS: [(&str, RGBColor); 3] = [
    (SplitName::Train.name(), RGBColor(59, 125, 221)),
    (SplitName::Validation.name(), RGBColor(217, 115, 13)),
    (SplitName::Test.name(), RGBColor(46, 160, 103)),
];

/// The page as HTML. The same log and configuration give the same bytes.
pub fn report(model: &str, lines: &[Line], config: &str) -> Result<String, Diagnostic> {
    let title = format!("Training of {}", escape(model));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    let goals = Goals::of(config);
    let best = goals.best_of_run(lines);
    if let Some(last) = lines.last() {
        let seconds = duration(last.seconds);
        let _ = writeln!(page, "<p>{} steps, epoch {}, {seconds}</p>", last.step, last.epoch);
    } else {
        page += "<p>The log has no lines yet.</p>\n";
    }
    if let Some((step, value)) = best {
        let (on, value) = (escape(&goals.on), number(value));
        let _ = writeln!(page, "<p>Best <span class=\"fact\">{on} {value}</span> at step {step}</p>");
    }
    // What was measured comes before what only accompanies training.
    let names = metric_names(lines);
    let measured =
        |name: &&String| lines.iter().any(|line| line.split != "train" && metric(line, name).is_some());
    let (first, others): (Vec<&String>, Vec<&String>) = names.iter().partition(measured);
    let mut charts = vec![figure("loss", lines, &goals, |line| Some(line.loss))?];
    for name in first {
        charts.push(figure(name, lines, &goals, |line| metric(line, name))?);
    }
    if lines.iter().any(|line| line.lr.is_some()) {
        charts.push(figure(RATE, lines, &goals, |line| line.lr)?);
    }
    for name in others {
        charts.push(figure(name, lines, &goals, |line| metric(line, name))?);
    }
    page += "<h2>Curves</h2>\n<div class=\"curves\">\n";
    page.extend(charts);
    page += "</div>\n<h2>Final numbers</h2>\n";
    let finals: Vec<&Line> =
        COLORS.iter().filter_map(|(split, _)| lines.iter().rfind(|line| line.split == *split)).collect();
    table(&mut page, "The last line of each split", &finals, &names, None);
    let measured: Vec<&Line> = lines.iter().filter(|line| line.split != SplitName::Train.name()).collect();
    if !measured.is_empty() {
        page += "<h2>Evaluations</h2>\n";
        let shown = &measured[measured.len().saturating_sub(MOST_ROWS)..];
        if shown.len() < measured.len() {
            let _ = writeln!(
                page,
                "<p>The last {} of {}; metrics.jsonl has all.</p>",
                shown.len(),
                measured.len()
            );
        }
        table(&mut page, "Every evaluation", shown, &names, best.map(|(step, _)| step));
    }
    let _ = write!(
        page,
        "<h2>Configuration</h2>\n<pre>{}</pre>\n</main>\n</body>\n</html>\n",
        escape(config.trim_end())
    );
    Ok(page)
}

/// All metrics of the log, in the order in which they come up.
fn metric_names(lines: &[Line]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in lines.iter().flat_map(|line| &line.metrics) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn metric(line: &Line, name: &str) -> Option<f64> {
    line.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// What is to be reached, as the configuration says.
struct Goals {
    /// What the best checkpoint goes by.
    on: String,
    /// Of what is measured.
    directions: Vec<(String, Direction)>,
}

impl Goals {
    /// Of a text that says nothing of them: the loss, which is to be low.
    fn of(config: &str) -> Goals {
        let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
        let mut directions = vec![("loss".to_string(), Direction::Lower)];
        for (name, direction) in config["metrics"].as_object().into_iter().flatten() {
            match direction.as_str() {
                Some("higher") => directions.push((name.clone(), Direction::Higher)),
                Some("lower") => directions.push((name.clone(), Direction::Lower)),
                _ => {}
            }
        }
        Goals { on: config["checkpoint"]["best"].as_str().unwrap_or("val.loss").into(), directions }
    }

    /// The first of the best; only what is measured on the validation split has one.
    fn best(&self, name: &str, points: impl Iterator<Item = (u64, f64)>) -> Option<(u64, f64)> {
        let (_, direction) = self.directions.iter().find(|(known, _)| known == name)?;
        let better = |best: Option<(u64, f64)>, (step, value): (u64, f64)| {
            if direction.improves(value, best.map(|(_, value)| value)) { Some((step, value)) } else { best }
        };
        points.fold(None, better)
    }

    fn best_of_run(&self, lines: &[Line]) -> Option<(u64, f64)> {
        let name = self.on.strip_prefix("val.")?;
        let value = |line: &Line| if name == "loss" { Some(line.loss) } else { metric(line, name) };
        let measured = lines.iter().filter(|line| line.split == SplitName::Validation.name());
        self.best(name, measured.filter_map(|line| Some((line.step, value(line)?))))
    }
}

fn figure(
    name: &str,
    lines: &[Line],
    goals: &Goals,
    value: impl Fn(&Line) -> Option<f64>,
) -> Result<String, Diagnostic> {
    let last_step = lines.iter().map(|line| line.step).max().unwrap_or(1).max(1);
    let (mut series, mut keys, mut spoken) = (Vec::new(), String::new(), Vec::new());
    for (split, color) in COLORS {
        let of_split = lines.iter().filter(|line| line.split == split);
        let points: Vec<(f64, f64)> =
            of_split.filter_map(|line| value(line).map(|value| (line.step as f64, value))).collect();
        if let (Some((_, first)), Some((_, last))) = (points.first(), points.last()) {
            spoken.push(format!("{split} from {} to {}", number(*first), number(*last)));
            let RGBColor(red, green, blue) = color;
            let _ = write!(
                keys,
                "<span class=\"key\" style=\"background:rgb({red},{green},{blue})\"></span>{split}"
            );
            let best = match split == SplitName::Validation.name() {
                true => goals.best(name, points.iter().map(|(step, value)| (*step as u64, *value))),
                false => None,
            };
            if let Some((step, value)) = best {
                let _ = write!(keys, " (best {} at step {step})", number(value));
            }
            series.push(Series { color, points, best: best.map(|(step, value)| (step as f64, value)) });
        }
    }
    let description =
        format!("{name} by step: {}", if spoken.is_empty() { "no values".into() } else { spoken.join(", ") });
    let svg = chart(&description, &series, 0.0..last_step as f64 * 1.02, name != RATE)?;
    Ok(format!(
        "<figure>\n<figcaption><strong>{}</strong>{keys}</figcaption>\n{svg}\n</figure>\n",
        escape(name)
    ))
}

/// Columns that no line has a value for are left out; the line of the step `best` stands out.
fn table(page: &mut String, caption: &str, lines: &[&Line], names: &[String], best: Option<u64>) {
    let is_used = |name: &&String| lines.iter().any(|line| metric(line, name).is_some());
    let names: Vec<&String> = names.iter().filter(is_used).collect();
    let heads = ["split", "step", "epoch", "loss"].into_iter().chain(names.iter().map(|name| name.as_str()));
    let heads: String = heads.map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let _ = writeln!(
        page,
        "<div class=\"scroll\"><table aria-label=\"{caption}\">\n<thead><tr>{heads}</tr></thead>\n<tbody>"
    );
    for line in lines {
        let row = if best == Some(line.step) { "<tr class=\"best\">" } else { "<tr>" };
        let _ = write!(
            page,
            "{row}<td>{}</td><td>{}</td><td>{}</td>",
            escape(&line.split),
            line.step,
            line.epoch
        );
        let values = std::iter::once(Some(line.loss)).chain(names.iter().map(|name| metric(line, name)));
        for value in values {
            let _ = write!(page, "<td>{}</td>", value.map_or("–".into(), number));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

/// `12.3 s`, `4 min 5 s`, `3 h 20 min`.
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Five significant digits, without trailing zeros.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { value.to_string() };
    }
    if !(1e-4..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (4 - size.log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Text as HTML or XML shows it, also within an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
