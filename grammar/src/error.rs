//! The wording of what can be wrong with a text before its names are looked at: E01xx.

use base::{Diagnostic, Span};

pub(crate) fn unknown_text(span: Span, text: &str) -> Diagnostic {
    let help = match text {
        "&" | "&&" => Some("write `and`"),
        "|" | "||" => Some("write `or`; a pipe is `|>`"),
        "!" => Some("write `not`, or `!=` to compare"),
        "#" => Some("a comment begins with `//`"),
        "~" => Some("`~=` compares within a tolerance; `not` negates"),
        _ if !text.is_ascii() => Some("names are made of the letters a to z, digits and `_`"),
        _ => None,
    };
    let shown: String = text.chars().take(20).flat_map(char::escape_debug).collect();
    Diagnostic::error("E0101", format!("`{shown}` is no part of the language"))
        .label(span, "not understood")
        .maybe_help(help.map(str::to_string))
}

pub(crate) fn open_string(span: Span) -> Diagnostic {
    Diagnostic::error("E0102", "this string is not closed")
        .label(span, "begins here")
        .help("a string ends with `\"` on the same line; a line break inside it is written `\\n`")
}

pub(crate) fn quoted_string(span: Span) -> Diagnostic {
    Diagnostic::error("E0102", "a string is written with double quotes").label(span, "write `\"…\"`")
}

pub(crate) fn bad_escape(span: Span, escape: char) -> Diagnostic {
    Diagnostic::error("E0102", format!("`\\{}` is no escape", escape.escape_debug()))
        .label(span, "in this string")
        .help("the escapes are `\\n`, `\\t`, `\\\"` and `\\\\`")
}

pub(crate) fn number_too_large(span: Span, largest: &str) -> Diagnostic {
    Diagnostic::error("E0103", "this number is too large")
        .label(span, format!("the largest that can be written is {largest}"))
}

pub(crate) fn not_closed(open: Span, bracket: &str) -> Diagnostic {
    Diagnostic::error("E0104", format!("this `{bracket}` is not closed")).label(open, "opened here")
}

pub(crate) fn nothing_to_close(span: Span, bracket: &str) -> Diagnostic {
    Diagnostic::error("E0104", format!("nothing is open here for this `{bracket}` to close"))
        .label(span, "one too many, or its partner is missing")
}

pub(crate) fn wrong_closer(span: Span, bracket: &str, open: Span, opener: &str) -> Diagnostic {
    Diagnostic::error("E0104", format!("`{bracket}` does not close `{opener}`"))
        .label(span, "closed here")
        .label(open, "opened here")
}

pub(crate) fn nested_too_deeply(span: Span, limit: usize) -> Diagnostic {
    Diagnostic::error("E0105", format!("more than {limit} brackets inside one another"))
        .label(span, "one level too many")
        .help("bind a part to a name")
}

pub(crate) fn expression_too_deep(span: Span, limit: u16) -> Diagnostic {
    Diagnostic::error("E0105", format!("this expression is more than {limit} operations deep"))
        .label(span, "begins here")
        .help("bind a part of it to a name")
}

pub(crate) fn file_too_large(span: Span) -> Diagnostic {
    Diagnostic::error("E0105", "this file is larger than 1 GiB").at(span)
}

/// `found` as the reader sees it, `expected` where the grammar leaves few ways.
pub(crate) fn unexpected(span: Span, found: &str, expected: &[String]) -> Diagnostic {
    let error = Diagnostic::error("E0106", format!("unexpected {found}"));
    match expected {
        [] => error.label(span, "not expected here"),
        some => error.label(span, format!("expected {}", some.join(" or "))),
    }
}

pub(crate) fn needs_name(span: Span, word: &str) -> Diagnostic {
    let what = if word == "test" { "a title, `test \"…\" { … }`" } else { "a name" };
    Diagnostic::error("E0106", format!("`{word}` begins an item, which needs {what}"))
        .label(span, format!("expected {what} after this"))
}

pub(crate) fn not_an_item(span: Span, suggestion: Option<&str>) -> Diagnostic {
    Diagnostic::error("E0106", "no item begins like this")
        .label(span, "expected `fn`, `layer`, `model`, `train`, …")
        .help(match suggestion {
            Some(word) => format!("did you mean `{word}`?"),
            None => "items are `use`, `const`, `fn`, `layer`, `model`, `optimizer`, `train`, `bench`, `test` and `weights`".into(),
        })
}

pub(crate) fn missing_after(span: Span, text: &str) -> Diagnostic {
    Diagnostic::error("E0107", format!("something is missing after `{text}`"))
        .label(span, "the line ends too early")
}

pub(crate) fn left_side(span: Span) -> Diagnostic {
    Diagnostic::error("E0108", "this cannot be bound")
        .label(span, "the left of `=` is a name, names with commas, or a name with indices")
        .help("to compare, write `==`")
}

pub(crate) fn left_of_write(span: Span) -> Diagnostic {
    Diagnostic::error("E0108", "this cannot be written")
        .label(span, "the left of `<-` is the name of a `state`")
        .help("to compare with a negative number, write `a < -b`")
}

pub(crate) fn stray_where(span: Span) -> Diagnostic {
    Diagnostic::error("E0108", "`where` states the ranges of an index equation")
        .label(span, "this binding has no indices")
        .help("write `y[i, j] = … where i in 0..h`")
}

pub(crate) fn unused_value(span: Span) -> Diagnostic {
    Diagnostic::error("E0109", "this value is not used")
        .label(span, "only the last expression of a block is its result")
        .help("bind it: `name = …`, or `_ = …` to discard it")
}

pub(crate) fn several_values(span: Span) -> Diagnostic {
    Diagnostic::error("E0109", "several results are written in parentheses").label(span, "write `(a, b)`")
}

pub(crate) fn unknown_type(span: Span, word: &str, suggestion: Option<&str>) -> Diagnostic {
    Diagnostic::error("E0110", format!("`{word}` is no type"))
        .label(span, "expected a dtype such as `f32`, `float`, `i32` or `bool`, or `int` or `dim`")
        .did_you_mean(span, suggestion)
}

/// What other frameworks call a dtype.
pub(crate) fn dtype_elsewhere(word: &str) -> Option<&'static str> {
    Some(match word {
        "float32" | "single" => "f32",
        "float64" | "double" => "f64",
        "float16" | "half" => "f16",
        "bfloat16" => "bf16",
        "int8" => "i8",
        "int16" => "i16",
        "int32" => "i32",
        "int64" | "long" => "i64",
        "uint8" | "byte" => "u8",
        "boolean" => "bool",
        _ => return None,
    })
}

pub(crate) fn not_a_dimension(span: Span) -> Diagnostic {
    Diagnostic::error("E0111", "this is no dimension").label(
        span,
        "a dimension is made of integers and names with `+ - * / %`, `div`, `ceil_div`, `min` and `max`",
    )
}

pub(crate) fn rest_not_leading(span: Span) -> Diagnostic {
    Diagnostic::error("E0111", "`..` stands for leading dimensions only")
        .label(span, "move it to the front of the type")
}

pub(crate) fn too_many_lists(span: Span, most: &str) -> Diagnostic {
    Diagnostic::error("E0112", "one list of parameters too many").label(span, format!("expected {most}"))
}

pub(crate) fn optimizer_lists(span: Span) -> Diagnostic {
    Diagnostic::error("E0112", "an optimizer has two lists of parameters")
        .label(span, "this one has another number")
        .help("write `optimizer sgd(lr: float)(p, g) { … }`: configuration, then parameter and gradient")
}

pub(crate) fn unnamed_outputs(span: Span) -> Diagnostic {
    Diagnostic::error("E0112", "the outputs of a model have names")
        .label(span, "not named")
        .help("write `-> (y: f32[n])` and bind `y` in the body")
}

pub(crate) fn no_outputs(span: Span) -> Diagnostic {
    Diagnostic::error("E0112", "a model states its outputs")
        .label(span, "no `->` after the inputs")
        .help("write `-> (y: f32[n])` and bind `y` in the body")
}

pub(crate) fn some_results_named(span: Span) -> Diagnostic {
    Diagnostic::error("E0112", "either all results have names or none")
        .label(span, "some are named, some are not")
}

pub(crate) fn body_needs_braces(span: Span, word: &str) -> Diagnostic {
    Diagnostic::error("E0112", format!("the body of a `{word}` is written in braces"))
        .label(span, "write `{ … }`")
}

pub(crate) fn near_outside_assert(span: Span) -> Diagnostic {
    Diagnostic::error("E0113", "`~=` stands only in `assert a ~= b`")
        .label(span, "not the comparison of an `assert`")
        .help("in a model, compare with `abs(a - b) < 1e-6`")
}

pub(crate) fn stray_within(span: Span) -> Diagnostic {
    Diagnostic::error("E0113", "`within` belongs to `assert a ~= b`")
        .label(span, "there is no `~=` before it")
}

pub(crate) fn message_not_string(span: Span) -> Diagnostic {
    Diagnostic::error("E0113", "the message is a string").label(span, "expected `\"…\"`")
}

pub(crate) fn positional_after_named(span: Span, named: Span) -> Diagnostic {
    Diagnostic::error("E0114", "an argument without a name follows one with a name")
        .label(span, "has no name")
        .label(named, "has a name")
        .help("arguments by position come first")
}

pub(crate) fn record_misplaced(span: Span) -> Diagnostic {
    Diagnostic::error("E0115", "braces are no value here").label(
        span,
        "a record stands only as the value of a key in `train` or `bench`, or of a named argument",
    )
}

pub(crate) fn key_misplaced(span: Span) -> Diagnostic {
    Diagnostic::error("E0115", "`key: value` stands only in a record or among arguments")
        .label(span, "unexpected `:`")
        .replace(span, " =")
        .help("a binding is `name = value`, or `name: type = value`")
}

pub(crate) fn equals_in_arguments(span: Span) -> Diagnostic {
    Diagnostic::error("E0115", "an argument is named with `:`, as in `f(x, rate: 0.1)`")
        .label(span, "unexpected `=`")
        .replace(span, ":")
        .help("write `:` in place of `=`")
}

pub(crate) fn binding_in_record(span: Span) -> Diagnostic {
    Diagnostic::error("E0115", "in a record, `:` stands between a key and its value").label(span, "write `:`")
}

pub(crate) fn pipe_target(span: Span) -> Diagnostic {
    Diagnostic::error("E0116", "the right of `|>` is a name, a call, `repeat`, `if` or parentheses")
        .label(span, "nothing can be piped into this")
}

pub(crate) fn operator_after_pipe(span: Span, operator: &str) -> Diagnostic {
    Diagnostic::error("E0116", format!("`{operator}` cannot follow the right of `|>`"))
        .label(span, "unexpected")
        .help(format!("write `(x |> f) {operator} …`, or `x |> (… {operator} …)`"))
}

pub(crate) fn item_in_body(span: Span, word: &str) -> Diagnostic {
    Diagnostic::error("E0117", format!("a `{word}` cannot be defined inside a body"))
        .label(span, "only a `fn` may stand here")
        .help("move it to the top level of the file")
}

pub(crate) fn comparison_chain(span: Span) -> Diagnostic {
    Diagnostic::error("E0118", "comparisons do not chain")
        .label(span, "the second comparison")
        .help("write `a < b and b < c`")
}

pub(crate) fn more_errors(count: usize) -> Diagnostic {
    Diagnostic::error("E0119", format!("and {count} more mistakes that are not shown"))
}
