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

/// A person is their number, however it is written.
pub fn same_as(recipient: &str) -> Option<String> {
    let number = number(recipient)?;
    let person = number.strip_suffix("@s.whatsapp.net").and_then(|user| user.split(':').next());
    Some(person.filter(|person| is_number(person)).map(str::to_owned).unwrap_or(number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_the_same_however_their_number_is_written() {
        let person = Some("5585999999999".to_owned());
        for recipient in
            ["5585999999999", "+55 (85) 99999-9999", "5585999999999@s.whatsapp.net", "5585999999999:12@s.whatsapp.net"]
        {
            assert_eq!(same_as(recipient), person, "{recipient}");
        }
        for other in ["5585999999999@lid", "5585999999999@g.us", "558599999999"] {
            assert_ne!(same_as(other), person, "{other}");
        }
        assert_eq!(same_as("Ana"), None);
    }
}
