//! The types of events that every tenant has, and what their data must hold.

use serde_json::{Map, Value};

use super::kind::folded;
use crate::domain::problem::FieldProblem;

/// A type that every tenant has.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownKind {
    pub name: &'static str,
    /// The data must hold all members of one of these; of none where there is none.
    pub required: &'static [&'static [&'static str]],
}

/// The members that clients of another system send, whatever the type.
const ENGLISH: &[&str] = &["productId", "quantity", "price"];

pub const KNOWN_KINDS: &[KnownKind] = &[
    KnownKind { name: "VENDA", required: &[&["produto_id", "quantidade", "valor"], ENGLISH] },
    KnownKind { name: "DEVOLUÇÃO", required: &[&["venda_id", "motivo"], ENGLISH] },
    KnownKind { name: "ATUALIZAÇÃO_ESTOQUE", required: &[&["produto_id", "quantidade"], ENGLISH] },
    KnownKind { name: "CANCELAMENTO", required: &[] },
];

impl KnownKind {
    /// The one that is called so, with or without accents.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = folded(name);
        KNOWN_KINDS.iter().find(|kind| folded(kind.name) == name)
    }

    /// What the data lacks, with paths into it: of the members that it comes closest to.
    pub fn problems(&self, data: &Map<String, Value>) -> Vec<FieldProblem> {
        let is_missing = |member: &&&str| data.get(**member).is_none_or(Value::is_null);
        let missing = self.required.iter().map(|members| {
            let missing: Vec<&str> = members.iter().filter(is_missing).copied().collect();
            // None of them is there: the client speaks otherwise.
            (missing.len() == members.len(), missing)
        });
        let closest = missing.min_by_key(|(speaks_otherwise, missing)| (!missing.is_empty(), *speaks_otherwise));
        let (_, missing) = closest.unwrap_or_default();
        missing.into_iter().map(|member| FieldProblem::new(format!("/{member}"), "is required")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn missing(kind: &str, data: Value) -> Vec<String> {
        let problems = KnownKind::find(kind).unwrap().problems(data.as_object().unwrap());
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn each_type_has_required_members_in_either_language() {
        assert!(missing("VENDA", json!({ "produto_id": "1", "quantidade": 2, "valor": 10.5 })).is_empty());
        assert!(missing("venda", json!({ "productId": "1", "quantity": 2, "price": 10.5 })).is_empty());
        assert_eq!(missing("VENDA", json!({ "produto_id": "1", "valor": null })), ["/quantidade", "/valor"]);
        assert_eq!(missing("VENDA", json!({ "productId": "1" })), ["/quantity", "/price"]);
        assert_eq!(missing("DEVOLUCAO", json!({})), ["/venda_id", "/motivo"]);
        assert_eq!(missing("ATUALIZACAO_ESTOQUE", json!({ "quantidade": 1 })), ["/produto_id"]);
        assert!(missing("CANCELAMENTO", json!({})).is_empty());
        assert_eq!(KnownKind::find("OUTRO"), None);
    }
}
