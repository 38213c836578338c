use std::collections::BTreeMap;
use std::path::Path;

use super::table::{Lookups, TableReader};
use crate::application::ports::EventExpressions;
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::KindPattern;
use crate::domain::source::finder::Finder;
use crate::domain::source::proof::{Proof, Style};
use crate::domain::source::{Enrichment, Source, SourceAnswer};
use crate::infrastructure::expressions::{BoundedExpressions, JsonSchemas};

/// None where something is missing; what else is wrong is in the mistakes.
pub fn read(table: &TableReader<'_>, directory: &Path, lookups: &Lookups) -> Option<Source> {
    let name = table.required_text("name");
    let path = table.text("path").or_else(|| name.clone());
    let proof = proof(table);
    let kind = finders(table, "type");
    if kind.is_empty() {
        table.add_at("type", "`type` is required: where the type of an event is found, or the type itself");
    }
    let source = Source {
        name: checked_name(table, "name", name?),
        path: checked_name(table, "path", path?),
        tenant: tenant(table),
        proof: proof?,
        kind,
        id: finders(table, "id"),
        occurred_at: finders(table, "time"),
        ordering_key: finders(table, "ordering_key"),
        schemas: schemas(table, directory),
        keeps_invalid: keeps_invalid(table),
        enrichment: enrichment(table, lookups),
        answer: answer(table),
    };
    table.finish();
    Some(source)
}

/// Two sources at one path would share their reports.
pub fn check_paths(sources: &[Source], root: &TableReader<'_>) {
    for (place, source) in sources.iter().enumerate() {
        let others = sources.iter().take(place);
        if others.into_iter().any(|other| other.path == source.path || other.name == source.name) {
            root.add_at("sources", format!("there are two sources called `{}`, or at `{}`", source.name, source.path));
        }
    }
}

fn checked_name(table: &TableReader<'_>, member: &str, name: String) -> String {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&letter);
    if name.is_empty() || name.len() > 100 || !name.chars().all(is_name) {
        table.add_at(member, format!("`{member}` must be 1 to 100 letters, digits, `-`, `_` or `.`"));
    }
    name
}

fn tenant(table: &TableReader<'_>) -> Tenant {
    let name = table.text("tenant").unwrap_or_else(|| Tenant::DEFAULT.to_owned());
    Tenant::new(name).unwrap_or_else(|error| {
        table.add_at("tenant", error.to_string());
        Tenant::unreadable()
    })
}

fn finders(table: &TableReader<'_>, member: &str) -> Vec<Finder> {
    let parsed = table.texts(member).into_iter().filter_map(|text| {
        let parsed = Finder::parse(&text);
        parsed.map_err(|detail| table.add_at(member, format!("`{text}` {detail}"))).ok()
    });
    parsed.collect()
}

fn proof(table: &TableReader<'_>) -> Option<Proof> {
    let auth = table.required_text("auth")?;
    let required = |member: &str| table.required_text(member).filter(|text| !text.is_empty());
    match auth.as_str() {
        "open" => Some(Proof::Open),
        "api_key" => Some(Proof::ApiKey),
        "basic" => {
            let (user, password) = (required("user"), required("password"));
            Some(Proof::Basic { user: user?, password: password? })
        }
        "path_secret" => Some(Proof::PathSecret(required("secret")?)),
        auth => {
            let Some((_, style)) = Style::ALL.iter().find(|(name, _)| *name == auth) else {
                let styles: Vec<&str> = Style::ALL.iter().map(|(name, _)| *name).collect();
                let sentence =
                    format!("`auth` must be open, api_key, basic, path_secret, or a signature: {}", styles.join(", "));
                table.add_at("auth", sentence);
                return None;
            };
            let secrets: Vec<String> = table.texts("secret").into_iter().filter(|secret| !secret.is_empty()).collect();
            if secrets.is_empty() {
                table.add_at("secret", "`secret` is required: one, or a list while one is replaced");
                return None;
            }
            for detail in secrets.iter().filter_map(|secret| style.check_secret(secret).err()) {
                table.add_at("secret", format!("`secret` {detail}"));
            }
            let verify_token = table.text("verify_token");
            if verify_token.as_ref().is_some_and(String::is_empty) {
                table
                    .add_at("verify_token", "`verify_token` must not be empty; leave it out where no hands are shaken");
            }
            Some(Proof::Signature { style: *style, secrets, verify_token })
        }
    }
}

fn schemas(table: &TableReader<'_>, directory: &Path) -> Vec<(KindPattern, String)> {
    let Some(files) = table.table("schemas") else { return Vec::new() };
    let mut schemas = Vec::new();
    for pattern in files.names() {
        let Some(file) = files.text(&pattern) else { continue };
        let read = KindPattern::parse(&pattern).and_then(|kind| {
            let text = std::fs::read_to_string(directory.join(&file)).map_err(|error| format!("`{file}`: {error}"))?;
            let schema = serde_json::from_str(&text).map_err(|error| format!("`{file}` is not JSON: {error}"))?;
            JsonSchemas::check_now(&schema).map_err(|detail| format!("`{file}` {detail}"))?;
            Ok((kind, text))
        });
        match read {
            Ok(schema) => schemas.push(schema),
            Err(sentence) => files.add_at(&pattern, sentence),
        }
    }
    schemas
}

fn keeps_invalid(table: &TableReader<'_>) -> bool {
    match table.text("invalid").as_deref() {
        None | Some("refuse") => false,
        Some("keep") => true,
        Some(_) => {
            table.add_at("invalid", "`invalid` must be `refuse` or `keep`");
            false
        }
    }
}

fn enrichment(table: &TableReader<'_>, lookups: &Lookups) -> Vec<(String, Enrichment)> {
    let Some(members) = table.table("enrich") else { return Vec::new() };
    let mut enrichment = Vec::new();
    for member in members.names() {
        let value = if members.is_table(&member) {
            members.table(&member).and_then(|described| described_enrichment(&described, lookups))
        } else {
            members.constant(&member).map(Enrichment::Constant)
        };
        enrichment.extend(value.map(|value| (member, value)));
    }
    enrichment
}

fn described_enrichment(table: &TableReader<'_>, lookups: &Lookups) -> Option<Enrichment> {
    let finder = |member: &str| {
        let text = table.required_text(member)?;
        Finder::parse(&text).map_err(|detail| table.add_at(member, format!("`{text}` {detail}"))).ok()
    };
    let described = match (table.text("lookup"), table.text("new")) {
        (Some(name), _) => {
            let by = finder("by");
            let found = lookups.get(&name).cloned();
            if found.is_none() {
                table.add_at("lookup", format!("there is no `[tables.{name}]`"));
            }
            Some(Enrichment::Lookup { table: found?, by: by? })
        }
        (None, Some(what)) if what == "id" => Some(Enrichment::NewId),
        (None, Some(what)) if what == "time" => Some(Enrichment::Now),
        (None, Some(_)) => {
            table.add_at("new", "`new` must be `id` or `time`");
            None
        }
        (None, None) => finder("find").map(Enrichment::Found),
    };
    table.finish();
    described
}

fn answer(table: &TableReader<'_>) -> SourceAnswer {
    let described = table.table("answer");
    let status = described.as_ref().and_then(|answer| answer.number("status")).unwrap_or(200);
    let body = described.as_ref().and_then(|answer| answer.text("body"));
    if let Some(answer) = described {
        if !(200..=299).contains(&status) {
            answer.add_at("status", "`status` must be from 200 to 299");
        }
        if let Some(Err(error)) = body.as_deref().map(|body| BoundedExpressions::default().check_template(body)) {
            answer.add_at("body", format!("`body` {error}"));
        }
        answer.finish();
    }
    SourceAnswer { status: u16::try_from(status).unwrap_or(200), body }
}

/// A table of its own, or of the first two columns of a CSV file.
pub fn lookup(table: &TableReader<'_>, directory: &Path) -> BTreeMap<String, String> {
    let names = table.names();
    if names == ["csv"] {
        let Some(file) = table.text("csv") else { return BTreeMap::new() };
        return csv(&directory.join(&file)).unwrap_or_else(|sentence| {
            table.add_at("csv", format!("`{file}`: {sentence}"));
            BTreeMap::new()
        });
    }
    names.into_iter().filter_map(|name| Some((name.clone(), table.text(&name)?))).collect()
}

fn csv(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut entries = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((key, value)) = line.split_once([',', ';']) else {
            return Err(format!("line {} must have two columns, with a comma in between", number + 1));
        };
        let bare = |text: &str| text.trim().trim_matches('"').to_owned();
        entries.insert(bare(key), bare(value));
    }
    Ok(entries)
}
