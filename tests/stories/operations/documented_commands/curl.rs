//! A `curl` command line, so that its request can be made where there is no `curl`.

/// Where the pages' program listens.
const SERVER: &str = "localhost:3000";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curl {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// Whether the answer is shown with its status line and headers (`-i`).
    pub shows_head: bool,
}

impl Curl {
    /// Reads the words after `curl`.
    ///
    /// # Errors
    /// The word that this reader does not know: the page must not say more than the test does.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let (mut method, mut url, mut body) = (None, None, None);
        let (mut headers, mut shows_head) = (Vec::new(), false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} without its value"));
            match word.as_str() {
                // What is said on the terminal.
                "-s" | "-S" | "-sS" => {}
                // What is written after the answer.
                "-w" => _ = value()?,
                "-i" => shows_head = true,
                "-X" => method = Some(value()?),
                "-d" | "--data" => body = Some(value()?),
                "-H" => {
                    let header = value()?;
                    let (name, value) = header.split_once(": ").ok_or_else(|| format!("the header {header}"))?;
                    headers.push((name.to_owned(), value.to_owned()));
                }
                option if option.starts_with('-') => return Err(format!("the option {option}")),
                address if url.is_none() => url = Some(address.to_owned()),
                more => return Err(format!("one more address, {more}")),
            }
        }
        let url = url.ok_or("no address")?;
        let path = url.strip_prefix("http://").unwrap_or(&url).strip_prefix(SERVER);
        let path = path.filter(|path| path.starts_with('/')).ok_or_else(|| format!("the address {url}"))?.to_owned();
        let is_named =
            |name: &str| headers.iter().any(|(given, _): &(String, String)| given.eq_ignore_ascii_case(name));
        if body.is_some() && !is_named("content-type") {
            headers.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
        let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
        Ok(Self { method, path, headers, body, shows_head })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Curl, String> {
        Curl::parse(&shlex::split(line).unwrap()[1..])
    }

    #[test]
    fn a_request_is_read_as_curl_would_make_it() {
        let sent = parse(r#"curl -sS -i localhost:3000/a -H "X-API-Key: k: v" -d '{"a": 1}' -w '\n'"#).unwrap();
        assert_eq!((sent.method.as_str(), sent.path.as_str(), sent.shows_head), ("POST", "/a", true));
        assert_eq!(sent.body.as_deref(), Some("{\"a\": 1}"));
        let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        assert_eq!(sent.headers, [("X-API-Key".to_owned(), "k: v".to_owned()), form]);

        let read = parse("curl 'http://localhost:3000/a?b=c&d'").unwrap();
        assert_eq!((read.method.as_str(), read.path.as_str(), read.body), ("GET", "/a?b=c&d", None));
        assert_eq!(parse("curl -X DELETE localhost:3000/a").unwrap().method, "DELETE");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (line, unknown) in [
            ("curl -k localhost:3000/a", "-k"),
            ("curl --data-raw x localhost:3000/a", "--data-raw"),
            ("curl localhost:3000/a | grep b", "|"),
            ("curl example.org/a", "example.org"),
            ("curl localhost:30001/a", "localhost:30001"),
            ("curl -H X-API-Key localhost:3000/a", "X-API-Key"),
            ("curl localhost:3000/a -d", "-d"),
            ("curl -s", "no address"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(unknown), "{line}: {error}");
        }
    }
}
