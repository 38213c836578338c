//! JSON text without the white space that means nothing, everything else as its author wrote it.

/// Removes the white space between the tokens of well-formed JSON. Numbers keep their digits and strings their escapes,
/// which reading them into values and writing these would not preserve.
pub fn compact(json: &str) -> String {
    let mut compacted = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        compacted.push(character);
    }
    compacted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_and_escapes_stay_as_they_were_written() {
        let json = "{ \"total\" : 4500.00,\n\t\"n\": 1E400, \"t\": \"a \\\" b \\\\\" , \"u\": \"\\u00e9\" }";
        assert_eq!(compact(json), r#"{"total":4500.00,"n":1E400,"t":"a \" b \\","u":"\u00e9"}"#);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_undoes_pretty_printing(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), serde_json::to_string(&value).unwrap());
        }
    }
}
