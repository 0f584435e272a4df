//! The instances of a model, each with what it costs.

use driver::{Account, instances};
use sema::Built;
use shape::Dim;

/// One instance with all that is inside it.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub path: String,
    pub layer: String,
    pub output: String,
    pub parameters: Dim,
    pub flops: Dim,
    pub backward: Dim,
    pub bytes: Dim,
    pub depth: usize,
}

pub fn rows(built: &Built, forward: &Account, training: Option<&Account>) -> Vec<Row> {
    let Some((_, entry)) = built.entries.iter().find(|(name, _)| *name == "run") else { return Vec::new() };
    let row = |instance: driver::Instance| {
        let path = &instance.path;
        let inside = |name: &str| name.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
        let weights = built.weights.iter().filter(|weight| inside(&weight.name));
        let backward =
            training.and_then(|account| account.instances.get(path)).map(|work| work.backward.clone());
        Row {
            layer: instance.layer,
            output: instance.outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            parameters: weights.map(|weight| weight.ty.shape.elements()).sum(),
            flops: forward.instances.get(path).map(|work| work.total()).unwrap_or_default(),
            backward: backward.unwrap_or_default(),
            bytes: forward.bytes.get(path).cloned().unwrap_or_default(),
            depth: instance.depth,
            path: instance.path,
        }
    };
    instances(&built.module, *entry).into_iter().map(row).collect()
}

/// Equal neighbours `block.0`, `block.1`, … as one row, with what is inside the first; numbers are of all of them.
pub fn folded(rows: &[Row]) -> Vec<Row> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let length = subtree(rows, at);
        let first = &rows[at..at + length];
        let mut count = 1usize;
        while let Some(next) = numbered(&rows[at].path, count)
            && let Some(other) = rows.get(at + count * length..at + (count + 1) * length)
            && other[0].path == next
            && alike(first, other)
        {
            count += 1;
        }
        if count == 1 {
            out.push(rows[at].clone());
            at += 1;
            continue;
        }
        let shown: Vec<Row> = (0..length)
            .map(|place| {
                let all = || (0..count).map(|number| &rows[at + number * length + place]);
                Row {
                    parameters: all().map(|row| row.parameters.clone()).sum(),
                    flops: all().map(|row| row.flops.clone()).sum(),
                    backward: all().map(|row| row.backward.clone()).sum(),
                    bytes: all().map(|row| row.bytes.clone()).sum(),
                    ..rows[at + place].clone()
                }
            })
            .collect();
        let last = numbered(&rows[at].path, count - 1).unwrap_or_default();
        let head = Row { path: format!("{} … {last}", rows[at].path), ..shown[0].clone() };
        let head = Row { layer: format!("{count} × {}", head.layer), ..head };
        out.push(head);
        out.extend(folded(&shown[1..]));
        at += count * length;
    }
    out
}

/// Rows of an instance and of what is inside it.
fn subtree(rows: &[Row], at: usize) -> usize {
    1 + rows[at + 1..].iter().take_while(|row| row.depth > rows[at].depth).count()
}

/// `block.3` moved on by 2 is `block.5`.
fn numbered(path: &str, by: usize) -> Option<String> {
    let (stem, number) = path.rsplit_once('.')?;
    Some(format!("{stem}.{}", number.parse::<usize>().ok()? + by))
}

/// The first of several blocks may need no derivative of its input; all else is the same.
fn alike(a: &[Row], b: &[Row]) -> bool {
    let relative = |rows: &[Row], row: &Row| row.path[rows[0].path.len().min(row.path.len())..].to_string();
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| {
            let renamed = Row { path: x.path.clone(), backward: x.backward.clone(), ..y.clone() };
            relative(a, x) == relative(b, y) && *x == renamed
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, depth: usize, flops: i64) -> Row {
        let nothing = Dim::default();
        Row {
            path: path.into(),
            layer: "l".into(),
            output: String::new(),
            parameters: nothing.clone(),
            flops: Dim::from(flops),
            backward: nothing.clone(),
            bytes: nothing,
            depth,
        }
    }

    #[test]
    fn equal_neighbours_share_a_row() {
        let rows = [
            row("a", 0, 5),
            row("b.0", 0, 3),
            row("b.0.x", 1, 2),
            row("b.1", 0, 3),
            row("b.1.x", 1, 2),
            row("b.2", 0, 4),
            row("b.2.x", 1, 3),
        ];
        let paths: Vec<(String, Dim)> = folded(&rows).into_iter().map(|row| (row.path, row.flops)).collect();
        let expected = [("a", 5), ("b.0 … b.1", 6), ("b.0.x", 4), ("b.2", 4), ("b.2.x", 3)];
        assert_eq!(paths, expected.map(|(path, flops)| (path.to_string(), Dim::from(flops as i64))));
    }
}
