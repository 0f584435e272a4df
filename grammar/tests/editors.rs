//! The TextMate grammar for editors is generated from the word lists of the lexer. `DLC_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use grammar::{CONSTANTS, POSITIONAL, RESERVED, ast::Reduction, ast::TypeName};
use serde_json::json;

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join("|")
}

fn text_mate() -> String {
    let (declarations, others): (Vec<&str>, Vec<&str>) =
        POSITIONAL.iter().partition(|word| !matches!(**word, "test" | "from" | "within"));
    let name = "[A-Za-z_][A-Za-z0-9_]*";
    let grammar = json!({
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "model",
        "scopeName": "source.model",
        "fileTypes": ["model"],
        "patterns": [
            { "name": "comment.line.documentation.model", "match": "///.*$" },
            { "name": "comment.line.double-slash.model", "match": "//.*$" },
            {
                "name": "string.quoted.double.model",
                "begin": "\"",
                "end": "\"|$",
                "patterns": [{ "name": "constant.character.escape.model", "match": "\\\\[nt\"\\\\]" }]
            },
            { "name": "constant.numeric.model", "match": "\\b[0-9](_?[0-9])*(\\.[0-9](_?[0-9])*)?([eE][+-]?[0-9]+)?\\b" },
            {
                "match": format!("(?:^|(?<=[;{{]))\\s*({})\\s+({name})", words(declarations)),
                "captures": {
                    "1": { "name": "keyword.declaration.model" },
                    "2": { "name": "entity.name.model" }
                }
            },
            { "name": "keyword.other.model", "match": format!("\\b({})\\b(?=\\s+[\"0-9])", words(others)) },
            { "name": "variable.parameter.model", "match": format!("\\b{name}(?=\\s*:(?!:))") },
            { "name": "keyword.control.model", "match": format!("(?<!\\.)\\b({})\\b", words(RESERVED)) },
            { "name": "constant.language.model", "match": format!("(?<!\\.)\\b({})\\b", words(CONSTANTS)) },
            {
                "name": "support.function.reduction.model",
                "match": format!("(?<!\\.)\\b({})\\b(?=[\\[(])", words(Reduction::ALL.map(|(_, word)| word)))
            },
            { "name": "storage.type.model", "match": format!("\\b({})\\b", words(TypeName::ALL.map(|(_, word)| word))) },
            { "name": "entity.name.function.model", "match": format!("\\b{name}(?=\\()") },
            { "name": "keyword.operator.model", "match": "\\|>|<-|->|~=|==|!=|<=|>=|\\.\\.|[-+*/%^@<>=]" }
        ]
    });
    serde_json::to_string_pretty(&grammar).unwrap() + "\n"
}

#[test]
fn text_mate_grammar_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/editors/model.tmLanguage.json");
    let current = text_mate();
    if std::env::var_os("DLC_BLESS").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == current, "{path} is not what the word lists give: run with DLC_BLESS=1");
}

#[test]
fn word_lists_are_those_of_the_lexer() {
    let kinds = |text: &str| {
        let source = base::SourceFile { id: base::FileId(0), name: "w.model".into(), text: text.into() };
        grammar::tokens(&source).first().map(|(kind, _)| kind.label())
    };
    for word in RESERVED {
        assert!(matches!(kinds(&format!("{word} x")), Some("keyword" | "operator")), "{word}");
    }
    for word in CONSTANTS {
        assert_eq!(kinds(word), Some("constant"), "{word}");
    }
    for word in POSITIONAL {
        let after = match word {
            "test" => "\"t\"",
            "from" | "within" => continue,
            _ => "name",
        };
        assert_eq!(kinds(&format!("{word} {after}")), Some("keyword"), "{word}");
        assert_eq!(kinds(&format!("{word} = 1")), Some("name"), "{word}");
    }
    for (_, word) in Reduction::ALL {
        assert_eq!(kinds(&format!("{word}[k] x")), Some("reduction"), "{word}");
        assert_eq!(kinds(&format!("{word}(x)")), Some("name"), "{word}");
    }
}
