use reqwest::header::HeaderMap;
use serde_json::Value;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("JSON, not {}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    pub fn message_id(&self) -> String {
        let json = self.json();
        json["data"]["messageId"].as_str().unwrap_or_else(|| panic!("a messageId in {json}")).to_owned()
    }

    /// Of an error answer: the name in its `type`, after it was found to be of the one shape that errors have.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let json = self.json();
        assert_eq!(json["success"], false, "{json}");
        assert_eq!(json["status"], self.status, "{json}");
        for member in ["title", "detail", "error"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {json}");
        }
        let name = json["type"].as_str().and_then(|name| name.strip_prefix("urn:correio:problem:"));
        name.unwrap_or_else(|| panic!("a type in {json}")).to_owned()
    }

    /// Of an invalid-field: the paths, sorted.
    pub fn paths(&self) -> Vec<String> {
        assert_eq!((self.status, self.problem().as_str()), (422, "invalid-field"), "{}", self.json());
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        let mut paths: Vec<String> =
            errors.iter().map(|error| error["path"].as_str().unwrap_or_default().to_owned()).collect();
        paths.sort();
        paths
    }
}
