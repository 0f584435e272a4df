//! A page as large as the real one.

use crate::{invented, page_of, valid};
use std::{fs, path::Path};

#[test]
fn a_whole_page_is_valid_small_and_the_same_each_time() {
    let text = invented::whole();
    let page = page_of(&text);
    // For people who want to look at it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("invented.jsonl"), &text).unwrap();
    fs::write(folder.join("invented.html"), &page).unwrap();
    valid::check(&page);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert_eq!(page, page_of(&text));
}
