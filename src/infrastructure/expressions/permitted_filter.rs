use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

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

/// A filter makes no value that is larger than those that it looks at, and goes through a list once: its memory is that of the
/// event, and its time grows with the event, and not with its square.
///
/// # Errors
/// What of it could take too much, and what to write in its place.
pub fn permitted(expression: &IdedExpr) -> Result<(), ExpressionError> {
    let mut walk = Walk { patterns: 0 };
    walk.expression(expression, None)
}

/// How many patterns a filter may match.
const MOST_PATTERNS: usize = 5;

/// The longest pattern, in characters, and how often its repetitions may repeat all together.
const LONGEST_PATTERN: usize = 200;
const MOST_REPETITIONS: u64 = 1_000;

/// Functions whose time is that of the values they are given, and whose result is no larger.
const PLAIN: [&str; 12] = [
    "size",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "timestamp",
    "duration",
    "type",
    "dyn",
    "startsWith",
    "endsWith",
];

/// Functions of a moment or a length of time.
const OF_TIME: [&str; 10] = [
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

const NUMBERS: [&str; 6] = ["int", "uint", "double", "size", "timestamp", "duration"];
const ARITHMETIC: [&str; 5] =
    [operators::SUBSTRACT, operators::MULTIPLY, operators::DIVIDE, operators::MODULO, operators::NEGATE];
const LOGIC: [&str; 4] =
    [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT, operators::NOT_STRICTLY_FALSE];
const COMPARISONS: [&str; 6] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
];

fn refused<T>(sentence: &str) -> Result<T, ExpressionError> {
    Err(ExpressionError(sentence.to_owned()))
}

struct Walk {
    patterns: usize,
}

impl Walk {
    /// `item`: within a loop, the name of what it goes through.
    fn expression(&mut self, expression: &IdedExpr, item: Option<&str>) -> Result<(), ExpressionError> {
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            Expr::Call(call) => self.call(call, item),
            Expr::Comprehension(_) if item.is_some() => {
                refused("goes through a list within another, which could take too long")
            }
            Expr::Comprehension(list) => self.comprehension(list),
            Expr::List(_) if item.is_some() => {
                refused("has a list of its own within a loop; write `x == 1 || x == 2` for `x in [1, 2]`")
            }
            Expr::List(list) if list.elements.iter().all(is_constant) => Ok(()),
            Expr::List(_) => refused("has a list of its own that holds more than constants"),
            Expr::Select(select) => self.expression(&select.operand, item),
            Expr::Map(_) | Expr::Struct(_) => refused("has an object of its own"),
        }
    }

    fn comprehension(&mut self, list: &ComprehensionExpr) -> Result<(), ExpressionError> {
        let counts = matches!(&list.accu_init.expr, Expr::Literal(LiteralValue::Boolean(_) | LiteralValue::Int(_)));
        if !counts {
            return refused("makes a list of another (`map`, `filter`); use `exists`, `exists_one` or `all`");
        }
        // Not one of another loop: that would be a loop within a loop, too.
        self.expression(&list.iter_range, Some(""))?;
        for part in [&list.loop_cond, &list.loop_step, &list.result] {
            self.expression(part, Some(&list.iter_var))?;
        }
        Ok(())
    }

    fn call(&mut self, call: &CallExpr, item: Option<&str>) -> Result<(), ExpressionError> {
        let function = call.func_name.as_str();
        let operands = || call.target.iter().map(Box::as_ref).chain(&call.args);
        if function == "matches" {
            self.pattern(call, item)?;
        }
        if function == operators::ADD && !call.args.iter().any(is_number) {
            return refused("adds what may be texts or lists; write `double(a) + double(b)` for numbers");
        }
        if let Some(item) = item {
            within_a_loop(call, item)?;
        }
        operands().try_for_each(|operand| self.expression(operand, item))
    }

    fn pattern(&mut self, call: &CallExpr, item: Option<&str>) -> Result<(), ExpressionError> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|last| &last.expr) else {
            return refused("has a pattern for `matches` that is not a text written in the filter");
        };
        if item.is_some() {
            return refused("has `matches` within a loop");
        }
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            return Err(ExpressionError(format!("has more than {MOST_PATTERNS} patterns for `matches`")));
        }
        let pattern = pattern.inner();
        if pattern.chars().count() > LONGEST_PATTERN || repetitions(pattern) > MOST_REPETITIONS {
            return Err(ExpressionError(format!(
                "has a pattern of more than {LONGEST_PATTERN} characters, or one that repeats more than {MOST_REPETITIONS} times"
            )));
        }
        Ok(())
    }
}

/// What is done for each item takes no longer than the item is long: nothing larger is looked at beside it.
fn within_a_loop(call: &CallExpr, item: &str) -> Result<(), ExpressionError> {
    let function = call.func_name.as_str();
    let is_in_proportion = match function {
        operators::ADD => true,
        operators::CONDITIONAL => call.args.iter().skip(1).all(|branch| is_small(branch, item)),
        function if LOGIC.contains(&function) || ARITHMETIC.contains(&function) => true,
        function if COMPARISONS.contains(&function) => call.args.iter().any(|side| is_small(side, item)),
        operators::INDEX | operators::OPT_INDEX => call.args.last().is_some_and(|key| is_small(key, item)),
        operators::OPT_SELECT => true,
        function if PLAIN.contains(&function) || OF_TIME.contains(&function) => {
            call.target.iter().map(Box::as_ref).chain(&call.args).all(|operand| is_small(operand, item))
        }
        operators::IN => return refused("has `in` within a loop, which could take too long"),
        function => return Err(ExpressionError(format!("has `{function}` within a loop, which could take too long"))),
    };
    if is_in_proportion {
        Ok(())
    } else {
        refused("looks within a loop at something else than the item; compare the item with it, or with a constant")
    }
}

/// Whether it is a constant, a number, true or false, or the item and what is in it.
fn is_small(expression: &IdedExpr, item: &str) -> bool {
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::Ident(name) => name == item || name == "@result",
        Expr::Select(select) => is_small(&select.operand, item),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
                call.args.iter().all(|operand| is_small(operand, item))
            }
            function if PLAIN.contains(&function) => {
                call.target.iter().map(Box::as_ref).chain(&call.args).all(|operand| is_small(operand, item))
            }
            function if LOGIC.contains(&function) || COMPARISONS.contains(&function) => true,
            _ => is_number(expression),
        },
        _ => false,
    }
}

/// Whether it comes to a number or a time, or to nothing.
fn is_number(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_)) => true,
        Expr::Call(call) => {
            let function = call.func_name.as_str();
            ARITHMETIC.contains(&function)
                || NUMBERS.contains(&function)
                || OF_TIME.contains(&function)
                || (function == operators::ADD && call.args.iter().any(is_number))
        }
        _ => false,
    }
}

fn is_constant(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => call.func_name == operators::NEGATE && call.args.iter().all(is_constant),
        _ => false,
    }
}

/// The product of all numbers in braces: what they repeat may be nested.
fn repetitions(pattern: &str) -> u64 {
    let counts = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let counts = counts.map(|inside| inside.split(',').filter_map(|number| number.trim().parse::<u64>().ok()).max());
    counts.flatten().fold(1, |product: u64, count| product.saturating_mul(count.max(1)))
}
