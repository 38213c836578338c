use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value as TemplateValue, filters};
use serde_json::Value;

use super::permitted_template::permitted;
use crate::application::ports::ExpressionError;

/// Of a template, in bytes.
const LONGEST: usize = 64 * 1024;

/// Of what it makes, in bytes.
const LONGEST_TEXT: usize = 256 * 1024;

/// Instructions: thousands of values.
const FUEL: u64 = 100_000;

/// # Errors
/// When it is no template, or has what could take too long.
pub fn check(text: &str) -> Result<(), ExpressionError> {
    if text.len() > LONGEST {
        return Err(ExpressionError(format!("must have at most {LONGEST} bytes")));
    }
    permitted(text)?;
    environment().template_from_str(text).map(|_| ()).map_err(|error| ExpressionError(format!("is none: {error}")))
}

/// # Errors
/// When it cannot be rendered over these variables.
pub fn render(text: &str, variables: &Value) -> Result<String, ExpressionError> {
    check(text)?;
    let environment = environment();
    let failed = |error: Error| {
        let sentence = match error.kind() {
            ErrorKind::OutOfFuel => "takes too long".to_owned(),
            ErrorKind::WriteFailure => format!("makes more than {LONGEST_TEXT} bytes"),
            _ => format!("cannot be rendered: {error}"),
        };
        ExpressionError(sentence)
    };
    let template = environment.template_from_str(text).map_err(failed)?;
    let mut output = Bounded(Vec::new());
    template.render_captured_to(TemplateValue::from(Serde(variables)), &mut output).map_err(failed)?;
    String::from_utf8(output.0).map_err(|error| ExpressionError(format!("makes no text: {error}")))
}

/// With filters that make nothing much longer than what they are given.
fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // `{{ data.deal.title }}` of a person is nothing, not an error.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(20);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("title", filters::title);
    environment.add_filter("default", filters::default);
    environment.add_filter("d", filters::default);
    environment.add_filter("length", filters::length);
    environment.add_filter("count", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("abs", filters::abs);
    environment.add_filter("int", filters::int);
    environment.add_filter("float", filters::float);
    environment.add_filter("round", filters::round);
    environment.add_filter("items", filters::items);
    environment.add_filter("join", join);
    environment.add_filter("tojson", to_json);
    environment.add_test("defined", minijinja::tests::is_defined);
    environment.add_test("undefined", minijinja::tests::is_undefined);
    environment.add_test("none", minijinja::tests::is_none);
    environment.add_test("string", minijinja::tests::is_string);
    environment.add_test("number", minijinja::tests::is_number);
    environment.add_test("mapping", minijinja::tests::is_mapping);
    environment.add_test("sequence", minijinja::tests::is_sequence);
    environment
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the text is too long")
}

fn join(list: TemplateValue, between: Option<String>) -> Result<String, Error> {
    let (mut joined, between) = (String::new(), between.unwrap_or_default());
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(&between);
        }
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None => joined.push_str(&item.to_string()),
        }
        if joined.len() > LONGEST_TEXT {
            return Err(too_long());
        }
    }
    Ok(joined)
}

fn to_json(value: TemplateValue) -> Result<TemplateValue, Error> {
    let mut output = Bounded(Vec::new());
    serde_json::to_writer(&mut output, &value).map_err(|_| too_long())?;
    let json = String::from_utf8(output.0).map_err(|_| too_long())?;
    Ok(TemplateValue::from_safe_string(json))
}

/// A text that does not grow beyond its bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TEXT {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn variables() -> Value {
        json!({
            "event": { "type": "VENDA", "id": "7" },
            "data": { "cliente": "Ana & \"Bia\"", "valor": 10.5, "n": 3, "itens": [{ "nome": "a" }, { "nome": "b" }] },
            "source": { "name": "crm" },
        })
    }

    fn rendered(template: &str) -> String {
        render(template, &variables()).unwrap_or_else(|error| panic!("{template}: {error}"))
    }

    #[test]
    fn a_template_writes_what_an_event_holds() {
        assert_eq!(rendered("Olá, {{ data.cliente }}: R$ {{ data.valor }}"), "Olá, Ana & \"Bia\": R$ 10.5");
        assert_eq!(
            rendered("{% for item in data.itens %}{{ loop.index }}.{{ item.nome|upper }} {% endfor %}"),
            "1.A 2.B "
        );
        assert_eq!(rendered("{% if data.valor > 10 %}grande{% else %}pequena{% endif %}"), "grande");
        assert_eq!(rendered("{{ data.deal.title|default('sem título') }}{{ data.none.there }}"), "sem título");
        assert_eq!(
            rendered(r#"{"tipo": {{ event.type|tojson }}, "dados": {{ data|tojson }}}"#).parse::<Value>().unwrap()["dados"],
            variables()["data"]
        );
        assert_eq!(rendered("{{ data.n + 1 }} {{ 'Sr. ' + data.cliente }}"), "4 Sr. Ana & \"Bia\"");
    }

    #[test]
    fn what_could_grow_without_a_bound_is_refused() {
        for template in [
            "{% set x = data.cliente %}",
            "{% with x = 1 %}{% endwith %}",
            "{% for x in [data, data] %}{% endfor %}",
            "{% for x in data.itens recursive %}{{ loop([x]) }}{% endfor %}",
            "{{ data.cliente ~ data.cliente }}",
            "{{ data.cliente * 1000000000 }}",
            "{{ 'a' * 1000000000 }}",
            "{{ data.cliente + data.cliente }}",
            "{{ 10 ** 100 }}",
            "{{ range(10) }}",
            "{{ data",
        ] {
            assert!(check(template).is_err(), "{template}");
        }
        let nested = "{% for a in data.many %}{% for b in data.many %}{% for c in data.many %}x{% endfor %}{% endfor %}{% endfor %}";
        let many = json!({ "data": { "many": vec![1; 1000] } });
        assert!(render(nested, &many).unwrap_err().0.contains("takes too long"));
        let long = json!({ "data": { "text": "x".repeat(200_000) } });
        assert!(render("{{ data.text }}{{ data.text }}", &long).unwrap_err().0.contains("makes more than"));
    }

    proptest! {
        #[test]
        fn whatever_is_written_does_not_panic(text in "(\\{\\{|\\}\\}|\\{%|%\\}|for |in |if |end|data|\\.a|\\||upper| |\\[|\\]|\\(|\\)|-|'|x){0,30}") {
            let _ = render(&text, &variables());
        }
    }
}
