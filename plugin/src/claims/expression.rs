//! JMESPath expressions (<https://jmespath.org/specification.html>, with `lower`, `upper` and `split` besides), for what a
//! list of sources can't say. Only configured expressions are ever compiled. Length, nesting, size and growth are bounded
//! before anything is evaluated, so an expression ends quickly whatever the claims are; what goes wrong is an error,
//! never a panic.

mod growth;
mod uses;

use std::sync::LazyLock;

use jmespath::ast::Ast;
use jmespath::functions::{ArgumentType, CustomFunction, Signature};
use jmespath::{Context, ErrorReason, JmespathError, Rcvar, Runtime, Variable, interpret};
use serde_json::Value;

use self::uses::Uses;

/// The longest expression, in bytes.
pub const MAX_BYTES: usize = 2048;
/// The most brackets, operators and signs: the parser recurses on each of them.
const MAX_SIGNS: usize = 128;
/// The most nodes of the syntax tree, and its depth: the interpreter recurses.
const MAX_NODES: usize = 256;
const MAX_DEPTH: usize = 64;
/// How many times larger than its input a result may become.
const MAX_GROWTH: usize = 64;
/// The largest index or slice.
const MAX_INDEX: i32 = 1_000_000;
/// The largest input, estimated in bytes: 11000 groups with names fit.
const MAX_INPUT_BYTES: usize = 2 << 20;
/// The deepest input.
const MAX_INPUT_DEPTH: usize = 32;

/// An expression that was compiled within the bounds.
#[derive(Clone)]
pub struct Expression {
    source: String,
    ast: Ast,
    uses: Uses,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Expression({:?})", self.source)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

/// Why an expression can't be compiled or evaluated. The texts hold no value of a claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// A bound of the source.
    #[error("the expression has {found} {what}, at most {limit} are allowed")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Not JMESPath.
    #[error("the expression isn't JMESPath: {reason} (column {column})")]
    Syntax {
        /// The parser's words.
        reason: String,
        /// From 1.
        column: usize,
    },
    /// A function that isn't there.
    #[error("there is no function {0}()")]
    UnknownFunction(String),
    /// A function with too few or too many arguments.
    #[error("{name}() takes {expected} arguments, found {found}")]
    Arity {
        /// Which.
        name: String,
        /// How many it takes.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// `&x` outside a function's arguments.
    #[error("& is for arguments of functions only, as in sort_by(list, &name)")]
    Reference,
    /// The input is too large or too deep.
    #[error("the input is {0}")]
    Input(&'static str),
    /// The evaluation failed.
    #[error("the evaluation failed: {0}")]
    Evaluation(String),
}

impl Expression {
    /// Compiles.
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        bounded("bytes", source.len(), MAX_BYTES)?;
        let signs = source.bytes().filter(|byte| b"[]{}()!&|*?<>=.".contains(byte)).count();
        bounded("brackets and signs", signs, MAX_SIGNS)?;
        let ast = jmespath::parse(source)
            .map_err(|error| ExpressionError::Syntax { reason: reason(&error), column: error.column + 1 })?;
        bounded("nodes", nodes(&ast), MAX_NODES)?;
        bounded("levels", depth(&ast), MAX_DEPTH)?;
        check(&ast)?;
        bounded("times its input in a value", growth::most(&ast), MAX_GROWTH)?;
        let uses = Uses::of(&ast);
        Ok(Self { source: source.to_owned(), ast, uses })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a field of that name is read anywhere in it.
    pub fn mentions(&self, field: &str) -> bool {
        self.uses.fields.contains(field)
    }

    /// Whether the value may depend on the person's groups: they are named somewhere, or everything is taken at once.
    pub fn sees_groups(&self) -> bool {
        self.uses.takes_everything || ["groups", "group_names"].iter().any(|field| self.mentions(field))
    }

    /// Whether the value may depend on this field of the input.
    pub fn sees(&self, field: &str) -> bool {
        self.uses.takes_root || self.uses.root_fields.contains(field)
    }

    /// Evaluates.
    pub fn evaluate(&self, input: &Value) -> Result<Value, ExpressionError> {
        check_input(input)?;
        let failed = |error: JmespathError| ExpressionError::Evaluation(reason(&error));
        let data = Rcvar::new(Variable::from_serializable(input).map_err(failed)?);
        let result = interpret(&data, &self.ast, &mut Context::new(&self.source, &RUNTIME)).map_err(failed)?;
        serde_json::to_value(&*result)
            .map_err(|_| ExpressionError::Evaluation("the result isn't a JSON value".to_owned()))
    }
}

fn bounded(what: &'static str, found: usize, limit: usize) -> Result<(), ExpressionError> {
    if found <= limit { Ok(()) } else { Err(ExpressionError::TooLarge { what, found, limit }) }
}

/// Without the expression, which the configuration has.
fn reason(error: &JmespathError) -> String {
    match &error.reason {
        ErrorReason::Parse(reason) => reason.clone(),
        ErrorReason::Runtime(reason) => reason.to_string(),
    }
}

/// JMESPath's functions and ours.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = Runtime::new();
    runtime.register_builtin_functions();
    let text = || vec![ArgumentType::String];
    let case = |change: fn(&str) -> String| {
        CustomFunction::new(
            Signature::new(text(), None),
            Box::new(move |arguments, _| Ok(Rcvar::new(Variable::String(change(first_text(arguments)))))),
        )
    };
    runtime.register_function("lower", Box::new(case(str::to_lowercase)));
    runtime.register_function("upper", Box::new(case(str::to_uppercase)));
    runtime.register_function(
        "split",
        Box::new(CustomFunction::new(
            Signature::new([text(), text()].concat(), None),
            Box::new(|arguments, _| {
                let separator = arguments.get(1).and_then(|argument| argument.as_string()).map_or("", String::as_str);
                let text = first_text(arguments);
                // By nothing: as it is. Splitting into characters is nobody's wish here.
                let parts: Vec<&str> = if separator.is_empty() { vec![text] } else { text.split(separator).collect() };
                let parts = parts.into_iter().map(|part| Rcvar::new(Variable::String(part.to_owned())));
                Ok(Rcvar::new(Variable::Array(parts.collect())))
            }),
        )),
    );
    runtime
});

fn first_text(arguments: &[Rcvar]) -> &str {
    // The signature has seen to it that it is one.
    arguments.first().and_then(|argument| argument.as_string()).map_or("", String::as_str)
}

/// How many arguments a function takes; `None` at the end: any number from there on.
fn arity(name: &str) -> Option<(usize, Option<usize>)> {
    Some(match name {
        "lower" | "upper" => (1, Some(1)),
        "split" | "contains" | "ends_with" | "starts_with" | "join" | "map" | "max_by" | "min_by" | "sort_by" => {
            (2, Some(2))
        }
        "merge" | "not_null" => (1, None),
        name if RUNTIME.get_function(name).is_some() => (1, Some(1)),
        _ => return None,
    })
}

fn children(node: &Ast) -> Vec<&Ast> {
    match node {
        Ast::Comparison { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Condition { predicate, then, .. } => vec![predicate, then],
        Ast::Expref { ast, .. } => vec![ast],
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => vec![node],
        Ast::Function { args, .. } => args.iter().collect(),
        Ast::MultiList { elements, .. } => elements.iter().collect(),
        Ast::MultiHash { elements, .. } => elements.iter().map(|pair| &pair.value).collect(),
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => {
            Vec::new()
        }
    }
}

fn visit<'a>(node: &'a Ast, each: &mut impl FnMut(&'a Ast)) {
    each(node);
    for child in children(node) {
        visit(child, each);
    }
}

fn nodes(node: &Ast) -> usize {
    1 + children(node).into_iter().map(nodes).sum::<usize>()
}

fn depth(node: &Ast) -> usize {
    1 + children(node).into_iter().map(depth).max().unwrap_or(0)
}

/// Functions that aren't there, wrong numbers of arguments, numbers that no list has.
fn check(ast: &Ast) -> Result<(), ExpressionError> {
    let mut problem = None;
    let mut references = Vec::new();
    visit(ast, &mut |node| {
        if let Ast::Function { args, .. } = node {
            references.extend(args.iter().filter(|argument| matches!(argument, Ast::Expref { .. })));
        }
        let found = match node {
            Ast::Function { name, args, .. } => check_function(name, args.len()),
            // As an argument it was seen with its function; elsewhere its value is no JSON.
            Ast::Expref { .. } => references.pop().map(|_| ()).ok_or(ExpressionError::Reference),
            Ast::Index { idx, .. } => check_numbers(&[Some(*idx)]),
            Ast::Slice { start, stop, step, .. } => check_numbers(&[*start, *stop, Some(*step)]),
            _ => Ok(()),
        };
        if let (Err(error), None) = (found, &problem) {
            problem = Some(error);
        }
    });
    problem.map_or(Ok(()), Err)
}

fn check_function(name: &str, found: usize) -> Result<(), ExpressionError> {
    let Some((least, most)) = arity(name) else { return Err(ExpressionError::UnknownFunction(name.to_owned())) };
    if found >= least && most.is_none_or(|most| found <= most) {
        return Ok(());
    }
    let expected = most.map_or_else(|| format!("{least} or more"), |most| most.to_string());
    Err(ExpressionError::Arity { name: name.to_owned(), expected, found })
}

fn check_numbers(numbers: &[Option<i32>]) -> Result<(), ExpressionError> {
    match numbers.iter().flatten().find(|number| number.unsigned_abs() > MAX_INDEX.unsigned_abs()) {
        Some(number) => Err(ExpressionError::TooLarge {
            what: "as an index",
            found: number.unsigned_abs() as usize,
            limit: MAX_INDEX.unsigned_abs() as usize,
        }),
        None => Ok(()),
    }
}

fn check_input(input: &Value) -> Result<(), ExpressionError> {
    let mut left = MAX_INPUT_BYTES;
    if !fits(input, MAX_INPUT_DEPTH, &mut left) {
        return Err(ExpressionError::Input("too large or too deeply nested"));
    }
    Ok(())
}

fn fits(value: &Value, depth: usize, left: &mut usize) -> bool {
    let mut spend = |bytes: usize| match left.checked_sub(bytes + 8) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    };
    match value {
        Value::String(text) => spend(text.len()),
        Value::Array(items) => spend(0) && depth > 0 && items.iter().all(|item| fits(item, depth - 1, left)),
        Value::Object(members) => {
            spend(members.keys().map(String::len).sum())
                && depth > 0
                && members.values().all(|member| fits(member, depth - 1, left))
        }
        _ => spend(0),
    }
}
