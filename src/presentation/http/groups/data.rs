//! Groups and members as they are shown, and read.

use crate::domain::group::member::{Identifier, IdentifierType, Member};
use crate::domain::group::{Group, GroupDescription, GroupId, GroupName};
use crate::presentation::http::wire::envelope::{raw_json, rfc3339};
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::path_id;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use deserr::Deserr;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A named list of recipients of one instance.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupData {
    pub id: String,
    pub user_id: String,
    /// The tenant.
    pub business_profile_id: String,
    pub instance_id: String,
    pub name: String,
    pub description: Option<String>,
    /// `CUSTOM`, or `SYNCED_WHATSAPP`, `SYNCED_TELEGRAM`, `SYNCED_EMAIL`: one of the provider's, to which a message is sent once.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its id at the provider.
    pub external_group_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
    pub is_synced: bool,
    #[schema(format = "date-time")]
    pub last_sync_at: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
}

impl From<Group> for GroupData {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.to_string(),
            user_id: group.user_id,
            business_profile_id: group.tenant.to_string(),
            instance_id: group.instance_id.to_string(),
            name: group.name,
            description: group.description,
            kind: group.kind.as_str(),
            external_group_id: group.external_id,
            metadata: raw_json(group.metadata),
            is_synced: group.kind.is_synced(),
            last_sync_at: group.last_sync_at.map(rfc3339),
            created_at: rfc3339(group.created_at),
            updated_at: rfc3339(group.updated_at),
        }
    }
}

/// Who is in a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberData {
    pub id: String,
    pub group_id: String,
    pub identifier: String,
    /// `phone`, `jid`, `lid`, `email` or `id`.
    pub identifier_type: &'static str,
    pub name: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
    pub is_active: bool,
    #[schema(format = "date-time")]
    pub added_at: String,
}

impl From<Member> for MemberData {
    fn from(member: Member) -> Self {
        Self {
            id: member.id.to_string(),
            group_id: member.group.to_string(),
            identifier: member.identifier.as_str().to_owned(),
            identifier_type: member.identifier.kind().as_str(),
            name: member.name,
            metadata: raw_json(member.metadata),
            is_active: member.is_active,
            added_at: rfc3339(member.added_at),
        }
    }
}

/// What people call a group: 1 to 255 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = GroupNameField::parse -> fields::Detail)]
#[schema(as = GroupName, value_type = String, min_length = 1, max_length = 255)]
pub struct GroupNameField(pub GroupName);

impl GroupNameField {
    fn parse(text: String) -> Result<Self, fields::Detail> {
        Ok(Self(GroupName::parse(text)?))
    }
}

/// At most 2,048 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = DescriptionField::parse -> fields::Detail)]
#[schema(as = GroupDescription, value_type = String, max_length = 2048)]
pub struct DescriptionField(pub GroupDescription);

impl DescriptionField {
    fn parse(text: String) -> Result<Self, fields::Detail> {
        Ok(Self(GroupDescription::parse(text)?))
    }
}

#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(as = IdentifierType, rename_all = "lowercase")]
pub enum IdentifierTypeField {
    Phone,
    Jid,
    Lid,
    Email,
    Id,
}

impl From<IdentifierTypeField> for IdentifierType {
    fn from(field: IdentifierTypeField) -> Self {
        match field {
            IdentifierTypeField::Phone => IdentifierType::Phone,
            IdentifierTypeField::Jid => IdentifierType::Jid,
            IdentifierTypeField::Lid => IdentifierType::Lid,
            IdentifierTypeField::Email => IdentifierType::Email,
            IdentifierTypeField::Id => IdentifierType::Id,
        }
    }
}

/// The end of a sentence that begins with `identifier`.
pub fn identifier(text: String, kind: IdentifierType) -> Result<Identifier, String> {
    Identifier::parse(text, kind).map_err(|error| error.to_string())
}

pub fn group_id(id: Result<Path<String>, PathRejection>) -> Result<GroupId, Problem> {
    path_id(id).map(GroupId).ok_or_else(Problem::unknown_group)
}
