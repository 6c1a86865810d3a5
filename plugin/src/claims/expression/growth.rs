//! How large values can become. They share memory, so `[@,@]|[@,@]|…` is small until something walks through it or writes it
//! out; the bound is on what it would be, written out as JSON.

use jmespath::ast::Ast;

/// How many times as large as its input a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Growth {
    /// The node's own value.
    value: usize,
    /// Any value on the way to it: `length(…)` is a number, whatever it had to count.
    peak: usize,
}

const SAME: Growth = Growth { value: 1, peak: 1 };

/// An upper bound over every value of an evaluation. What is selected several times adds up; what is applied to a result
/// multiplies.
pub(super) fn most(tree: &Ast) -> usize {
    of(tree).most()
}

impl Growth {
    fn most(self) -> usize {
        self.value.max(self.peak)
    }

    /// One after the other.
    fn then(self, next: Self) -> Self {
        let peak = self.peak.max(self.value.saturating_mul(next.peak));
        Self { value: self.value.saturating_mul(next.value), peak }
    }

    /// One of the two.
    fn or(self, other: Self) -> Self {
        Self { value: self.value.max(other.value), peak: self.peak.max(other.peak) }
    }

    /// Side by side.
    fn and(self, other: Self) -> Self {
        let peak = self.most().saturating_add(other.most());
        Self { value: self.value.saturating_add(other.value), peak }
    }

    /// A number or a truth value made of it.
    fn reduced(self) -> Self {
        Self { value: 1, peak: self.most() }
    }
}

fn all<'a>(nodes: impl Iterator<Item = &'a Ast>) -> Growth {
    nodes.map(of).reduce(Growth::and).unwrap_or(SAME)
}

fn of(tree: &Ast) -> Growth {
    match tree {
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Slice { .. } => SAME,
        // One unit for each 32 characters, as many as a group's id has. A projection over shorter elements may repeat it more
        // often than that: the factor is then up to 16 times larger, and the sandbox's memory is the bound behind it.
        Ast::Literal { value, .. } => {
            let units = 1 + value.to_string().len() / 32;
            Growth { value: units, peak: units }
        }
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => of(lhs).then(of(rhs)),
        Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => of(lhs).or(of(rhs)),
        Ast::Comparison { lhs, rhs, .. } => of(lhs).or(of(rhs)).reduced(),
        Ast::Not { node, .. } => of(node).reduced(),
        Ast::Condition { predicate, then, .. } => of(predicate).reduced().or(of(then)),
        Ast::Expref { ast, .. } => of(ast),
        Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => of(node),
        Ast::MultiList { elements, .. } => all(elements.iter()),
        Ast::MultiHash { elements, .. } => all(elements.iter().map(|pair| &pair.value)),
        Ast::Function { name, args, .. } => call(name, args),
    }
}

/// By the type of the result: a truth or a number is small, whatever went in.
fn call(name: &str, args: &[Ast]) -> Growth {
    let times = |factor| all(args.iter()).then(Growth { value: factor, peak: factor });
    match name {
        "contains" | "starts_with" | "ends_with" | "length" | "type" | "abs" | "avg" | "ceil" | "floor" | "sum" => {
            all(args.iter()).reduced()
        }
        // For each element what the reference makes of it; `sort_by` and its like forget it again.
        "map" => args.iter().map(of).fold(SAME, Growth::then),
        "sort_by" | "max_by" | "min_by" => {
            let made = args.iter().map(of).fold(SAME, Growth::then);
            Growth { value: all(args.iter()).value, peak: made.most() }
        }
        // Quotes are escaped; some letters have three for their other case.
        "to_string" => times(2),
        "lower" | "upper" | "split" => times(3),
        _ => all(args.iter()),
    }
}
