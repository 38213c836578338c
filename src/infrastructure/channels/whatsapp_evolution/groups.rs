//! The groups of an instance, as Evolution lists them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::without_places;
use super::credentials::EvolutionCredentials;
use super::request::PEER;
use crate::application::ports::{Account, Clock, GroupDirectory, Participant, ProvidedGroups, ProviderGroup};
use crate::domain::group::member::{Identifier, IdentifierType};
use crate::domain::group::{GroupKind, GroupName};
use crate::domain::instance::channel::ChannelName;
use crate::domain::text::storable;
use crate::infrastructure::channels::http::http_answer::{HttpAnswer, without_answer};
use crate::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};

/// It asks WhatsApp for a picture of each group, one after the other.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Some thousand groups of a thousand people.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// What a group is called that has no subject, and a person who has no name.
const NO_SUBJECT: &str = "Grupo sem nome";
const NO_NAME: &str = "Sem nome";

pub struct EvolutionGroups {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
}

impl EvolutionGroups {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(guard: Arc<AddressGuard>, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let client = GuardedClient::new(guard, || client_builder(Duration::from_secs(5)))?;
        Ok(Self { client, clock })
    }
}

#[async_trait]
impl GroupDirectory for EvolutionGroups {
    fn channel(&self) -> ChannelName {
        ChannelName::new("whatsapp_evolution")
    }

    fn kind(&self) -> GroupKind {
        GroupKind::SyncedWhatsapp
    }

    fn longest_call(&self) -> Duration {
        TIMEOUT
    }

    async fn groups(&self, account: &Account) -> Result<ProvidedGroups, String> {
        let credentials = EvolutionCredentials::stored(&account.credentials, &account.channel_instance_id);
        let credentials = credentials.map_err(|error| error.reason)?;
        let mut url = credentials.url(&["group", "fetchAllGroups"]);
        url.query_pairs_mut().append_pair("getParticipants", "true");
        let request = self.client.requests().get(url).header("apikey", credentials.api_key_header());
        let hidden = credentials.redaction();
        let response = self.client.send(request, TIMEOUT, Repeats::OnceOnNewConnection).await;
        let response = response.map_err(|error| without_answer(PEER, error, hidden).reason)?;
        let answer = HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await;
        if !answer.status.is_success() {
            let said = hidden.snippet(without_places(&answer.text()));
            return Err(format!("HTTP {} from {PEER}: {said}", answer.status.as_u16()));
        }
        if !answer.complete {
            return Err(format!("The answer of {PEER} broke off, or has more than {ANSWER_LIMIT} bytes"));
        }
        read(&answer.body).ok_or_else(|| format!("{PEER} answered with something else than a list of groups"))
    }
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    subject: Option<Value>,
    owner: Option<Value>,
    creation: Option<Value>,
    #[serde(rename = "subjectTime")]
    subject_time: Option<Value>,
    #[serde(rename = "subjectOwner")]
    subject_owner: Option<Value>,
    #[serde(default)]
    participants: Vec<Value>,
}

/// None when this is not a list of groups. What of it is none is counted.
pub fn read(body: &[u8]) -> Option<ProvidedGroups> {
    let listed: Vec<Value> = serde_json::from_slice(body).ok()?;
    let mut provided = ProvidedGroups::default();
    for value in listed {
        match serde_json::from_value::<Listed>(value) {
            Ok(listed) if is_identifier(&listed.id) => provided.groups.push(group(listed)),
            _ => provided.unreadable += 1,
        }
    }
    Some(provided)
}

/// A member that is no text is as good as none: what else is said of a person holds.
fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}

fn group(listed: Listed) -> ProviderGroup {
    let mut seen = HashSet::new();
    let mut participants: Vec<Participant> = listed.participants.iter().filter_map(participant).collect();
    participants.retain(|participant| seen.insert(participant.identifier.as_str().to_owned()));
    let metadata = json!({
        "subject": listed.subject, "owner": listed.owner, "creation": listed.creation,
        "subjectTime": listed.subject_time, "subjectOwner": listed.subject_owner,
        "participantCount": participants.len(),
    });
    ProviderGroup {
        external_id: listed.id,
        name: named(listed.subject.as_ref().and_then(Value::as_str), NO_SUBJECT),
        metadata: metadata.to_string(),
        participants,
    }
}

/// The number, if it is known: `id` may be the name behind which WhatsApp hides it.
fn participant(person: &Value) -> Option<Participant> {
    let id = text(person, "id");
    let addresses = [text(person, "phoneNumber"), id];
    let number = addresses.into_iter().flatten().find_map(number_of).map(str::to_owned);
    let identifier = match (number, id) {
        (Some(number), _) => Identifier::stored(number, IdentifierType::Phone),
        (None, Some(id)) if is_identifier(id) => {
            let kind = if id.ends_with("@lid") { IdentifierType::Lid } else { IdentifierType::Jid };
            Identifier::stored(id.to_owned(), kind)
        }
        (None, _) => return None,
    };
    let is_super = text(person, "admin") == Some("superadmin");
    let is_admin = is_super || text(person, "admin") == Some("admin");
    let metadata = json!({"isAdmin": is_admin, "isSuperAdmin": is_super}).to_string();
    Some(Participant { identifier, name: named(text(person, "name").or(text(person, "notify")), NO_NAME), metadata })
}

/// `5585999999999@s.whatsapp.net`, with or without the number of a device, is a number.
fn number_of(address: &str) -> Option<&str> {
    let user = match address.split_once('@') {
        Some((user, "s.whatsapp.net")) => user.split(':').next().unwrap_or_default(),
        Some(_) => return None,
        None => address,
    };
    let is_number = !user.is_empty() && user.len() <= 32 && user.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(user)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.len() <= Identifier::LONGEST && !text.contains(char::is_control)
}

fn named(name: Option<&str>, otherwise: &str) -> String {
    let name = storable(name.unwrap_or_default(), GroupName::LONGEST);
    if name.trim().is_empty() { otherwise.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_known_by_their_number_where_it_is_told() {
        let body = json!([{
            "id": "120363000000000000@g.us", "subject": "Vendas", "owner": "1@lid", "creation": 1_690_000_000, "size": 4,
            "participants": [
                {"id": "111@lid", "phoneNumber": "5511999999999@s.whatsapp.net", "admin": "superadmin"},
                {"id": "5511888888888@s.whatsapp.net", "lid": "222@lid", "admin": "admin", "notify": "Bia"},
                {"id": "333@lid", "admin": null},
                {"id": "5511888888888:12@s.whatsapp.net"},
                {"id": ""}, {}, 7, {"id": 8}, {"id": "333@lid", "name": 9, "admin": false},
            ],
        }, {"subject": "no id"}, 7, {"id": "1203@g.us"}]);
        let ProvidedGroups { groups, unreadable } = read(body.to_string().as_bytes()).unwrap();
        let people = |group: &ProviderGroup| -> Vec<_> {
            let texts = |it: &Participant| (it.identifier.as_str().to_owned(), it.identifier.kind(), it.name.clone());
            group.participants.iter().map(texts).collect()
        };
        let expected = [
            ("5511999999999".to_owned(), IdentifierType::Phone, NO_NAME.to_owned()),
            ("5511888888888".to_owned(), IdentifierType::Phone, "Bia".to_owned()),
            ("333@lid".to_owned(), IdentifierType::Lid, NO_NAME.to_owned()),
        ];
        assert_eq!(people(&groups[0]), expected);
        assert_eq!(groups[0].participants[0].metadata, r#"{"isAdmin":true,"isSuperAdmin":true}"#);
        assert!(groups[0].metadata.contains(r#""participantCount":3"#), "{}", groups[0].metadata);
        assert_eq!((groups.len(), groups[1].name.as_str(), unreadable), (2, NO_SUBJECT, 2));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in ["", "{}", "null", "[", "\"[]\""] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        assert_eq!(read(b"[]"), Some(ProvidedGroups::default()));
    }
}
