//! Turns what a channel said into a sentence that may be stored and shown.

use std::fmt;

use url::Url;

const MASK: &str = "***";

/// How much of what a channel said is worth keeping.
const SNIPPET_LIMIT: usize = 300;

/// Below this a value of a query is not a secret, and masking it would only garble the sentence.
const SHORTEST_QUERY_SECRET: usize = 4;

/// The texts that must never be shown.
#[derive(Clone, Default)]
pub struct Redaction {
    secrets: Vec<String>,
}

impl Redaction {
    /// Also in the forms in which a server may echo it: inside JSON, in a URL, and in a page.
    pub fn of(secret: &str) -> Self {
        let mut redaction = Self::default();
        redaction.add(secret);
        redaction
    }

    pub fn and(mut self, secret: &str) -> Self {
        self.add(secret);
        self
    }

    /// A query often carries a token: servers echo it in their "not found" pages.
    pub fn and_query_of(mut self, url: &Url) -> Self {
        self.add(url.query().unwrap_or_default());
        for pair in url.query().unwrap_or_default().split('&') {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            if value.len() >= SHORTEST_QUERY_SECRET {
                self.add(value);
            }
        }
        for (_, value) in url.query_pairs() {
            if value.len() >= SHORTEST_QUERY_SECRET {
                self.add(&value);
            }
        }
        self
    }

    /// What was said as part of one sentence: on one line, short, without U+0000 and without a secret.
    ///
    /// Secrets go after the line is made, since that can put the pieces of one together, and before it is cut, since
    /// that can leave a piece of one.
    pub fn snippet(&self, said: &str) -> String {
        let shown = said.chars().filter(|&character| character != '\0');
        let spaced: String = shown.map(|character| if character.is_control() { ' ' } else { character }).collect();
        let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
        self.mask(&line).chars().take(SNIPPET_LIMIT).collect()
    }

    fn mask(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }

    fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let quoted = serde_json::Value::from(secret).to_string();
        let in_json = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted);
        let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let in_html = in_html(secret);
        self.secrets.extend([secret, in_json, &in_url, &in_html].map(str::to_owned));
        // The longest first: masking a part of a secret would leave the rest of it.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }
}

fn in_html(text: &str) -> String {
    let escapes = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
    escapes.into_iter().fold(text.to_owned(), |text, (character, escaped)| text.replace(character, escaped))
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction({} texts)", self.secrets.len())
    }
}
