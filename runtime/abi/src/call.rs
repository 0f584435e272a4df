//! How entry points become C functions: their names, and the order of their parameters.

use crate::{Entry, Manifest, Role};

/// A C function that runs an entry point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    Run,
    Init,
    /// Takes every batch of an update but the last, where updates take several.
    Accumulate,
    Step,
    Eval,
}

/// The parameters of a function: its dynamic dimensions, then inputs, then outputs. Everything else lives in the handle.
pub struct Call<'a> {
    pub function: Function,
    /// Index among the manifest's entries.
    pub index: usize,
    pub entry: &'a Entry,
    /// Indices of arguments.
    pub inputs: Vec<usize>,
    /// Indices of results.
    pub outputs: Vec<usize>,
}

impl Function {
    pub const ALL: [Function; 5] =
        [Function::Run, Function::Init, Function::Accumulate, Function::Step, Function::Eval];

    /// Of the entry, and the end of the C name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Run => "run",
            Function::Init => "init",
            Function::Accumulate => "accumulate",
            Function::Step => "step",
            Function::Eval => "eval",
        }
    }
}

impl<'a> Call<'a> {
    /// Whether the function takes the share of its batch in the rows of an update.
    pub fn takes_share(&self) -> bool {
        self.takes("share")
    }

    /// Whether its learning rate waits for a plateau.
    pub fn takes_rate_scale(&self) -> bool {
        self.takes("lr_scale")
    }

    fn takes(&self, control: &str) -> bool {
        self.entry.args.iter().any(|arg| arg.role == Role::Control && arg.name == control)
    }

    /// The functions that a manifest's entries give, in a fixed order.
    pub fn all(manifest: &'a Manifest) -> Vec<Call<'a>> {
        let find = |function: Function| {
            let index = manifest.entries.iter().position(|entry| entry.name == function.name())?;
            let entry = &manifest.entries[index];
            let inputs = (0..entry.args.len()).filter(|arg| entry.args[*arg].role == Role::Input).collect();
            let kept = |role| matches!(role, Role::Weight | Role::State | Role::Optimizer | Role::Gradient);
            let outputs = (0..entry.results.len()).filter(|i| !kept(entry.results[*i].role)).collect();
            Some(Call { function, index, entry, inputs, outputs })
        };
        Function::ALL.into_iter().filter_map(find).collect()
    }
}

/// The prefix of a model's C names: its name in snake case. `HTTPServer2` gives `http_server2`.
pub fn c_prefix(model: &str) -> String {
    let letters: Vec<char> = model.chars().collect();
    let mut prefix = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && (letters[i - 1].is_lowercase() || letters[i - 1].is_ascii_digit());
        let starts_word = i > 0
            && letters[i - 1].is_uppercase()
            && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_small || starts_word) {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_lowercase());
    }
    c_name(&prefix)
}

/// A C identifier close to `name`.
pub fn c_name(name: &str) -> String {
    let mut text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, '_');
    }
    if KEYWORDS.contains(&text.as_str()) {
        text.push('_');
    }
    text
}

/// Words that C99 or C++17 keep for themselves, and the names that every generated function uses.
const KEYWORDS: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "const_cast",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "main",
    "model",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "restrict",
    "return",
    "seed",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_snake_case() {
        for (model, prefix) in [
            ("Digits", "digits"),
            ("ResNet50", "res_net50"),
            ("HTTPServer", "http_server"),
            ("GPT2Small", "gpt2_small"),
            ("already_snake", "already_snake"),
            ("Static", "static_"),
            ("3D", "_3_d"),
        ] {
            assert_eq!(c_prefix(model), prefix);
        }
    }

    #[test]
    fn names_are_identifiers() {
        assert_eq!(c_name("block.0.w"), "block_0_w");
        assert_eq!(c_name("float"), "float_");
        assert_eq!(c_name(""), "_");
        assert_eq!(c_name("größe"), "gr__e");
    }
}
