//! A service that the gateway does not begin runs nowhere, and nothing else would say so.

use super::sources::{self, Sources};

const GATEWAY: &str = "src/application/gateway/";

/// How a service begins in the code, with its type after it.
const STARTS: [&str; 2] = ["impl Service for ", "impl Repeated for "];

#[test]
fn the_gateway_knows_every_service() {
    let sources = sources::under(&["src/application"]);
    assert!(services(&sources).len() >= 6, "the check finds none");
    assert_eq!(forgotten(&sources), Vec::<String>::new());
}

#[test]
fn the_check_sees_a_service_that_was_forgotten() {
    let planted = sources::planted(&[
        ("src/application/gateway/services.rs", "services.push(Box::new(Relay { due }));"),
        ("src/application/recovery/relay.rs", "impl Repeated for Relay {"),
        ("src/application/delivery/consume.rs", "impl Service for Arc<Consume> {"),
        ("src/application/service.rs", "impl<R: Repeated> Service for Repeating<R> {"),
    ]);
    assert_eq!(forgotten(&planted), ["Consume"]);
}

fn forgotten(sources: &Sources) -> Vec<String> {
    let files = || sources.iter().filter(|(path, _)| path.starts_with(GATEWAY)).map(|(_, text)| text);
    let is_known =
        |name: &str| files().any(|text| text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == name));
    services(sources).into_iter().filter(|name| !is_known(name)).collect()
}

/// The types that are services, without the pointer around them; those of tests are indented.
fn services(sources: &Sources) -> Vec<String> {
    let lines = sources.values().flat_map(|text| text.lines());
    let types = lines.filter_map(|line| STARTS.iter().find_map(|start| line.strip_prefix(start)));
    types.map(|rest| rest.trim_end_matches([' ', '{', '>']).trim_start_matches("Arc<").to_owned()).collect()
}
