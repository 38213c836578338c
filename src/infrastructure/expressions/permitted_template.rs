//! What a template may hold. No value that it makes is longer than what it is made of: so whatever is written takes no more
//! memory than the event and the template have bytes, and its time is bounded by its fuel.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;

use crate::application::ports::ExpressionError;

/// # Errors
/// When it cannot be parsed, or has what is not permitted.
pub fn permitted(text: &str) -> Result<(), ExpressionError> {
    let parsed = parse(text, "template", SyntaxConfig::default());
    let template = parsed.map_err(|error| ExpressionError(format!("is none: {error}")))?;
    statement(&template)
}

fn refused(what: &str) -> Result<(), ExpressionError> {
    Err(ExpressionError(format!("must not have {what}")))
}

fn statements(children: &[Stmt<'_>]) -> Result<(), ExpressionError> {
    children.iter().try_for_each(statement)
}

fn statement(one: &Stmt<'_>) -> Result<(), ExpressionError> {
    match one {
        Stmt::Template(template) => statements(&template.children),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(each) if each.recursive => refused("a `for` that is `recursive`"),
        Stmt::ForLoop(each) => {
            expression(&each.iter)?;
            optional(each.filter_expr.as_ref())?;
            statements(&each.body)?;
            statements(&each.else_body)
        }
        Stmt::IfCond(condition) => {
            expression(&condition.expr)?;
            statements(&condition.true_body)?;
            statements(&condition.false_body)
        }
        _ => refused("statements other than `for` and `if`"),
    }
}

fn optional(one: Option<&Expr<'_>>) -> Result<(), ExpressionError> {
    one.map_or(Ok(()), expression)
}

fn expression(one: &Expr<'_>) -> Result<(), ExpressionError> {
    match one {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            [&slice.start, &slice.stop, &slice.step].into_iter().try_for_each(|part| optional(part.as_ref()))
        }
        Expr::UnaryOp(operation) => expression(&operation.expr),
        Expr::BinOp(operation) => {
            let is_short = |side: &Expr<'_>| matches!(side, Expr::Const(_));
            match operation.op {
                BinOpKind::Mul | BinOpKind::Pow => return refused("`*` or `**`"),
                BinOpKind::Add | BinOpKind::Concat if !is_short(&operation.left) && !is_short(&operation.right) => {
                    return refused("`+` or `~` between two variables; write one after the other");
                }
                _ => {}
            }
            expression(&operation.left)?;
            expression(&operation.right)
        }
        Expr::Compare(compared) => {
            expression(&compared.expr)?;
            compared.ops.iter().try_for_each(|operation| expression(&operation.expr))
        }
        Expr::IfExpr(condition) => {
            expression(&condition.test_expr)?;
            expression(&condition.true_expr)?;
            optional(condition.false_expr.as_ref())
        }
        Expr::Filter(filter) => {
            optional(filter.expr.as_ref())?;
            arguments(&filter.args)
        }
        Expr::Test(test) => {
            expression(&test.expr)?;
            arguments(&test.args)
        }
        Expr::GetAttr(member) => expression(&member.expr),
        Expr::GetItem(item) => {
            expression(&item.expr)?;
            expression(&item.subscript_expr)
        }
        Expr::Call(_) => refused("calls of functions"),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => refused("lists and objects of its own that hold variables"),
    }
}

fn arguments(given: &[CallArg<'_>]) -> Result<(), ExpressionError> {
    given.iter().try_for_each(|argument| match argument {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) => expression(value),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => refused("arguments that are taken apart"),
    })
}
