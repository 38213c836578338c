//! Checks that the SQL of each adapter guards on the states that the domain's changes start from and leads to the
//! states that they lead to, and that no statement elsewhere writes a state.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{postgres, sqlite};
use crate::domain::message::transition::Change;
use crate::domain::message::{MOVES, MessageStatus};

type Move = (MessageStatus, MessageStatus);
type Statement = (&'static Change, Vec<String>);

/// The states that a text names in its guards, and those that it writes.
#[derive(Debug, Default, PartialEq)]
struct States {
    guards: HashSet<MessageStatus>,
    writes: HashSet<MessageStatus>,
    /// Writes a state that is given to it.
    writes_given: bool,
}

fn states(sql: &str) -> States {
    let mut states = States::default();
    for (place, _) in sql.match_indices("status") {
        let (before, after) = (&sql[..place], sql[place + "status".len()..].trim_start());
        let start =
            before.rfind(|letter: char| !(letter.is_alphanumeric() || "_.+".contains(letter))).map_or(0, |at| at + 1);
        let (text, owner) = (before[..start].trim_end(), before[start..].trim_start_matches('+'));
        // A state that a table of states, or a caller, gives is compared, and not guarded on.
        if !(owner.is_empty() || owner == "messages.") {
            continue;
        }
        let named = after.split('\'').skip(1).step_by(2).map_while(|name| name.parse::<MessageStatus>().ok());
        if text.ends_with("set") || (text.ends_with(',') && after.starts_with("= ")) {
            match after.strip_prefix("= '") {
                Some(_) => states.writes.extend(named.take(1)),
                None => states.writes_given = true,
            }
        } else if after.starts_with("= '") {
            states.guards.extend(named.take(1));
        } else if after.starts_with("between '") {
            states.guards.extend(named.take(2));
        } else if let Some((list, _)) = after.strip_prefix("in (").and_then(|list| list.split_once(')')) {
            states
                .guards
                .extend(list.split('\'').skip(1).step_by(2).filter_map(|name| name.parse::<MessageStatus>().ok()));
        }
    }
    states
}

fn statements<const N: usize>(of: [(&'static Change, &'static [&'static str]); N]) -> Vec<Statement> {
    of.into_iter().map(|(change, pieces)| (change, pieces.iter().copied().map(str::to_owned).collect())).collect()
}

fn adapters() -> [(&'static str, Vec<Statement>); 2] {
    [("postgres", statements(postgres::STATEMENTS)), ("sqlite", statements(sqlite::STATEMENTS))]
}

/// What the statements and the table of moves do not agree on.
fn disagreements(statements: &[Statement], moves: &[Move]) -> Vec<String> {
    let mut found = Vec::new();
    let mut made = HashSet::new();
    for (change, pieces) in statements {
        let states = states(&pieces.join(" "));
        let to: HashSet<_> = change.to.iter().copied().collect();
        if states.guards != change.from.iter().copied().collect() {
            found.push(format!("{} guards on {:?}", change.name, states.guards));
        }
        if states.writes != to && !(states.writes_given && states.writes.is_empty()) {
            found.push(format!("{} writes {:?}", change.name, states.writes));
        }
        made.extend(change.moves());
    }
    let allowed: HashSet<Move> = moves.iter().copied().collect();
    found.extend(allowed.difference(&made).map(|it| format!("no statement makes {it:?}")));
    found.extend(made.difference(&allowed).map(|it| format!("{it:?} is not among the moves")));
    found
}

#[test]
fn the_statements_make_every_move_that_is_allowed_and_no_other() {
    for (adapter, statements) in adapters() {
        assert_eq!(disagreements(&statements, MOVES), Vec::<String>::new(), "{adapter}");
    }
}

#[test]
fn a_move_that_only_the_domain_has_is_found() {
    let more = [MOVES, &[(MessageStatus::Failed, MessageStatus::Processing)]].concat();
    for (adapter, statements) in adapters() {
        assert_eq!(disagreements(&statements, &more).len(), 1, "{adapter}");
        for left_out in MOVES {
            let fewer: Vec<_> = MOVES.iter().copied().filter(|it| it != left_out).collect();
            assert_eq!(disagreements(&statements, &fewer).len(), 1, "{adapter} {left_out:?}");
        }
    }
}

#[test]
fn a_move_that_only_the_sql_has_is_found() {
    let planted = [
        ("status = 'queued'", "status in ('queued', 'failed')"),
        ("status = 'failed'", "status in ('failed', 'sent')"),
        ("status in ('pending', 'processing')", "status in ('pending', 'processing', 'sent')"),
        ("status in ('pending', 'queued')", "status in ('pending', 'queued', 'failed')"),
        ("status in ('pending', 'queued', 'processing')", "status in ('pending', 'queued', 'processing', 'sent')"),
        ("set status = 'processing'", "set status = 'sent'"),
        ("set status = 'queued'", "set status = 'pending'"),
        ("status = 'failed',", "status = 'queued',"),
    ];
    for (adapter, statements) in adapters() {
        for (guard, wider) in planted {
            let planted: Vec<Statement> = statements
                .iter()
                .map(|(change, pieces)| (*change, pieces.iter().map(|piece| piece.replace(guard, wider)).collect()))
                .collect();
            assert_ne!(planted, statements, "{adapter} has no {guard}");
            assert_ne!(disagreements(&planted, MOVES), Vec::<String>::new(), "{adapter} {wider}");
        }
    }
}

#[test]
fn no_statement_elsewhere_writes_a_state() {
    for (adapter, statements) in adapters() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/infrastructure/storage").join(adapter);
        let (changes, others): (Vec<_>, Vec<_>) =
            sources(&root).into_iter().partition(|path| path.iter().any(|part| part == "changes"));
        let updates = |path: &PathBuf| read(path).matches("update messaging_messages").count();
        // Each is declared.
        assert_eq!(changes.iter().map(updates).sum::<usize>(), statements.len(), "{adapter}");
        let of_messages = |text: &str| text.contains("messaging_messages") && writes_a_state(text);
        let writing: Vec<_> = others.iter().filter(|path| of_messages(&read(path))).collect();
        assert_eq!(writing, Vec::<&PathBuf>::new());
        assert!(!others.is_empty());
    }
}

/// What else has states of its own.
const OTHERS: [&str; 3] = ["messaging_instances", "messaging_broadcasts", "messaging_events"];

fn writes_a_state(text: &str) -> bool {
    let is_other = |piece: &str| OTHERS.iter().any(|table| piece.starts_with(table));
    let of_messages: Vec<_> = text.split("update ").filter(|piece| !is_other(piece)).collect();
    let states = states(&of_messages.join("update "));
    states.writes_given || !states.writes.is_empty() || text.contains("insert into messaging_messages")
}

#[test]
fn a_statement_that_writes_a_state_is_found() {
    for sql in [
        "update t set a = 1,\n status = 'sent' where status = 'x'",
        "update messaging_messages set status = $1 where id = $2",
        "update messaging_instances set status = $1; update t set a = 1, status = ?2",
        "insert into messaging_messages (id) values ($1)",
    ] {
        assert!(writes_a_state(sql), "{sql}");
    }
    for sql in [
        "select a, status from t where status = 'sent' and status = any($1)",
        "update messaging_instances set a = 1, status = coalesce($2, status)",
    ] {
        assert!(!writes_a_state(sql), "{sql}");
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if !path.ends_with("plan_tests.rs") {
            found.push(path);
        }
    }
    found
}
