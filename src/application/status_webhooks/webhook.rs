//! The channel that tells, and what it takes.

use serde_json::{Value, json};

use crate::application::ports::{ChannelSender, Channels, NewCredentials};
use crate::domain::instance::channel::ChannelName;
use crate::domain::problem::FieldProblem;

pub const CHANNEL: &str = "webhook";

/// # Errors
/// Where this process has no such channel.
pub fn sender(channels: &Channels) -> Result<&dyn ChannelSender, FieldProblem> {
    channels.find(&ChannelName::new(CHANNEL)).map(AsRef::as_ref).ok_or_else(|| channels.unknown())
}

/// # Errors
/// All that is wrong with it.
pub fn check_url(sender: &dyn ChannelSender, url: &str) -> Result<(), Vec<FieldProblem>> {
    sender.check_address(url).map_err(|problems| at("/url", problems))
}

/// A secret as it was given, or one that is made up, and revealed.
///
/// # Errors
/// All that is wrong with it.
pub fn check_secret(sender: &dyn ChannelSender, secret: Option<&str>) -> Result<NewCredentials, Vec<FieldProblem>> {
    let given: Option<Value> = secret.map(|secret| json!({ "secret": secret }));
    sender.check_credentials(given.as_ref()).map_err(|problems| at("/secret", problems))
}

fn at(path: &str, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    problems.into_iter().map(|problem| FieldProblem::new(path, problem.detail)).collect()
}
