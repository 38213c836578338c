//! What of a message has no column.

use serde_json::{Map, Value};

use super::{Author, Deed, InboundMessage};

impl InboundMessage {
    /// Compact JSON text of an object, without members that say nothing; none without any member.
    pub(super) fn payload(&self) -> Option<String> {
        let mut members = Map::new();
        put(&mut members, "type", self.kind.as_deref());
        let sender = [("address", &self.sender.address), ("alias", &self.sender.alias), ("name", &self.sender.name)];
        put_object(&mut members, "sender", sender.map(|(name, value)| (name, value.as_deref())));
        if self.author != Author::Another {
            members.insert("fromPhone".to_owned(), Value::Bool(true));
        }
        if let Some(media) = &self.media {
            let parts = [
                ("type", Some(media.media_type.as_str())),
                ("url", media.url.as_deref()),
                ("id", media.id.as_deref()),
                ("mimetype", media.mime_type.as_deref()),
                ("fileName", media.file_name.as_deref()),
            ];
            put_object(&mut members, "media", parts);
        }
        put(&mut members, "quotedId", self.quoted.as_deref());
        match &self.deed {
            Some(Deed::ReactsTo(other)) => put(&mut members, "reactsTo", Some(other)),
            Some(Deed::Edits(other)) => put(&mut members, "edits", Some(other)),
            None => {}
        }
        if let Some(rest) = self.rest.as_deref().and_then(|rest| serde_json::from_str(rest).ok()) {
            members.insert("content".to_owned(), rest);
        }
        (!members.is_empty()).then(|| Value::Object(members).to_string())
    }
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), Value::String(value.to_owned()));
    }
}

fn put_object<const PARTS: usize>(members: &mut Map<String, Value>, name: &str, parts: [(&str, Option<&str>); PARTS]) {
    let mut object = Map::new();
    for (part, value) in parts {
        put(&mut object, part, value);
    }
    if !object.is_empty() {
        members.insert(name.to_owned(), Value::Object(object));
    }
}
