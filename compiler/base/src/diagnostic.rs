//! What is said to the user, as data.

use crate::Span;

/// A stable code such as `E0301`, which `dlc explain` knows.
pub type Code = &'static str;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// A place in the source with a few words about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A piece of the source, and what would stand in its place. An empty piece is an insertion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}

/// One fault, told once: what is wrong, where, why, and what would mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// Where the fault lies. `None` for what has no place in a source, such as a data file's line (named in the message).
    pub span: Option<Span>,
    /// The first label belongs to `span`'s side, the others tell the rest of the story.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    pub help: Option<String>,
    /// The help as a change of the source, where it is exact: all of them together mend it. Apart from one another.
    pub fix: Vec<Edit>,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: None,
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
            fix: Vec::new(),
        }
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// The place of the fault. Without any label, the renderer marks it bare.
    #[must_use]
    pub fn at(mut self, span: Span) -> Diagnostic {
        self.span = Some(span);
        self
    }

    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.span.get_or_insert(span);
        self.labels.push(Label { span, text: text.into() });
        self
    }

    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// `help`, where there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Diagnostic {
        if text.is_some() {
            self.help = text;
        }
        self
    }

    /// `did you mean` what is `near` in place of what stands at `span`, where something is near.
    #[must_use]
    pub fn did_you_mean(self, span: Span, near: Option<&str>) -> Diagnostic {
        match near {
            Some(near) => self.help(format!("did you mean `{near}`?")).replace(span, near),
            None => self,
        }
    }

    /// The same of a string of the language.
    #[must_use]
    pub fn did_you_mean_text(self, span: Span, near: Option<&str>) -> Diagnostic {
        match near {
            Some(near) => self.help(format!("did you mean \"{near}\"?")).replace(span, format!("\"{near}\"")),
            None => self,
        }
    }

    /// What would mend the fault in place of `span`.
    #[must_use]
    pub fn replace(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.fix.push(Edit { span, text: text.into() });
        self
    }

    /// What would mend the fault around `span`, as `cast(` and `, f32)` do.
    #[must_use]
    pub fn wrap(self, span: Span, before: &str, after: &str) -> Diagnostic {
        let (lo, hi) = (Span { hi: span.lo, ..span }, Span { lo: span.hi, ..span });
        self.replace(lo, before).replace(hi, after)
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}
