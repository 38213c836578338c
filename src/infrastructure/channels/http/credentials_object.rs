//! Reading credentials as a client gave them: every problem is collected, none stops at the first.

use serde_json::{Map, Value};

use crate::domain::problem::FieldProblem;

pub const PATH: &str = "/credentials";

/// The members of an object; none when it is absent, `null` or no object, which is a problem.
pub struct CredentialsObject<'a> {
    members: Option<&'a Map<String, Value>>,
    problems: Vec<FieldProblem>,
}

impl<'a> CredentialsObject<'a> {
    pub fn read(given: Option<&'a Value>, known: &[&str]) -> Self {
        let mut problems = Vec::new();
        let members = match given {
            None | Some(Value::Null) => None,
            Some(Value::Object(members)) => {
                let unknown = members.keys().filter(|name| !known.contains(&name.as_str()));
                problems.extend(unknown.map(|name| FieldProblem::new(member_path(name), "is not known")));
                Some(members)
            }
            Some(_) => {
                problems.push(FieldProblem::new(PATH, "must be an object"));
                None
            }
        };
        Self { members, problems }
    }

    /// A text that may be absent or `null`.
    pub fn optional_text(&mut self, name: &str) -> Option<&'a str> {
        match self.members.and_then(|members| members.get(name)) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.problem(name, "must be a text");
                None
            }
        }
    }

    /// A text under one of several names, the first of which is its own, and which of them it was given as.
    pub fn required_text_of(&mut self, names: &'static [&'static str]) -> (&'static str, Option<&'a str>) {
        let is_given =
            |name: &&&str| self.members.and_then(|members| members.get(**name)).is_some_and(|it| !it.is_null());
        let given: Vec<&'static str> = names.iter().filter(is_given).copied().collect();
        for other in given.iter().skip(1) {
            self.problem(other, &format!("is another name of `{}`: give one of them", given[0]));
        }
        let name = given.first().or(names.first()).copied().unwrap_or_default();
        (name, self.required_text(name))
    }

    pub fn required_text(&mut self, name: &str) -> Option<&'a str> {
        let absent = self.members.and_then(|members| members.get(name)).is_none_or(Value::is_null);
        if absent {
            self.problem(name, "is required");
        }
        self.optional_text(name)
    }

    pub fn problem(&mut self, name: &str, detail: &str) {
        self.problems.push(FieldProblem::new(member_path(name), detail));
    }

    /// All that was found wrong.
    pub fn problems(self) -> Vec<FieldProblem> {
        self.problems
    }

    /// # Errors
    /// All that was found wrong.
    pub fn finish(self) -> Result<(), Vec<FieldProblem>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}

/// RFC 6901: `~` and `/` in a name are escaped.
fn member_path(name: &str) -> String {
    format!("{PATH}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Any other would not survive in a header, or not be recognised in an answer that must not give it away.
pub fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
