//! `POST /api/messaging/groups/{groupId}/members:batch`

use super::data::{group_id, identifier};
use super::members::{MemberRequest, read_member};
use crate::application::groups::change_members::NewMember;
use crate::domain::access::principal::Scope;
use crate::domain::group::member::IdentifierType;
use crate::domain::problem::FieldProblem;
use crate::domain::text::bounded;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::{LargeBody, is_csv};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Members of one request at most.
const MOST: usize = 10_000;

/// The header of a list in CSV; the name may be left out.
const COLUMNS: [&str; 3] = ["identifier", "identifierType", "name"];

/// The longest name of a member, in characters.
const LONGEST_NAME: usize = 255;

/// What became of many members.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchData {
    added: usize,
    /// They were in the group, or are in the list more than once.
    updated: usize,
    refused: Vec<RefusedData>,
}

/// One that was not added.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedData {
    /// Of a list in CSV: its line, the header being the first; of an array: which one, from 1.
    line: u64,
    error: String,
}

/// Members, by the line that each came in: read, or why not.
type Lines = Vec<(u64, Result<NewMember, String>)>;

/// Add many members
///
/// Up to 10,000, as a JSON array or as CSV with the header `identifier,identifierType,name`. All that can be are added; the others
/// are listed with a reason.
#[utoipa::path(post, path = "/api/messaging/groups/{groupId}/members:batch", operation_id = "addMembers", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id")),
    request_body(content(
        (Vec<MemberRequest> = "application/json", example = json!([
            {"identifier": "5585999999999", "identifierType": "phone", "name": "Ana"}
        ])),
        (String = "text/csv", example = "identifier,identifierType,name\n5585999999999,phone,Ana\n"),
    )),
    responses(
        (status = 200, body = BatchData, description = "What became of them"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "conflict: the group is synced, or would have too many members"),
        Authenticated,
        WithBody,
    ))]
pub async fn add_many(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: LargeBody,
) -> Result<Json<BatchData>, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let id = group_id(id)?;
    let lines = if is_csv(&body.content_type) { read_csv(&body.bytes)? } else { read_json(body.json()?)? };
    let (numbers, new): (Vec<u64>, Vec<_>) = lines.into_iter().unzip();
    let gateway = state.gateway.clone();
    let adding = async move { gateway.groups.members.add_many(&caller.0, id, new).await };
    let batch = to_its_end(&state.tasks, adding).await??;
    let refused = batch.refused.into_iter().map(|(place, error)| RefusedData { line: numbers[place], error });
    Ok(Json(BatchData { added: batch.added, updated: batch.updated, refused: refused.collect() }))
}

fn too_many() -> Problem {
    Problem::invalid_field([FieldProblem::new("", format!("must have at most {MOST} members"))])
}

fn read_json(value: Value) -> Result<Lines, Problem> {
    let Value::Array(members) = value else {
        return Err(Problem::invalid_field([FieldProblem::new("", "must be an array of members")]));
    };
    if members.len() > MOST {
        return Err(too_many());
    }
    let said = |problems: Vec<FieldProblem>| {
        let said =
            problems.iter().map(|it| format!("{} {}", it.path.trim_start_matches('/'), it.detail).trim().to_owned());
        said.collect::<Vec<_>>().join("; ")
    };
    Ok((1..).zip(members.into_iter().map(|member| read_member(member).map_err(said))).collect())
}

/// RFC 4180, with or without a byte order mark.
pub fn read_csv(bytes: &[u8]) -> Result<Lines, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().cloned().map_err(|_| no_header())?;
    let place = |name: &str| header.iter().position(|column| column == name);
    let unknown = header.iter().find(|column| !COLUMNS.contains(column));
    let (Some(who), Some(kind), None) = (place("identifier"), place("identifierType"), unknown) else {
        return Err(no_header());
    };
    let name = place("name");
    let mut lines = Lines::new();
    let mut counted = CountedLines::default();
    for record in reader.records() {
        if lines.len() == MOST {
            return Err(too_many());
        }
        match record {
            Ok(record) => {
                let line = counted.line(bytes, record.position());
                let text = |place: usize| record.get(place).unwrap_or_default();
                let member = if record.len() > header.len() {
                    Err("has more columns than the header".to_owned())
                } else {
                    member_of(text(who), text(kind), name.map(text))
                };
                lines.push((line, member));
            }
            Err(error) => {
                let line = counted.line(bytes, error.position());
                lines.push((line, Err("is not CSV in UTF-8".to_owned())));
            }
        }
    }
    Ok(lines)
}

/// In which line a record begins, as an editor shows it: the reader's own count stops before the line feeds that it skips.
#[derive(Default)]
struct CountedLines {
    bytes: usize,
    feeds: u64,
}

impl CountedLines {
    fn line(&mut self, list: &[u8], position: Option<&csv::Position>) -> u64 {
        let begins = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.bytes);
        let skipped = list.iter().skip(begins).take_while(|byte| b"\r\n".contains(byte)).count();
        let until = (begins + skipped).clamp(self.bytes, list.len());
        self.feeds += list.iter().take(until).skip(self.bytes).filter(|byte| **byte == b'\n').count() as u64;
        self.bytes = until;
        self.feeds + 1
    }
}

fn no_header() -> Problem {
    let detail = "must be CSV in UTF-8 whose first line is identifier,identifierType,name";
    Problem::invalid_field([FieldProblem::new("", detail)])
}

fn member_of(who: &str, kind: &str, name: Option<&str>) -> Result<NewMember, String> {
    let kind: IdentifierType = kind.parse().map_err(|error| format!("identifierType {error}"))?;
    let identifier = identifier(who.to_owned(), kind).map_err(|flaw| format!("identifier {flaw}"))?;
    let name = name.filter(|name| !name.is_empty()).map(|name| bounded(name.to_owned(), LONGEST_NAME));
    let name = name.transpose().map_err(|error| format!("name {error}"))?;
    Ok(NewMember { identifier, name, metadata: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_member_or_says_why_it_is_none() {
        let list = "\u{feff}identifier,identifierType,name\r\n5585999999999,phone,\"Ana, de casa\"\r\n\r\n,phone,\n\
                    1,fax,\nana@b.c,email\n1,id,Bia,more\n";
        let lines = read_csv(list.as_bytes()).unwrap();
        let told: Vec<(u64, Result<String, String>)> = lines
            .into_iter()
            .map(|(line, member)| (line, member.map(|it| format!("{} {:?}", it.identifier.as_str(), it.name))))
            .collect();
        let expected = [
            (2, Ok("5585999999999 Some(\"Ana, de casa\")".to_owned())),
            (4, Err("identifier must not be empty".to_owned())),
            (5, Err("identifierType must be one of phone, jid, lid, email, id".to_owned())),
            (6, Ok("ana@b.c None".to_owned())),
            (7, Err("has more columns than the header".to_owned())),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_list_without_its_header_is_refused() {
        for list in ["", "5585999999999,phone,Ana\n", "identifier,name\n1,a\n", "identifier,identifierType,age\n"] {
            assert!(read_csv(list.as_bytes()).is_err(), "{list:?}");
        }
    }
}
