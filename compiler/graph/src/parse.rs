//! Reads the text form of modules. Types are inferred again and compared with those written.

use crate::{
    Builder, DType, Effect, Function, Module, Node, NodeId, Op, Param, Role, Type, attribute,
    function::READ_WITH_GET, ops::Parameter, print::is_name_char, verify::same_type,
};
use shape::{Dim, Shape};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Where reading stopped, one-based.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

pub fn parse(text: &str) -> Result<Module, ParseError> {
    let mut cursor = Cursor { text, offset: 0 };
    let mut module = Module::default();
    while !cursor.at_end() {
        let start = cursor.error("");
        let function = read_function(&mut cursor, &module)?;
        if module.find(&function.name).is_some() {
            return Err(ParseError { message: format!("a second function `{}`", function.name), ..start });
        }
        module.functions.push(function);
    }
    Ok(module)
}

/// Values by the name that the text gives them.
type Labels = BTreeMap<String, NodeId>;

fn read_function(cursor: &mut Cursor<'_>, module: &Module) -> Result<Function, ParseError> {
    cursor.expect("fn")?;
    cursor.expect("@")?;
    let mut function = Function::new(cursor.name()?);
    if cursor.eat("composite") {
        function.composite = Some(cursor.string()?);
    }
    function.operation = cursor.eat("operation");
    if cursor.eat("derivative") {
        function.derivative = Some(attribute::read_function(cursor, module)?);
    }
    function.remat = cursor.eat("remat");
    let mut labels = Labels::new();
    let params = cursor.list("(", ")", |cursor| {
        let label = if cursor.at("%") { Some(cursor.new_label(&labels)?) } else { None };
        if label.is_some() {
            cursor.expect(":")?;
        }
        let name = cursor.name()?;
        cursor.expect(":")?;
        let ty = cursor.ty()?;
        let role = cursor.word(Role::parse, "a role")?;
        Ok((label, Param { name, role, ty }))
    })?;
    for (index, (label, param)) in params.into_iter().enumerate() {
        if let Some(label) = label {
            let op = Op::from(Parameter { index });
            let node = Node { op, inputs: vec![], types: vec![param.ty.clone()], span: None, scope: None };
            let id = function.nodes.push(node);
            if labels.insert(label, id).is_some() {
                return Err(cursor.error("two parameters have the same label"));
            }
        }
        function.params.push(param);
    }
    cursor.expect("->")?;
    let results = cursor.list("(", ")", |cursor| {
        let name = cursor.name()?;
        cursor.expect(":")?;
        Ok((name, cursor.word(Role::parse, "a role")?))
    })?;
    cursor.expect("{")?;
    loop {
        if cursor.eat("assume") {
            read_assumption(cursor, &mut function)?;
        } else if cursor.eat("require") {
            read_requirement(cursor, &mut function)?;
        } else if cursor.eat("return") {
            break;
        } else {
            read_node(cursor, module, &mut function, &mut labels)?;
        }
    }
    for (position, (name, role)) in results.into_iter().enumerate() {
        if position > 0 {
            cursor.expect(",")?;
        }
        let value = cursor.value(&labels)?;
        if function.nodes[value].op.is_tuple() {
            return Err(cursor.error(READ_WITH_GET));
        }
        function.results.push((name, role, value));
    }
    cursor.expect("}")?;
    Ok(function)
}

fn read_assumption(cursor: &mut Cursor<'_>, function: &mut Function) -> Result<(), ParseError> {
    let a = cursor.dim()?;
    if cursor.eat(">=") {
        let b = cursor.dim()?;
        function.facts.assume_ge(a, b);
    } else if cursor.eat("==") {
        let b = cursor.dim()?;
        function.facts.assume_eq(a, b);
    } else {
        cursor.expect("divided")?;
        cursor.expect("by")?;
        let by = cursor.dim()?;
        function.facts.assume_divisible(a, by);
    }
    Ok(())
}

fn read_requirement(cursor: &mut Cursor<'_>, function: &mut Function) -> Result<(), ParseError> {
    let a = cursor.dim()?;
    let is_equation = cursor.eat("==");
    if !is_equation {
        cursor.expect(">=")?;
    }
    let b = cursor.dim()?;
    let message = cursor.string()?;
    function.effects.push(if is_equation {
        Effect::RequireEq { a, b, message, span: None }
    } else {
        Effect::RequireGe { value: a, at_least: b, message, span: None }
    });
    Ok(())
}

fn read_node(
    cursor: &mut Cursor<'_>,
    module: &Module,
    function: &mut Function,
    labels: &mut Labels,
) -> Result<(), ParseError> {
    let label = cursor.new_label(labels)?;
    cursor.expect(":")?;
    cursor.skip();
    let start = cursor.error("");
    let fault = |message: String| ParseError { message, ..start };
    let types = if cursor.at("(") { cursor.list("(", ")", Cursor::ty)? } else { vec![cursor.ty()?] };
    cursor.expect("=")?;
    let name = cursor.name()?;
    let op = attribute::read_op(&name, cursor, module, &types)?;
    let mut inputs = Vec::new();
    while cursor.at_operand() {
        inputs.push(cursor.value(labels)?);
    }
    let id = if let Op::Parameter(parameter) = &op {
        let known = function.params.get(parameter.index).map(|param| vec![param.ty.clone()]);
        let ty = known.ok_or_else(|| fault(format!("there is no parameter {}", parameter.index)))?;
        function.nodes.push(Node { op, inputs, types: ty, span: None, scope: None })
    } else {
        match op {
            Op::Get(get) => read_result(function, get, &inputs).map_err(fault)?,
            op => {
                Builder::new(module, function).try_add(op, &inputs).map_err(|f| fault(f.message.clone()))?
            }
        }
    };
    let inferred = &function.nodes[id].types;
    let agree = inferred.len() == types.len()
        && inferred.iter().zip(&types).all(|(a, b)| same_type(&function.facts, a, b));
    if !agree {
        let inferred: Vec<String> = inferred.iter().map(Type::to_string).collect();
        return Err(fault(format!("the type of `{name}` here is {}", inferred.join(", "))));
    }
    function.nodes[id].types = types;
    labels.insert(label, id);
    Ok(())
}

fn read_result(function: &mut Function, get: crate::ops::Get, inputs: &[NodeId]) -> Result<NodeId, String> {
    const ONE: &str = "`get` takes one operand that runs functions";
    let [tuple] = inputs else { return Err(ONE.into()) };
    let node = &function.nodes[*tuple];
    if !node.op.is_tuple() {
        return Err(ONE.into());
    }
    let ty = node.types.get(get.index).cloned();
    let ty = ty.ok_or_else(|| format!("`{}` has no result {} here", node.op.name(), get.index))?;
    Ok(function.nodes.push(Node {
        op: Op::from(get),
        inputs: inputs.to_vec(),
        types: vec![ty],
        span: None,
        scope: None,
    }))
}

/// A place in the text. Spaces, and lines that begin with `#`, are skipped before every piece.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// An error at the present place.
    pub(crate) fn error(&self, message: impl Into<String>) -> ParseError {
        let before = &self.text[..self.offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let spaces = rest.len() - rest.trim_start().len();
            self.offset += spaces;
            let line_start = self.text[..self.offset].rfind('\n').map_or(0, |newline| newline + 1);
            let at_line_start = self.text[line_start..self.offset].trim().is_empty();
            if !(at_line_start && self.rest().starts_with('#')) {
                return;
            }
            self.offset += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    pub(crate) fn at(&mut self, piece: &str) -> bool {
        self.skip();
        let ends_word =
            |rest: &str| !piece.ends_with(is_word_char) || !rest[piece.len()..].starts_with(is_word_char);
        self.rest().starts_with(piece) && ends_word(self.rest())
    }

    /// Whether an operand follows on this line, and not the label of the next one.
    fn at_operand(&mut self) -> bool {
        let same_line = !self.rest().trim_start_matches(' ').starts_with(['\n', '\r']);
        same_line && self.at("%")
    }

    pub(crate) fn eat(&mut self, piece: &str) -> bool {
        let found = self.at(piece);
        if found {
            self.offset += piece.len();
        }
        found
    }

    pub(crate) fn expect(&mut self, piece: &str) -> Result<(), ParseError> {
        if self.eat(piece) { Ok(()) } else { Err(self.error(format!("expected `{piece}`"))) }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    /// A plain or quoted name.
    pub(crate) fn name(&mut self) -> Result<String, ParseError> {
        if self.at("\"") {
            return self.string();
        }
        let name = self.take_while(is_name_char);
        if name.is_empty() { Err(self.error("expected a name")) } else { Ok(name.into()) }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.offset += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped)) => text.push(escaped),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(self.error("the string has no end"))
    }

    /// A word of a fixed set.
    pub(crate) fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>, what: &str) -> Result<T, ParseError> {
        self.skip();
        let error = self.error(format!("expected {what}"));
        parse(self.take_while(is_word_char)).ok_or(error)
    }

    pub(crate) fn integer<T: FromStr>(&mut self) -> Result<T, ParseError> {
        self.skip();
        let error = self.error("expected an integer in range");
        let start = self.offset;
        self.eat("-");
        self.take_while(|c| c.is_ascii_digit());
        self.text[start..self.offset].parse().map_err(|_| error)
    }

    pub(crate) fn float(&mut self) -> Result<f64, ParseError> {
        self.skip();
        let error = self.error("expected a number");
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
            .parse()
            .map_err(|_| error)
    }

    /// All up to what cannot belong to a dimension.
    pub(crate) fn dim(&mut self) -> Result<Dim, ParseError> {
        self.skip();
        let rest = self.rest();
        let mut depth = 0usize;
        let mut length = rest.len();
        for (at, c) in rest.char_indices() {
            match c {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ',' if depth > 0 => {}
                ')' | ',' | ']' | '"' | '\n' | '=' | '>' => {
                    length = at;
                    break;
                }
                'd' if rest[at..].starts_with("divided by") => {
                    length = at;
                    break;
                }
                _ => {}
            }
        }
        let dim = rest[..length].trim().parse::<Dim>();
        let dim = dim.map_err(|e| self.error(format!("in a dimension: {e}")))?;
        self.offset += length;
        Ok(dim)
    }

    pub(crate) fn shape(&mut self) -> Result<Shape, ParseError> {
        Ok(Shape(self.list("[", "]", Cursor::dim)?))
    }

    fn ty(&mut self) -> Result<Type, ParseError> {
        let dtype = self.word(DType::parse, "a dtype")?;
        let has_shape = self.rest().starts_with('[');
        Ok(Type::new(dtype, if has_shape { self.shape()? } else { Shape::scalar() }))
    }

    /// Items between commas.
    pub(crate) fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A label that is not taken.
    fn new_label(&mut self, labels: &Labels) -> Result<String, ParseError> {
        self.expect("%")?;
        let error = self.error("this label stands already for another value");
        let label = self.name()?;
        if labels.contains_key(&label) { Err(error) } else { Ok(label) }
    }

    fn value(&mut self, labels: &Labels) -> Result<NodeId, ParseError> {
        self.expect("%")?;
        let error = self.error("no value of this label stands above");
        let label = self.name()?;
        labels.get(&label).copied().ok_or(error)
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
