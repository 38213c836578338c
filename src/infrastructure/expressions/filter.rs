use cel::{Context, Program, Value as CelValue};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::permitted_filter::{is_shallow, permitted};
use crate::application::ports::ExpressionError;

/// In characters.
const LONGEST: usize = 2_000;

/// # Errors
/// When it is no expression of CEL, or one that could take too long.
pub fn compile(text: &str) -> Result<Program, ExpressionError> {
    if text.trim().is_empty() {
        return Err(ExpressionError("must not be empty".to_owned()));
    }
    if text.chars().count() > LONGEST {
        return Err(ExpressionError(format!("must have at most {LONGEST} characters")));
    }
    // The parser calls itself for what is nested.
    if !is_shallow(text) {
        return Err(ExpressionError("is nested too deeply".to_owned()));
    }
    let program = Program::compile(text).map_err(|errors| {
        let sentence = errors.to_string();
        ExpressionError(format!("is not an expression of CEL: {}", sentence.lines().next().unwrap_or_default()))
    })?;
    permitted(program.expression())?;
    Ok(program)
}

/// Integers as those that a filter writes: `data.count + 1` would add two kinds of numbers otherwise, which CEL does not.
struct Signed<'v>(&'v Value);

impl Serialize for Signed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match number.as_i64() {
                Some(integer) => serializer.serialize_i64(integer),
                None => number.serialize(serializer),
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(Signed)),
            Value::Object(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, Signed(value)))),
            other => other.serialize(serializer),
        }
    }
}

/// # Errors
/// When it cannot be evaluated, or comes to something else than true or false.
pub fn holds(text: &str, variables: &Value) -> Result<bool, ExpressionError> {
    let program = compile(text)?;
    let mut context = Context::default();
    for (name, value) in variables.as_object().into_iter().flatten() {
        let added = context.add_variable(name.as_str(), Signed(value));
        added.map_err(|error| ExpressionError(format!("cannot look at `{name}`: {error}")))?;
    }
    match program.execute(&context) {
        Ok(CelValue::Bool(holds)) => Ok(holds),
        Ok(other) => Err(ExpressionError(format!("must come to true or false, and not to {}", other.type_of()))),
        // What is not there, as in `data.deal.value > 10` of a person: the filter does not hold.
        Err(cel::ExecutionError::NoSuchKey(_)) => Ok(false),
        Err(error) => Err(ExpressionError(format!("cannot be evaluated: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn variables() -> Value {
        json!({
            "event": { "type": "deal.updated", "id": "7" },
            "data": { "value": 1500.5, "count": 3, "status": "won", "tags": ["a", "b"], "person": null,
                      "items": [{ "price": 9.5, "n": 2 }] },
            "source": { "name": "crm" },
        })
    }

    #[test]
    fn a_filter_looks_at_event_data_and_source() {
        for (filter, expected) in [
            ("data.value > 1000.0 && data.status == 'won'", true),
            ("event.type.startsWith('deal.')", true),
            ("source.name == 'erp'", false),
            ("'b' in data.tags", true),
            ("data.tags.exists(tag, tag == 'c')", false),
            ("has(data.deal)", false),
            ("data.deal.value > 10", false),
            ("data.count >= 3", true),
            ("data.count > 2.5", true),
            ("data.person == null", true),
            ("data.status.matches('^w.n$')", true),
            ("data.status in ['won', 'lost']", true),
            ("data.tags.exists(tag, tag == data.status || tag.startsWith('b'))", true),
            ("data.tags.exists_one(tag, size(tag) == 1)", false),
            ("double(data.count) + 1.0 > 3.5 && data.count + 1 == 4", true),
            ("data.items.all(item, item.price * double(item.n) < 100.0 && has(item.n))", true),
        ] {
            assert_eq!(holds(filter, &variables()), Ok(expected), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_said() {
        for (filter, part) in [
            ("", "must not be empty"),
            ("data.value >", "is not an expression of CEL"),
            ("data.tags.all(a, data.tags.all(b, a != b))", "goes through a list within another"),
            ("data.tags.map(a, data) == []", "makes a list of another"),
            ("data.tags.filter(a, true).size() > 1", "makes a list of another"),
            ("data.tags.map(a, a).exists(b, true)", "goes through a list within another"),
            ("data.status + data.status == ''", "adds what may be texts or lists"),
            ("'a' + data.status == ''", "adds what may be texts or lists"),
            ("data.tags + data.tags == []", "adds what may be texts or lists"),
            ("data.tags.exists(a, size(a + a) > 1)", "something else than the item"),
            ("[data, data] == [data]", "holds more than constants"),
            ("{'a': data} == data", "has an object of its own"),
            ("data.tags.exists(a, a in data.tags)", "`in` within a loop"),
            ("data.tags.exists(a, a in ['x'])", "`in` within a loop"),
            ("data.tags.exists(a, [1, 2] == a)", "a list of its own within a loop"),
            ("data.tags.exists(a, data.status.contains(a))", "`contains` within a loop"),
            ("data.tags.exists(a, a.matches('x'))", "`matches` within a loop"),
            ("data.status.matches(data.status)", "not a text written in the filter"),
            ("matches(data.status, data.status)", "not a text written in the filter"),
            ("data.status.matches('((a{100}){100}){100}')", "repeats more than"),
            ("data.tags.exists(a, data.tags == data.tags)", "something else than the item"),
            ("data.tags.exists(a, size(data.status) == 1)", "something else than the item"),
            ("data.tags.exists(data, event == event)", "something else than the item"),
        ] {
            let error = compile(filter).map(|_| ()).expect_err(filter).0;
            assert!(error.contains(part), "{filter}: {error}");
        }
        assert!(compile("optional.of(data).optMap(a, [a, a]).hasValue()").is_err());
        assert!(compile(&"!".repeat(1_999)).is_err());
        assert!(compile(&"(".repeat(1_999)).is_err());
        assert!(compile(&format!("{}true{}", "(".repeat(900), ")".repeat(900))).is_err());
        assert!(holds("data.value", &variables()).is_err());
        assert!(holds("nothing > 1", &variables()).is_err());
        assert!(holds("1 / 0 > 1", &variables()).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_written_does_not_panic(text in "[-a-c.()\\[\\]{}!?:+*/<>='\"0-9 &|,]{0,60}") {
            let _ = holds(&text, &variables());
        }
    }
}
