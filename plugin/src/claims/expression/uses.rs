//! What an expression looks at, read off its syntax tree. A policy must know before it evaluates whether something that isn't
//! known could change the value: a field can be named, or be among everything that is taken at once (`values(@)`).

use std::collections::BTreeSet;

use jmespath::ast::Ast;

/// Fields of a rule's input that are whole documents.
const DOCUMENTS: [&str; 3] = ["claims", "userinfo", "directory"];

#[derive(Clone, Default)]
pub(super) struct Uses {
    /// Every field that is named, wherever.
    pub(super) fields: BTreeSet<String>,
    /// Those of the input itself.
    pub(super) root_fields: BTreeSet<String>,
    /// The input is taken as a whole.
    pub(super) takes_root: bool,
    /// The input, or a document in it, is taken as a whole.
    pub(super) takes_everything: bool,
}

/// What `@` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    Root,
    Document,
    Elsewhere,
}

impl Uses {
    pub(super) fn of(tree: &Ast) -> Self {
        let mut uses = Self::default();
        uses.walk(tree, Here::Root);
        uses
    }

    fn name(&mut self, field: &str, here: Here) {
        self.fields.insert(field.to_owned());
        if here == Here::Root {
            self.root_fields.insert(field.to_owned());
        }
    }

    /// Whatever isn't a plain step to a field takes what it stands on as a whole: so nothing is missed.
    fn walk(&mut self, tree: &Ast, here: Here) {
        match tree {
            Ast::Field { name, .. } => {
                self.name(name, here);
                self.takes_everything |= here == Here::Root && DOCUMENTS.contains(&name.as_str());
            }
            Ast::Identity { .. } => {
                self.takes_root |= here == Here::Root;
                self.takes_everything |= here != Here::Elsewhere;
            }
            Ast::Subexpr { lhs, rhs, .. } => match lhs.as_ref() {
                Ast::Identity { .. } => self.walk(rhs, here),
                Ast::Field { name, .. } if here == Here::Root && DOCUMENTS.contains(&name.as_str()) => {
                    self.name(name, here);
                    self.walk(rhs, Here::Document);
                }
                other => {
                    self.walk(other, here);
                    self.walk(rhs, Here::Elsewhere);
                }
            },
            Ast::Projection { lhs, rhs, .. } => {
                self.walk(lhs, here);
                self.walk(rhs, Here::Elsewhere);
            }
            // Evaluated on what a function hands to it: elements of a list, which is looked at where it stands.
            Ast::Expref { ast, .. } => self.walk(ast, Here::Elsewhere),
            Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } | Ast::Not { node, .. } => self.walk(node, here),
            Ast::Or { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Comparison { lhs, rhs, .. } => {
                self.walk(lhs, here);
                self.walk(rhs, here);
            }
            Ast::Condition { predicate, then, .. } => {
                self.walk(predicate, here);
                self.walk(then, here);
            }
            Ast::Function { args, .. } => args.iter().for_each(|argument| self.walk(argument, here)),
            Ast::MultiList { elements, .. } => elements.iter().for_each(|element| self.walk(element, here)),
            Ast::MultiHash { elements, .. } => elements.iter().for_each(|element| self.walk(&element.value, here)),
            Ast::Literal { .. } | Ast::Index { .. } | Ast::Slice { .. } => {}
        }
    }
}
