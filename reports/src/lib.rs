//! Pages about what was measured: results of benchmarks, and training runs.
//! Input: JSON lines of `dlc bench`, which are not trusted; logs of `dlc train`. Output: one HTML file each.
//! Invariants: a page stands by itself (no script, nothing loaded, no address), is the same for the same input byte for
//! byte, and shows no speed of an arm whose answer was wrong; whatever a text holds, it stays a text.

mod arms;
mod chart;
mod figure;
mod html;
mod number;
mod page;
mod reading;
mod record;
mod results;
pub mod statistics;
mod table;
pub mod training;

pub use page::{PageOptions, page, quoted};
pub use reading::Limits;
pub use results::{Collector, Results};
