//! The canonical form keeps the tree and the comments, and is its own canonical form.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::{FileId, SourceFile};
use grammar::ast;

fn source(text: &str) -> SourceFile {
    SourceFile { id: FileId(0), name: "test.model".into(), text: text.into() }
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.find("//").map(|at| line[at..].trim_end())).collect()
}

#[track_caller]
fn round(text: &str) -> String {
    let (before, errors) = grammar::parse(&source(text));
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    let printed = grammar::format(&source(text)).unwrap();
    let (after, errors) = grammar::parse(&source(&printed));
    assert!(errors.is_empty(), "{errors:#?}\n{text}\n---\n{printed}");
    assert_eq!(ast::dump(&before), ast::dump(&after), "{text}\n---\n{printed}");
    assert_eq!(comments(text), comments(&printed), "{text}\n---\n{printed}");
    let again = grammar::format(&source(&printed)).unwrap();
    assert_eq!(again, printed, "not its own form:\n{text}");
    printed
}

fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "model"));
    paths.sort();
    assert!(paths.len() >= 10);
    paths.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn samples_keep_tree_and_comments() {
    for (_, text) in samples() {
        round(&text);
    }
}

#[test]
fn a_comment_anywhere() {
    let mut places = 0;
    for (name, text) in samples() {
        let tree = ast::dump(&grammar::parse(&source(&text)).0);
        for (_, span) in grammar::tokens(&source(&text)) {
            let (head, tail) = text.split_at(span.hi as usize);
            if tail.trim_start_matches(' ').starts_with("//") {
                continue;
            }
            for comment in [" // here\n", "\n// here\n", "\n\n\n    // here\n\n"] {
                let changed = format!("{head}{comment}{tail}");
                let (file, errors) = grammar::parse(&source(&changed));
                // where a line break ends something, this is another program
                if errors.is_empty() && ast::dump(&file) == tree {
                    round(&changed);
                    places += 1;
                }
            }
        }
        println!("{name}");
    }
    assert!(places > 3000, "{places}");
}

#[test]
fn spacing_is_canonical() {
    let messy = "use a.{ b,c as d , }\nconst  n=3\nconst m = 4\nfn f ( x:float [ ..s,n ] )->float[..s]=-x [ :,0,2 : 8 ]^ - 2*sum [k]  w[k]+g( 0 .. 3,a :1 , )\n\nlayer l(a:dim)(x:float[n])\n{\n\n    h:float[n]=x|>f|>repeat( 2 ) as b{g}( 1 )\n\n\n    if a{h}\n    else\n    {y=1;z=[ 1,2, ];-z}\n}\ntrain T{loss=mse ( p,t );keep={a:1 , b:{ c : 2 }}\n    epochs = 3 // last\n}\n";
    let expected = "\
use a.{b, c as d}

const n = 3
const m = 4

fn f(x: float[..s, n]) -> float[..s] = -x[:, 0, 2:8] ^ -2 * sum[k] w[k] + g(0..3, a: 1)

layer l(a: dim)(x: float[n]) {
    h: float[n] = x |> f |> repeat(2) as b { g }(1)

    if a { h } else { y = 1; z = [1, 2]; -z }
}

train T {
    loss = mse(p, t)
    keep = { a: 1, b: { c: 2 } }
    epochs = 3  // last
}
";
    let printed = round(messy);
    // the block after `else` had its brace on a line of its own, its statements on one
    assert_eq!(
        printed,
        expected.replace(
            "else {\n        y = 1\n        z = [1, 2]\n        -z\n    }",
            "else { y = 1; z = [1, 2]; -z }"
        )
    );
}

#[test]
fn breaks_of_the_author_stay() {
    let text = "\
/// About it.
model M(
    /// The input.
    x: f32[n],
) -> (y: f32[n]) {
    a    = x
    long = f(a, [1, 2],
        3)
    // in between
    y = x
        |> f  // one
        // two
        |> g(
            1,
        )
        |> repeat(2) as b {
            f
        }
}

layer l(a: dim)
    (x: f32[n]) -> f32[n] {
    a = if x {
        1
    } else {
        2
    }
    a * x
}
";
    assert_eq!(round(text), text);
}

#[test]
fn what_does_not_parse_is_not_printed() {
    assert!(grammar::format(&source("fn f(x) = = 1\n")).is_err());
    assert_eq!(grammar::format(&source("\n\n")).unwrap(), "");
    assert_eq!(grammar::format(&source("// c")).unwrap(), "// c\n");
}

#[test]
fn records_among_arguments() {
    let text = "train T{optimizer=adam(lr:1e-3,groups:{\"head.*\":{lr:1e-2,},\"trunk.*\":frozen})}\n";
    let printed = round(text);
    let expected = r#"optimizer = adam(lr: 1e-3, groups: { "head.*": { lr: 1e-2 }, "trunk.*": frozen })"#;
    assert!(printed.contains(expected), "{printed}");
    round(
        "train T {\n    optimizer = sgd(groups: {\n        // kept\n        \"a.*\": frozen\n        \"b\": { lr: 1 }\n    }, lr: 2)\n}\n",
    );
}
