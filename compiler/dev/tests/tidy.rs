//! The tree is tidy.

use dev::{Tree, tidy};
use std::path::Path;

#[test]
fn the_tree_is_tidy() {
    let tree =
        Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the tree can be read");
    assert!(tree.files.len() > 100, "the tree was found");
    let (errors, _) = tidy::check(&tree);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}
