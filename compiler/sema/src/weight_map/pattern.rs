//! Patterns over the segments of a weight's name: `block.{i}.*.w`. `{x}` and `*` stand for a segment, or for what is left
//! of one beside other text, as in `block_{i}`.

/// Segments in order.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Segment>);

#[derive(Clone, Debug)]
enum Segment {
    Text(String),
    /// `before{name}after`; `*` has no name.
    Hole {
        before: String,
        name: Option<String>,
        after: String,
    },
}

/// The holes of a match by name.
pub type Found = Vec<(String, String)>;

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, String> {
        text.split('.').map(segment).collect::<Result<_, _>>().map(Pattern)
    }

    /// What the holes stand for, where the whole name fits; a hole that stands twice means the same twice.
    pub fn matches(&self, name: &str) -> Option<Found> {
        let mut found = Found::new();
        let mut parts = name.split('.');
        for segment in &self.0 {
            let part = parts.next()?;
            match segment {
                Segment::Text(text) if text == part => {}
                Segment::Text(_) => return None,
                Segment::Hole { before, name, after } => {
                    let middle = part.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                    if middle.is_empty() {
                        return None;
                    }
                    let Some(name) = name else { continue };
                    match found.iter().find(|(known, _)| known == name) {
                        Some((_, value)) if value != middle => return None,
                        Some(_) => {}
                        None => found.push((name.clone(), middle.into())),
                    }
                }
            }
        }
        parts.next().is_none().then_some(found)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Hole { name: Some(name), .. } => Some(name.as_str()),
            _ => None,
        })
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    if text.is_empty() {
        return Err("a segment between two points is empty".into());
    }
    let Some(at) = text.find(['{', '*', '}']) else { return Ok(Segment::Text(text.into())) };
    let (before, rest) = text.split_at(at);
    let (name, after) = match rest.strip_prefix('*') {
        Some(after) => (None, after),
        None => {
            let (name, after) = hole(rest)?;
            (Some(name.to_string()), after)
        }
    };
    if after.contains(['{', '*', '}']) {
        return Err(format!("`{text}` has more than one part that stands for something"));
    }
    Ok(Segment::Hole { before: before.into(), name, after: after.into() })
}

/// The name in `{name}rest`, and the rest.
fn hole(text: &str) -> Result<(&str, &str), String> {
    let inner = text.strip_prefix('{').ok_or("a `}` closes nothing")?;
    let (name, rest) = inner.split_once('}').ok_or("a `{` is not closed")?;
    let is_word = |name: &str| {
        name.chars().all(|symbol| symbol.is_ascii_alphanumeric() || symbol == '_')
            && name.starts_with(|first: char| !first.is_ascii_digit())
    };
    if !is_word(name) {
        return Err(format!("`{{{name}}}` is no name"));
    }
    Ok((name, rest))
}

/// The names of the holes in another framework's name.
pub fn holes(text: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '*']) {
        if rest[at..].starts_with('*') {
            return Err(
                "`*` does not say which segment it is; give it a name, as in `{i}`, on both sides".into()
            );
        }
        let (name, after) = hole(&rest[at..])?;
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// The name with its holes filled in.
pub fn fill(text: &str, found: &Found) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, Ok((name, after)))) = rest.find('{').map(|at| (&rest[..at], hole(&rest[at..]))) {
        filled.push_str(before);
        filled.push_str(found.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, name: &str) -> Option<String> {
        let found = Pattern::parse(pattern).unwrap().matches(name)?;
        Some(found.iter().map(|(name, value)| format!("{name}={value} ")).collect::<String>().trim().into())
    }

    #[test]
    fn segments() {
        assert_eq!(matched("a.w", "a.w").unwrap(), "");
        assert_eq!(matched("a.w", "a.b"), None);
        assert_eq!(matched("a.w", "a.w.b"), None);
        assert_eq!(matched("a.w.b", "a.w"), None);
        assert_eq!(matched("block.{i}.{part}.w", "block.10.query.w").unwrap(), "i=10 part=query");
        assert_eq!(matched("block.*.w", "block.3.w").unwrap(), "");
        assert_eq!(matched("block.{i}.w", "block.1.query.w"), None);
        assert_eq!(matched("block_{i}.w", "block_12.w").unwrap(), "i=12");
        assert_eq!(matched("block_{i}.w", "block_.w"), None);
        assert_eq!(matched("x{i}x.w", "x.w"), None);
        assert_eq!(matched("{i}.{i}", "a.a").unwrap(), "i=a");
        assert_eq!(matched("{i}.{i}", "a.b"), None);
    }

    #[test]
    fn what_is_no_pattern() {
        for pattern in ["", "a..b", "{", "a}", "{1}", "{}", "{a}{b}", "*{a}", "a.{b c}"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(holes("a.*").is_err());
        assert!(holes("a.{i").is_err());
        assert_eq!(holes("layer{i}.{j}.w").unwrap(), ["i", "j"]);
    }

    #[test]
    fn filling() {
        let found = Pattern::parse("s{i}.{j}").unwrap().matches("s2.0").unwrap();
        assert_eq!(fill("layer{i}.{j}.conv{j}", &found), "layer2.0.conv0");
        assert_eq!(fill("plain", &found), "plain");
    }
}
