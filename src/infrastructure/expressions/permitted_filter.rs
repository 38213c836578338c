use cel::common::ast::{EntryExpr, Expr, IdedExpr};

use crate::application::ports::ExpressionError;

/// How deeply brackets may be nested, and how many operators of one operand may follow each other.
const DEEPEST: usize = 12;

/// Whether a parser that calls itself for what is nested gets by.
pub fn is_shallow(text: &str) -> bool {
    let (mut depth, mut signs, mut conditions) = (0usize, 0usize, 0usize);
    for character in text.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => conditions += 1,
            _ => {}
        }
        signs = match character {
            '!' | '-' => signs + 1,
            ' ' => signs,
            _ => 0,
        };
        if depth > DEEPEST || signs > DEEPEST || conditions > DEEPEST {
            return false;
        }
    }
    true
}

/// A filter goes through a list once: how long it takes grows with the event, and not with its square.
///
/// # Errors
/// When it goes through one within another.
pub fn permitted(expression: &IdedExpr) -> Result<(), ExpressionError> {
    walk(expression, false)
}

fn walk(expression: &IdedExpr, is_within: bool) -> Result<(), ExpressionError> {
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        Expr::Call(call) => {
            call.target.iter().try_for_each(|target| walk(target, is_within))?;
            call.args.iter().try_for_each(|argument| walk(argument, is_within))
        }
        Expr::Comprehension(_) if is_within => {
            Err(ExpressionError("goes through a list within another, which could take too long".to_owned()))
        }
        Expr::Comprehension(list) => {
            let parts = [&list.iter_range, &list.accu_init, &list.loop_cond, &list.loop_step, &list.result];
            parts.into_iter().try_for_each(|part| walk(part, true))
        }
        Expr::List(list) => list.elements.iter().try_for_each(|element| walk(element, is_within)),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| walk_entry(&entry.expr, is_within)),
        Expr::Select(select) => walk(&select.operand, is_within),
        Expr::Struct(of) => of.entries.iter().try_for_each(|entry| walk_entry(&entry.expr, is_within)),
    }
}

fn walk_entry(entry: &EntryExpr, is_within: bool) -> Result<(), ExpressionError> {
    match entry {
        EntryExpr::StructField(field) => walk(&field.value, is_within),
        EntryExpr::MapEntry(entry) => {
            walk(&entry.key, is_within)?;
            walk(&entry.value, is_within)
        }
    }
}
