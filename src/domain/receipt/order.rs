//! In which order receipts are applied.

use std::collections::{BTreeMap, HashSet};

use super::{Receipt, ReceiptStatus};
use crate::domain::message::MessageId;

/// A receipt, and the message that its name stands for.
pub struct FoundReceipt {
    pub message: MessageId,
    pub receipt: Receipt,
}

/// What one statement each can apply, one after the other: receipts of one state, and of each message one.
pub fn in_order(found: &[FoundReceipt]) -> Vec<(ReceiptStatus, Vec<&FoundReceipt>)> {
    let mut of_status: BTreeMap<ReceiptStatus, Vec<&FoundReceipt>> = BTreeMap::new();
    for one in found {
        of_status.entry(one.receipt.status).or_default().push(one);
    }
    let mut statements = Vec::new();
    for (status, mut rest) in of_status {
        // Two statements that change the same rows in different orders lock each other out.
        rest.sort_unstable_by_key(|one| one.message);
        while !rest.is_empty() {
            let mut seen = HashSet::new();
            let (first, others) = rest.into_iter().partition(|one| seen.insert(one.message));
            statements.push((status, first));
            rest = others;
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::instance::InstanceId;
    use crate::domain::receipt::ChannelMessage;

    #[test]
    fn a_statement_has_one_receipt_of_a_message_and_failures_come_last() {
        let receipt = |message: u128, id: &str, status| {
            let of = ChannelMessage { instance: InstanceId(uuid::Uuid::nil()), id: id.to_owned() };
            let receipt = Receipt { of, message: None, status, at: Timestamp::UNIX_EPOCH, reason: None };
            FoundReceipt { message: MessageId(uuid::Uuid::from_u128(message)), receipt }
        };
        use ReceiptStatus::{Delivered, Failed, Read};
        let found = [
            receipt(2, "b", Failed),
            receipt(2, "a", Delivered),
            receipt(1, "c", Delivered),
            receipt(1, "d", Delivered),
            receipt(2, "a", Read),
        ];
        let names = |(status, found): &(ReceiptStatus, Vec<&FoundReceipt>)| {
            (*status, found.iter().map(|one| one.receipt.of.id.clone()).collect::<Vec<_>>().join(" "))
        };
        let statements: Vec<_> = in_order(&found).iter().map(names).collect();
        let expected = [(Delivered, "c a"), (Delivered, "d"), (Read, "a"), (Failed, "b")];
        assert_eq!(statements, expected.map(|(status, names)| (status, names.to_owned())));
    }
}
