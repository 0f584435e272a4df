//! Every code of this crate has a case, with the place it points at.

use base::{FileId, SourceFile};

#[test]
fn every_code_points_at_its_fault() {
    let cases = [
        ("E0101", "fn f(x) = x ? 1\n", "?"),
        ("E0102", "const a = \"open\n", "\"open"),
        ("E0103", "const a = 1e400\n", "1e400"),
        ("E0104", "fn f(x) = g(x\n", "("),
        ("E0106", "layr f(x) = x\n", "layr"),
        ("E0107", "fn f(x) = x +\n", "+"),
        ("E0108", "fn f(x) { x + 1 = 2; x }\n", "x + 1"),
        ("E0109", "fn f(x) { x + 1; x }\n", "x + 1"),
        ("E0110", "fn f(x: flaot) = x\n", "flaot"),
        ("E0111", "fn f(x: f32[sin(n)]) = x\n", "sin(n)"),
        ("E0112", "model M(x: f32) -> f32 { x }\n", "f32"),
        ("E0113", "fn f(x) = x ~= 1\n", "~="),
        ("E0114", "fn f(x) = g(a: 1, x)\n", "x"),
        ("E0115", "fn f(x) { y: 3; x }\n", ":"),
        ("E0116", "fn f(x) = x |> g + 1\n", "+"),
        ("E0117", "fn f(x) { layer g(y) = y; x }\n", "g"),
        ("E0118", "fn f(x) = 0 < x < 1\n", "<"),
    ];
    for (code, text, place) in cases {
        let source = SourceFile { id: FileId(0), name: "case.model".into(), text: text.into() };
        let (_, errors) = grammar::parse(&source);
        assert_eq!(errors.len(), 1, "{text}{errors:#?}");
        assert_eq!(errors[0].code, code, "{text}");
        let span = errors[0].span.expect("a place in the text");
        assert_eq!(&text[span.lo as usize..span.hi as usize], place, "{text}");
    }
}

#[test]
fn slips_of_the_finger_are_answered() {
    for (text, help) in
        [("layr f(x) = x\n", "did you mean `layer`?"), ("fn f(x: flaot) = x\n", "did you mean `float`?")]
    {
        let source = SourceFile { id: FileId(0), name: "case.model".into(), text: text.into() };
        let (_, errors) = grammar::parse(&source);
        assert_eq!(errors[0].help.as_deref(), Some(help));
    }
}
