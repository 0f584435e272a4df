//! What parses and as what, what does not and what is said about it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::{FileId, SourceFile};
use grammar::ast;

fn source(text: &str) -> SourceFile {
    SourceFile { id: FileId(0), name: "test.model".into(), text: text.into() }
}

/// The dump of a text without mistakes.
fn tree(text: &str) -> String {
    let (file, errors) = grammar::parse(&source(text));
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    ast::dump(&file)
}

/// Lines and codes of what is wrong.
fn mistakes(text: &str) -> Vec<(usize, &'static str)> {
    let source = source(text);
    let (_, errors) = grammar::parse(&source);
    errors
        .iter()
        .map(|error| (source.line_column(error.span.map_or(0, |span| span.lo)).0, error.code))
        .collect()
}

#[track_caller]
fn wrong(text: &str, expected: &[(usize, &'static str)]) {
    let found = mistakes(text);
    assert_eq!(found, expected, "{:#?}\n{text}", grammar::parse(&source(text)).1);
}

fn without_parens(text: &str) -> String {
    // a `paren` line and the indentation below it
    let mut out = String::new();
    let mut parens: Vec<usize> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        parens.retain(|&paren| paren < indent);
        if line.trim() == "paren" {
            parens.push(indent);
        } else {
            out.push_str(&line[2 * parens.len()..]);
            out.push('\n');
        }
    }
    out
}

#[test]
fn samples() {
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "model") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!tree(&text).lines().any(|line| line.trim() == "error"), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 10);
}

#[test]
fn precedence() {
    let table = [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b @ c % d", "((a / b) @ c) % d"),
        ("sum[k] a * b + c", "(sum[k] (a * b)) + c"),
        ("sum[k] a[k] * b[k] / d - e", "(sum[k] ((a[k] * b[k]) / d)) - e"),
        ("a * sum[k] b * c + d", "(a * (sum[k] (b * c))) + d"),
        ("sum[i] a * sum[j] b * c", "sum[i] (a * (sum[j] (b * c)))"),
        ("-sum[k] a * b", "-(sum[k] (a * b))"),
        ("a - -sum[k] b + c", "(a - (-(sum[k] b))) + c"),
        ("sum[k] x[k] ^ 2", "sum[k] (x[k] ^ 2)"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("x ^ -2", "x ^ (-2)"),
        ("x ^ -y ^ z", "x ^ (-(y ^ z))"),
        ("-x ^ 2", "-(x ^ 2)"),
        ("-x * y", "(-x) * y"),
        ("a * -b ^ 2", "a * (-(b ^ 2))"),
        ("-x[0].w(1)", "-(((x[0]).w)(1))"),
        ("not a == b and c or d", "((not (a == b)) and c) or d"),
        ("not not a", "not (not a)"),
        ("a or b and c", "a or (b and c)"),
        ("a < b + 1", "a < (b + 1)"),
        ("a + b |> f |> g(1)", "(a + b) |> f |> g(1)"),
        ("a == b |> f", "(a == b) |> f"),
        ("if a { b } else { c } + 1", "(if a { b } else { c }) + 1"),
        ("max - min * mean", "max - (min * mean)"),
        ("sum(x) * max(y)", "(sum(x)) * (max(y))"),
        ("x |> repeat(3) as b { f }(m) |> g", "x |> (repeat(3) as b { f })(m) |> g"),
    ];
    for (short, full) in table {
        let bare = |text: &str| without_parens(&tree(&format!("fn f(x) = {text}")));
        assert_eq!(bare(short), bare(full), "{short}");
    }
}

#[test]
fn every_construct() {
    let texts = [
        // newlines
        "fn f(x) {\n    a = x\n        + 1\n    b = a -\n        1\n    a\n    |> g\n    // between\n\n    |> h\n}\n",
        "fn f(x)\n{\n    if x\n    {\n        a\n    }\n    else\n    {\n        b\n    }\n}\n",
        "layer f(a: dim)\n       (x: float[n])\n    -> float[n]\n{ x }\n\nmodel M(c: int = 1)\n(x: f32[n])\n-> (y: f32[n]) { y = x }\n",
        "fn f(x) =\n    // why\n    x\n    and y\n",
        "fn f(x) { ; ; a = x ; ; b = a ;\n; b }\nconst a = 1; const b = 2;\n",
        "fn f(x) { g(if x {\n        a = 1\n        a\n    } else { b }, [1,\n 2,\n]) }\n",
        "// only a comment",
        "",
        "\n\n\n",
        "\u{feff}const a = 1",
        // words
        "layer bn(momentum: float = 0.9)(x: float[n, c]) -> float[n, c] {\n    state mean: float[c] = zeros()\n    mean <- momentum * mean + m\n    clip(x - mean, min: 0, max: 1)\n}\n",
        "fn f(model, state, train, layer, weights, from, max) {\n    state = layer(model)\n    train, test = split(weights)\n    param |> from\n}\n",
        "fn f(x) = scan(f, x, remat: true, if: 1, where: 2, model: 3, not: x.if.param)\n",
        "train T { loss = a; model = b; state = c; test = [infer, train]; on = { if: 1, every: epoch, in: { a: 1 } } }\n",
        "train T {\n    keep = {\n        a: 1\n        b: 2,\n        c: { d: 3, },\n    }\n}\n",
        "fn f(x) {\n    a = remat { b = x; b + 1 }\n    remat {\n        a\n    }\n}\n",
        "fn f(x) { if x { if y { a } else if z { b } else { c } } else { d } }\n",
        "weights W from \"x\" { \"a.*\" = \"b.*\"\n // c\n \"d\" = transposed(\"e\") }\n",
        "use blocks.{encoder, decoder as dec,}\nuse a.b.{\n    c,\n}\n",
        "optimizer sgd(lr: float, momentum: float = 0)(p, g) {\n    state v = zeros_like(p)\n    v <- momentum * v + g\n    p - lr * v\n}\n",
        "fn f(x) { h = x |> repeat(2) as block { g }(mask) |> repeat(3 * n) as b { if t { g } else { h } }\n h[.., -1][:, 0, 2:8][a:, :b][i, j][::2][1:9:2] }\n",
        "fn f(x: float[..s, n / 2, div(a, b), min(a, 3) % 2]) -> (float[..s], f32) = (a, b)\n",
        "fn f(x) = h(0..64, \"v1\"..\"v20\", 1_000.5e-3, x: 0..n, w: block.0.attn.w, v: a.0.1.w)\n",
        "train F(target: f32[b, 1], within: i32) { loss = mse(p, target) }\n",
        "test \"t\" { within = 1; assert a ~= b within 1e-3 * within, \"m\"; assert a ~= b within 1 }\n",
        "fn f(x) {\n    h: float[..s, 64] = x |> g\n    n: int = 3\n    _, (a) = 1\n    h\n}\n".replace("_, (a) = 1", "_, a = k(x)").as_str(),
        "fn f(x) {\n    c[i] = x[i]\n        where i in 0..3, j in 0..h - 1\n    max(c, 1)\n}\r\n",
        "fn f(x) {\n    a = \"q\\\"u\\n\\t\\\\\"\n    [true, false, pi, inf, nan, -inf]\n}\n",
        "test \"t\" {\n    fn cost(w: f32[2]) -> f32 = sum(w)\n    assert grad(cost(w), wrt: w) ~= [1.0]\n}\n",
    ]
    .map(str::to_string);
    for text in texts {
        tree(&text);
    }
}

#[test]
fn line_breaks_end_statements() {
    assert_eq!(
        tree("fn f(x) {\n    y = x\n      - 1\n    if y { -y }\n    -y\n}\n").matches("unary").count(),
        2
    );
    let dump = tree("fn f(x) {\n    a = x\n    (b)\n}\n");
    assert!(!dump.contains("call"), "{dump}");
}

#[test]
fn docs_belong_to_what_follows() {
    let dump = tree(
        "/// About f,\n/// in two lines.\nfn f(\n    /// an input\n    x: f32,\n) {\n    // plain\n    /// the double\n    y = 2 * x /// not a doc\n    y\n}\n",
    );
    let docs: Vec<&str> = dump.lines().map(str::trim).filter(|line| line.starts_with("doc")).collect();
    assert_eq!(docs, ["doc \"About f,\\nin two lines.\"", "doc \"an input\"", "doc \"the double\""]);
}

#[test]
fn one_error_a_mistake() {
    wrong(
        "fn f(x) {\n    a = = x\n    b = x x\n    c = (x + )\n    d = x\n    d\n}\n",
        &[(2, "E0106"), (3, "E0106"), (4, "E0106")],
    );
    wrong(
        "modle M(x) { y = = 1 }\nfn g(x) = x +\nconst c 3\nconst d = 4\n",
        &[(1, "E0106"), (2, "E0107"), (3, "E0106")],
    );
    wrong(
        "model A(x: f32[n]) -> (y: f32[n]) {\n    y = f(x\n}\nmodel B(x: f32[n]) -> (y: f32[n]) {\n    y = x ) \n}\n",
        &[(2, "E0104"), (5, "E0104")],
    );
    wrong(
        "model A(x: f32[n]) -> (y: f32[n]) {\n    a = f(x,\n    b = g(a)\n    y = b b\n}\n",
        &[(2, "E0104"), (4, "E0106")],
    );
    wrong(
        "model A(x: f32[n]) -> (y: f32[n]) {\n    if c {\n        y = x\n    z = 3\n}\nmodel B(x: f32[n]) -> (y: f32[n]) {\n    y = = x\n}\n",
        &[(2, "E0104"), (7, "E0106")],
    );
    wrong(
        "model A(x: f32[n]) -> (y: f32[n]) {\n    y = x }\n    z = x\n    w = 1\n}\nmodel B(x: f32[n]) -> (y: f32[n]) { y = = x }\n",
        &[(3, "E0106"), (6, "E0106")],
    );
    wrong(
        "fn f(x) {\n    a = if x = 3 {\n        b = = 1\n        c = 2\n        c d\n    } else { x x }\n    a a\n}\n",
        &[(2, "E0106"), (3, "E0106"), (5, "E0106"), (6, "E0106"), (7, "E0106")],
    );
    wrong(
        "train T {\n    a = { b: 1, c = 2, d: 3 }\n    b : 3\n    c = { x: = 1\n y: 2\n z: z z }\n    d = 1\n}\n",
        &[(2, "E0115"), (3, "E0115"), (4, "E0106"), (6, "E0106")],
    );
    wrong(
        "fn f(x) {\n    a = 'abc'\n    b = x && y\n    c = \"open\n    d = x ** 2\n    e = a $ b\n    e\n}\n",
        &[(2, "E0102"), (3, "E0101"), (4, "E0102"), (5, "E0106"), (6, "E0101")],
    );
    wrong(
        "fn f(x) = f(x]\nfn g(x) = f([x)\nfn h(x) = f(x])\nfn i(x) = x]\n",
        &[(1, "E0104"), (2, "E0104"), (3, "E0104"), (4, "E0104")],
    );
    wrong("fn f(x) {\n    y = x +\n    z = 3\n    z\n}\n", &[(2, "E0107")]);
    wrong(
        "layer\nfn\nfn f\nfn f(x\nfn g(x) = 1\n",
        &[(1, "E0106"), (2, "E0106"), (3, "E0106"), (4, "E0104")],
    );
    wrong("}\n", &[(1, "E0104")]);
    wrong("((((\n", &[(1, "E0104")]);
    wrong(
        "model M(x: f32[batch 20], z: f32) -> (y: f32[n]) {\n    a = = 1\n    y = x\n}\nfn g(x) = = 1\n",
        &[(1, "E0106"), (2, "E0106"), (5, "E0106")],
    );
}

#[test]
fn form_is_checked() {
    wrong(
        "fn f(x) {\n    x + 1 = 2\n    f(x) = 3\n    a, b\n    a[0] = 1\n    x <-1\n    a.b <- 2\n    y = { a: 1 }\n    a: 3\n    x |> f = 2\n    y\n}\n",
        &[
            (2, "E0108"),
            (3, "E0108"),
            (4, "E0109"),
            (5, "E0108"),
            (7, "E0108"),
            (8, "E0115"),
            (9, "E0115"),
            (10, "E0108"),
        ],
    );
    wrong("fn f(x: float[n, ..s], y: float[x |> f]) -> (a: f32, f32) = g(a: 1, 2)\n", &[(1, "E0111")]);
    wrong(
        "model M(x) { }\nmodel N(x) -> f32 { }\nmodel O(x) -> (f32) { x }\nfn g(x)(y)(z) = 1\noptimizer o(p) { p }\nmodel P(x) -> (y: f32) = x\n",
        &[(1, "E0112"), (2, "E0112"), (3, "E0112"), (4, "E0112"), (5, "E0112"), (6, "E0112")],
    );
    wrong(
        "fn f(x) {\n    state x y\n    model M(x) -> (y: f32) { y = x }\n    assert\n    require a == b, 3\n    if a b\n    x\n}\n",
        &[(2, "E0106"), (3, "E0117"), (4, "E0106"), (5, "E0113"), (6, "E0106")],
    );
    wrong(
        "test \"t\" {\n    assert a == b within 1\n    require a ~= b\n    y = a within 3\n    z = a ~= b\n}\n",
        &[(2, "E0113"), (3, "E0113"), (4, "E0106"), (5, "E0113")],
    );
    wrong(
        "use blocks.{a b}\nuse blocks\nuse x.{a.b}\nconst c = 1\n",
        &[(1, "E0106"), (2, "E0106"), (3, "E0106")],
    );
    wrong(
        "fn f(x) {\n    y = x |> g + 1 |> h\n    z = a < b < c\n    w = x[0..3]\n    v = 2(x)\n    u = x |> 3\n    y\n}\n",
        &[(2, "E0116"), (3, "E0118"), (4, "E0106"), (5, "E0106"), (6, "E0116")],
    );
    wrong("fn f(x: folat) = 99999999999999999999 + 1e999\n", &[(1, "E0110")]);
    wrong(
        "fn f(x) = 9223372036854775808\nfn g(x) = 1e999\nfn h(x) = \"\\q\"\n",
        &[(1, "E0103"), (2, "E0103"), (3, "E0102")],
    );
    wrong("fn f(x) {\n    x + 1\n    x\n}\n", &[(2, "E0109")]);
    wrong("fn f(x) {\n    a = x where i in 0..3\n    a\n}\n", &[(2, "E0108")]);
    wrong("fn f(x) = sum[1]\n", &[(1, "E0106")]);
}

#[test]
fn depth_is_bounded() {
    let deep = [
        ("(", ")"),
        ("[", "]"),
        ("f(", ")"),
        ("-", ""),
        ("not ", ""),
        ("x ^ ", ""),
        ("x ^ -", ""),
        ("sum[k] ", ""),
        ("x + ", ""),
        ("x @ ", ""),
        ("x * sum[k] ", ""),
        ("x[", "]"),
        ("(", ""),
        ("", ")"),
        ("", "(x)"),
        ("", ".a"),
        ("if c { ", " } else { x }"),
        ("remat { ", "}"),
        ("remat { y = ", "}"),
        ("{ a: ", "}"),
        ("(fn", ")"),
        ("{", "}"),
    ];
    let n = 200_000;
    for (open, close) in deep {
        let text =
            format!("fn f(x) {{\n    y = {}x{}\n    y\n}}\nfn g(x) = = x\n", open.repeat(n), close.repeat(n));
        let found = mistakes(&text);
        assert!(found.len() <= 4 && !found.is_empty(), "{open:?} {close:?}: {found:?}");
        assert!(found.iter().any(|(_, code)| matches!(*code, "E0104" | "E0105" | "E0106")));
        assert!(found.contains(&(5, "E0106")), "{open:?}: {found:?}");
    }
    for flat in ["x |> ", "if a { x } else "] {
        let last = if flat.starts_with('x') { "f" } else { "{ x }" };
        tree(&format!("fn f(x) = {}{last}\n", flat.repeat(20_000)));
    }
    tree(&format!("fn f(x) = {}x\n", "x + ".repeat(480)));
    for (open, close) in [("(", ")"), ("-", ""), ("f(", ")"), ("x ^ ", ""), ("if c { ", " } else { x }")] {
        tree(&format!("fn f(x) = {}x{}\n", open.repeat(150), close.repeat(150)));
    }
}

#[test]
fn many_mistakes_are_counted() {
    let text = format!(
        "fn f(x) {{\n{}    x\n}}\n",
        "    y = = x\n    )\n    assert a ~= b\n    z = a ~= b\n".repeat(20_000)
    );
    let (_, errors) = grammar::parse(&source(&text));
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100].message, "and 59900 more mistakes that are not shown");
    assert_eq!(errors[100].code, "E0119");
    // Just above the limit.
    let text = format!("fn f(x) {{\n{}    x\n}}\n", "    y = = x\n".repeat(102));
    let (_, errors) = grammar::parse(&source(&text));
    let last = errors.last().map(|last| (last.code, last.message.as_str()));
    assert_eq!((errors.len(), last), (101, Some(("E0119", "and 2 more mistakes that are not shown"))));
}

#[test]
fn tokens_have_their_places() {
    let text = "const a = 1 // one\n";
    let source = source(text);
    let words: Vec<_> = grammar::tokens(&source)
        .into_iter()
        .map(|(kind, span)| (kind.label(), &text[span.lo as usize..span.hi as usize]))
        .collect();
    assert_eq!(
        words,
        [("keyword", "const"), ("name", "a"), ("punctuation", "="), ("integer", "1"), ("end of item", "")]
    );
}

#[test]
fn a_record_is_the_value_of_a_named_argument() {
    let text = "train T { optimizer = adam(1e-3, groups: { \"head.*\": { lr: 1e-2 }, rest: frozen }) }";
    let expected = "train T
  key optimizer
    call
      name adam
      float 1e-3
      groups:
        record
          key head.*
            record
              key lr
                float 1e-2
          key rest
            name frozen
";
    assert_eq!(tree(text), expected);
    wrong("train T { optimizer = adam(groups: { \"a\" }) }", &[(1, "E0106")]);
    wrong("fn f(x) = g(x, a: { b: 1 } + 2)", &[(1, "E0106")]);
    wrong("train T { keep = { \"a\" = 1 } }", &[(1, "E0115")]);
}
