//! What the pages show is true: their models check.

use base::{Color, Diagnostic, Format, SourceMap, has_errors, render_all};
use dev::Tree;
use grammar::ast::File;
use std::path::Path;

/// Models on a page: fences that say `model`.
fn models(page: &str) -> Vec<&str> {
    let fences = page.split("\n```").collect::<Vec<_>>();
    fences.iter().filter_map(|fence| fence.strip_prefix("model\n")).collect()
}

fn parse(name: &str, text: &str, sources: &mut SourceMap, faults: &mut Vec<Diagnostic>) -> File {
    let source = sources.add(name, text);
    let (file, found) = grammar::parse(&source);
    faults.extend(found);
    file
}

/// The faults of a text as a user would read them; empty where it is right.
fn faults(tree: &Tree, text: &str) -> String {
    let mut sources = SourceMap::new();
    let mut faults = Vec::new();
    let main = parse("page.model", text, &mut sources, &mut faults);
    let std: Vec<File> = tree
        .ending(".model")
        .filter(|file| file.path.starts_with("models/std/"))
        .map(|file| parse(&file.path, &file.text, &mut sources, &mut faults))
        .collect();
    assert!(std.len() > 5, "the library was found");
    let std: Vec<&File> = std.iter().collect();
    if !has_errors(&faults) {
        let program = sema::Program::new(&main, &[], &std, &mut faults);
        faults.extend(sema::check(&program, &sema::Options::default()));
    }
    render_all(&faults, &sources, Format::Human, Color::Never)
}

fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(test).expect("a thread");
    assert!(thread.join().is_ok(), "the test failed");
}

fn tree() -> Tree {
    Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the tree can be read")
}

#[test]
fn models_on_the_pages_check() {
    on_a_large_stack(|| {
        let tree = tree();
        for (path, least) in [("README.md", 1), ("docs/language.md", 7)] {
            let page = tree.get(path).expect("the page is there");
            let models = models(&page.text);
            assert!(models.len() >= least, "{path} shows {} models", models.len());
            for model in models {
                let faults = faults(&tree, model);
                assert!(faults.is_empty(), "{path}:\n{model}\n{faults}");
            }
        }
    });
}

#[test]
fn the_error_on_the_first_page_is_the_real_one() {
    on_a_large_stack(|| {
        let tree = tree();
        let broken = tree.get("models/demo/broken.model").expect("it is shipped");
        let page = &tree.get("README.md").expect("the page is there").text;
        let told = faults(&tree, &broken.text);
        // The file's name differs, so the lines that name it are left out.
        let picture = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| !line.contains(".model:"))
                .map(|line| line.trim_end().to_string())
                .collect()
        };
        assert!(told.starts_with("Error["), "{told}");
        let (told, shown) = (picture(&told), picture(page));
        assert!(
            shown.windows(told.len()).any(|lines| lines == told),
            "README.md does not show:\n{}",
            told.join("\n")
        );
    });
}
