//! Text that is nearly right.

use crate::{Corpus, Target};
use generate::Rng;

/// Where numbers and texts tend to go wrong.
const HARD: &[&str] = &[
    "0",
    "1",
    "-1",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "1e-400",
    "0.1",
    "nan",
    "inf",
    "1_000",
    "0x1",
    "1.",
    ".5",
    "\"",
    "\\",
    "\u{0}",
    "\r\n",
    "\t",
    "\u{feff}",
    "é",
    "𝒙",
    "\u{202e}",
    "//",
    "///",
    "|>",
    "<-",
    "->",
    "..",
    "::",
    "~=",
    "((",
    "))",
    "[[",
    "]]",
    "{",
    "}",
    "\n",
    ";",
    ",",
    "^",
    "- -",
];

/// How often a piece may stand in a row: deeper than anything may recurse.
const MAX_REPEAT: usize = 6000;

/// The input of this number.
pub fn input(target: &Target, corpus: &Corpus, number: u64) -> String {
    let mut rng = Rng::named(number, target.name);
    let Some(seed) = rng.choose(&corpus.seeds) else { return String::new() };
    let mut pieces: Vec<&str> = seed.iter().map(String::as_str).collect();
    // One change leaves most of a program meaning what it did, several lead further away.
    let changes = if rng.once_in(2) { 1 } else { rng.between(2, 4) };
    for _ in 0..changes {
        mutate(&mut rng, corpus, &mut pieces);
    }
    pieces.concat()
}

fn mutate<'c>(rng: &mut Rng, corpus: &'c Corpus, pieces: &mut Vec<&'c str>) {
    if pieces.is_empty() {
        pieces.push(" ");
    }
    let at = rng.below(pieces.len());
    let end = (at + 1 + rng.below(8)).min(pieces.len());
    let word = |rng: &mut Rng| rng.choose(&corpus.words).map_or("", String::as_str);
    match rng.below(400) {
        0 => {
            let times = 1 << rng.below(13);
            let part = pieces[at..end].to_vec();
            let times = times.min(MAX_REPEAT / part.len());
            let many: Vec<&str> = std::iter::repeat_n(part, times).flatten().collect();
            pieces.splice(at..at, many);
        }
        1..70 => drop(pieces.drain(at..end)),
        70..120 => {
            let part = pieces[at..end].to_vec();
            let to = rng.below(pieces.len());
            pieces.splice(to..to, part);
        }
        120..160 => {
            let other = rng.below(pieces.len());
            pieces.swap(at, other);
        }
        160..190 => pieces[at] = word(rng),
        190..230 => {
            // A name for a name, a number for a number, a sign for a sign.
            let kind = |piece: &str| piece.chars().next().map(|c| (c.is_alphabetic(), c.is_ascii_digit()));
            let other = (0..8).map(|_| word(rng)).find(|other| kind(other) == kind(pieces[at]));
            pieces[at] = other.unwrap_or(pieces[at]);
        }
        230..280 => pieces.insert(at, word(rng)),
        280..330 => {
            if let Some(other) = rng.choose(&corpus.seeds) {
                let from = rng.below(other.len());
                let to = (from + 1 + rng.below(12)).min(other.len());
                pieces.splice(at..end, other[from..to].iter().map(String::as_str));
            }
        }
        330..380 => pieces.insert(at, HARD[rng.below(HARD.len())]),
        380..395 => {
            // Another number where one stands.
            let numbers: Vec<usize> = (0..pieces.len())
                .filter(|place| pieces[*place].starts_with(|c: char| c.is_ascii_digit()))
                .collect();
            if let Some(place) = rng.choose(&numbers) {
                pieces[*place] = HARD[rng.below(14)];
            }
        }
        _ => pieces.truncate(at),
    }
}
