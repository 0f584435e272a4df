//! Pictures that look a little different in each epoch. Draws count instead of stepping a generator: they follow from
//! the seed, the epoch and the row, so that neither threads nor an interrupted run change them.

use crate::{FieldInfo, source::RowSource};
use base::{Diagnostic, did_you_mean};
use indexmap::IndexMap;
use tensor::{Tensor, philox::Stream, shape_text};

/// What is done with the rows of a field, in this order. The last two axes of a row are its height and width.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Augment {
    pub field: String,
    pub transforms: Vec<Transform>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transform {
    /// A part of this size from anywhere in the picture, around which lie `padding` zeros on every side. Outside of
    /// training it is the part in the middle.
    RandomCrop { height: usize, width: usize, padding: usize },
    /// Left and right exchanged, every other time. Outside of training nothing.
    Flip,
}

/// A source whose rows are augmented for training. Equal transforms of two fields do the same to both, as pictures and
/// their masks need it.
pub struct Augmented {
    base: Box<dyn RowSource>,
    seed: u64,
    fields: Vec<FieldInfo>,
    /// By the number of the field.
    plans: Vec<Option<Plan>>,
}

/// The transforms of a field, each with the height and width that it takes.
struct Plan {
    steps: Vec<(Transform, usize, usize)>,
}

/// Where a crop begins, and whether it is mirrored.
#[derive(Clone, Copy)]
struct Drawn {
    top: usize,
    left: usize,
    mirrored: bool,
}

/// Steps of one field; more than this share draws with the next row.
const MOST_STEPS: u64 = 64;

impl Augmented {
    pub fn new(base: Box<dyn RowSource>, augments: &[Augment], seed: u64) -> Result<Augmented, Diagnostic> {
        let mut fields = base.fields();
        let mut plans: Vec<Option<Plan>> = fields.iter().map(|_| None).collect();
        for augment in augments {
            let Some(index) = fields.iter().position(|field| field.name == augment.field) else {
                let names = fields.iter().map(|field| field.name.as_str());
                let near = did_you_mean(&augment.field, names);
                return Err(wrong(augment, "the data have no such field".into())
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))));
            };
            let shape = &mut fields[index].row_shape;
            if shape.len() < 2 {
                return Err(wrong(
                    augment,
                    format!("a row of the shape {} is no picture", shape_text(shape)),
                ));
            }
            let [.., height, width] = &mut shape[..] else { continue };
            if augment.transforms.len() as u64 > MOST_STEPS {
                return Err(wrong(augment, format!("there are more than {MOST_STEPS} steps")));
            }
            let mut steps = Vec::with_capacity(augment.transforms.len());
            for transform in &augment.transforms {
                steps.push((*transform, *height, *width));
                if let Transform::RandomCrop { height: new_height, width: new_width, padding } = *transform {
                    let fits = |new: usize, old: usize| {
                        new >= 1
                            && padding
                                .checked_mul(2)
                                .and_then(|both| both.checked_add(old))
                                .is_some_and(|padded| new <= padded)
                    };
                    if !fits(new_height, *height) || !fits(new_width, *width) {
                        return Err(wrong(
                            augment,
                            format!(
                                "a part of {new_height} × {new_width} does not fit into {height} × {width} with a padding of {padding}"
                            ),
                        ));
                    }
                    (*height, *width) = (new_height, new_width);
                }
            }
            plans[index] = Some(Plan { steps });
        }
        Ok(Augmented { base, seed, fields, plans })
    }
}

impl RowSource for Augmented {
    fn rows(&self) -> usize {
        self.base.rows()
    }

    fn fields(&self) -> Vec<FieldInfo> {
        self.fields.clone()
    }

    fn tables(&self) -> &IndexMap<String, Vec<String>> {
        self.base.tables()
    }

    fn content_hash(&self) -> u64 {
        self.base.content_hash()
    }

    fn is_held(&self) -> bool {
        // Cropping costs as much as reading does.
        false
    }

    fn gather(
        &self,
        wanted: &[usize],
        rows: &[usize],
        epoch: Option<u64>,
        batch: &mut Vec<Tensor>,
    ) -> Result<(), Diagnostic> {
        self.base.gather(wanted, rows, epoch, batch)?;
        let draws = epoch.map(|epoch| Stream::new(self.seed, "augment", epoch));
        for (field, tensor) in wanted.iter().zip(batch) {
            let Some(plan) = &self.plans[*field] else { continue };
            for (place, (transform, height, width)) in plan.steps.iter().enumerate() {
                let draw = |row: usize| {
                    let index = row as u64 * MOST_STEPS + place as u64;
                    transform.draw(*height, *width, draws.as_ref().map(|draws| draws.words(index)))
                };
                *tensor = transform.apply(tensor, rows, draw)?;
            }
        }
        Ok(())
    }
}

impl Transform {
    /// From the words of a row, or what stands for them outside of training.
    fn draw(&self, height: usize, width: usize, words: Option<[u32; 4]>) -> Drawn {
        match *self {
            Transform::RandomCrop { height: new_height, width: new_width, padding } => {
                let (down, right) = (height + 2 * padding - new_height, width + 2 * padding - new_width);
                // A factor of 2^32 more words than places: no place is favoured that could be measured.
                let below = |word: u32, places: usize| ((u64::from(word) * places as u64) >> 32) as usize;
                let (top, left) = match words {
                    Some([first, second, ..]) => (below(first, down + 1), below(second, right + 1)),
                    None => (down / 2, right / 2),
                };
                Drawn { top, left, mirrored: false }
            }
            Transform::Flip => {
                Drawn { top: 0, left: 0, mirrored: words.is_some_and(|words| words[0] & 1 == 1) }
            }
        }
    }

    /// The rows of a batch, each as it is drawn by its number in the data.
    fn apply(
        &self,
        batch: &Tensor,
        rows: &[usize],
        draw: impl Fn(usize) -> Drawn,
    ) -> Result<Tensor, Diagnostic> {
        let mut shape = batch.shape().to_vec();
        let [.., height, width] = &mut shape[..] else { return Ok(batch.clone()) };
        let from = (*height, *width);
        let padding = match *self {
            Transform::RandomCrop { height: new_height, width: new_width, padding } => {
                (*height, *width) = (new_height, new_width);
                padding
            }
            Transform::Flip => 0,
        };
        let to = (*height, *width);
        let mut result = Tensor::zeros(batch.dtype(), shape)?;
        let size = batch.dtype().size();
        let (from_bytes, to_bytes) = (from.0 * from.1 * size, to.0 * to.1 * size);
        if batch.is_empty() || to_bytes == 0 {
            return Ok(result);
        }
        let planes = batch.bytes().len() / from_bytes / rows.len();
        let sources = batch.bytes().chunks_exact(from_bytes * planes);
        let targets = result.bytes_mut().chunks_exact_mut(to_bytes * planes);
        for ((source, target), row) in sources.zip(targets).zip(rows) {
            let drawn = draw(*row);
            let planes = source.chunks_exact(from_bytes).zip(target.chunks_exact_mut(to_bytes));
            planes.for_each(|(source, target)| drawn.copy(source, target, from, to, padding, size));
        }
        Ok(result)
    }
}

impl Drawn {
    /// One channel. `target` holds zeros, which stay where the padding is.
    fn copy(
        &self,
        source: &[u8],
        target: &mut [u8],
        from: (usize, usize),
        to: (usize, usize),
        padding: usize,
        size: usize,
    ) {
        // Columns of the target that the picture reaches, and where the first of them lies in it.
        let first = padding.saturating_sub(self.left).min(to.1);
        let start = (self.left + first).saturating_sub(padding).min(from.1);
        let count = (to.1 - first).min(from.1 - start);
        for (line, target) in target.chunks_exact_mut(to.1 * size).enumerate() {
            let Some(row) = (self.top + line).checked_sub(padding).filter(|row| *row < from.0) else {
                continue;
            };
            let source = &source[row * from.1 * size..(row + 1) * from.1 * size];
            if self.mirrored {
                let pixels = source.chunks_exact(size).rev();
                target.chunks_exact_mut(size).zip(pixels).for_each(|(to, from)| to.copy_from_slice(from));
            } else {
                let (source, target) = (&source[start * size..], &mut target[first * size..]);
                target[..count * size].copy_from_slice(&source[..count * size]);
            }
        }
    }
}

fn wrong(augment: &Augment, what: String) -> Diagnostic {
    Diagnostic::error("E0645", format!("the field `{}` cannot be augmented: {what}", augment.field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    /// Four pictures of one channel, 2 × 3, with the values 1 to 6, 11 to 16 and so on.
    fn pictures() -> Box<dyn RowSource> {
        let values: Vec<f32> = (0..24).map(|value| (value / 6 * 10 + value % 6 + 1) as f32).collect();
        let x = Tensor::from_vec([4, 1, 2, 3], values).unwrap();
        let label = Tensor::from_vec([4], [0i32, 1, 2, 3]).unwrap();
        let fields = IndexMap::from([
            ("x".to_string(), x.clone()),
            ("label".to_string(), label),
            ("mask".to_string(), x),
        ]);
        Box::new(Dataset::new("test", fields).unwrap())
    }

    fn augmented(transforms: &[Transform], seed: u64) -> Result<Augmented, Diagnostic> {
        let of = |field: &str| Augment { field: field.into(), transforms: transforms.to_vec() };
        Augmented::new(pictures(), &[of("x"), of("mask")], seed)
    }

    fn gather(source: &Augmented, rows: &[usize], epoch: Option<u64>) -> Vec<Tensor> {
        let mut batch = Vec::new();
        source.gather(&[0, 1, 2], rows, epoch, &mut batch).unwrap();
        assert_eq!(batch[0], batch[2], "equal transforms draw equally");
        assert_eq!(batch[1].to_i64_vec(), rows.iter().map(|row| *row as i64).collect::<Vec<_>>());
        batch
    }

    #[test]
    fn flips() {
        let source = augmented(&[Transform::Flip], 1).unwrap();
        let (mut seen, mut mirrored) = (0, 0);
        for epoch in 0..200 {
            for picture in gather(&source, &[2, 0], Some(epoch))[0].as_f32().unwrap().chunks(6) {
                let base = picture[0].min(picture[2]) - 1.0;
                let plain: Vec<f32> = picture.iter().map(|value| value - base).collect();
                seen += 1;
                match plain[..] {
                    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] => {}
                    [3.0, 2.0, 1.0, 6.0, 5.0, 4.0] => mirrored += 1,
                    _ => panic!("{plain:?}"),
                }
            }
        }
        assert!(seen == 400 && (160..240).contains(&mirrored), "{mirrored}");
        assert_eq!(gather(&source, &[1], None)[0].to_f64_vec(), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
    }

    #[test]
    fn crops_come_from_everywhere_and_from_the_middle() {
        let crop = Transform::RandomCrop { height: 2, width: 2, padding: 1 };
        let source = augmented(&[crop], 1).unwrap();
        assert_eq!(source.fields()[0].row_shape, [1, 2, 2]);
        assert_eq!(gather(&source, &[0], None)[0].to_f64_vec(), [1.0, 2.0, 4.0, 5.0]);
        let mut seen = std::collections::BTreeSet::new();
        for epoch in 0..400 {
            let picture = gather(&source, &[0], Some(epoch))[0].to_f64_vec();
            seen.insert(picture.iter().map(|value| *value as i64).collect::<Vec<_>>());
        }
        // Three places down by four to the right, each its own picture.
        assert_eq!(seen.len(), 12);
        assert!(seen.contains(&vec![0, 0, 0, 1]) && seen.contains(&vec![6, 0, 0, 0]), "{seen:?}");
    }

    #[test]
    fn draws_follow_from_seed_epoch_and_row_alone() {
        let steps = [Transform::RandomCrop { height: 2, width: 3, padding: 2 }, Transform::Flip];
        let (source, again, other) =
            (augmented(&steps, 1).unwrap(), augmented(&steps, 1).unwrap(), augmented(&steps, 2).unwrap());
        let whole = gather(&source, &[3, 0, 1, 2], Some(5)).swap_remove(0);
        for (place, row) in [3, 0, 1, 2].into_iter().enumerate() {
            assert_eq!(gather(&again, &[row], Some(5))[0], whole.rows(place..place + 1));
        }
        assert_ne!(gather(&other, &[3, 0, 1, 2], Some(5))[0], whole);
        assert_ne!(gather(&source, &[3, 0, 1, 2], Some(6))[0], whole);
    }

    #[test]
    fn refusals() {
        let crop = |height, width, padding| augmented(&[Transform::RandomCrop { height, width, padding }], 0);
        assert!(crop(4, 5, 1).is_ok());
        for source in [crop(5, 3, 1), crop(2, 6, 1), crop(0, 1, 0), crop(1, 1, usize::MAX)] {
            assert_eq!(source.map(drop).unwrap_err().code, "E0645");
        }
        for field in ["label", "y"] {
            let augment = Augment { field: field.into(), transforms: vec![Transform::Flip] };
            assert_eq!(Augmented::new(pictures(), &[augment], 0).map(drop).unwrap_err().code, "E0645");
        }
    }
}
