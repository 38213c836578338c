const SERVERS: [&str; 3] = ["s.whatsapp.net", "g.us", "lid"];

/// From here on Evolution takes digits with a `-` for a group of the old kind (`<creator>-<time>`).
const SHORTEST_OLD_GROUP: usize = 24;

/// A JID is far shorter.
const LONGEST: usize = 128;

/// What Evolution calls `number`: the digits of a phone number, or a JID as it is. None for anything else.
pub fn number(recipient: &str) -> Option<String> {
    if recipient.len() > LONGEST {
        return None;
    }
    if let Some((user, server)) = recipient.split_once('@') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let known = !user.is_empty() && user.bytes().all(plain) && SERVERS.contains(&server);
        return known.then(|| recipient.to_owned());
    }
    if is_old_group(recipient) {
        return Some(recipient.to_owned());
    }
    let without_plus = recipient.trim().strip_prefix('+').unwrap_or(recipient.trim());
    let digits: String = without_plus.chars().filter(|character| !" ()-.".contains(*character)).collect();
    is_number(&digits).then_some(digits)
}

/// Whether what [`number`] gave is a group.
pub fn is_group(number: &str) -> bool {
    number.ends_with("@g.us") || is_old_group(number)
}

fn is_old_group(recipient: &str) -> bool {
    recipient.len() >= SHORTEST_OLD_GROUP
        && recipient.split_once('-').is_some_and(|(creator, time)| is_number(creator) && is_number(time))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
