use crate::application::ports::{BYTES_AT_ONCE, NewDelivery};

/// Deliveries that one statement writes at the most.
pub const TOGETHER: usize = 500;

/// Bytes that a delivery takes beside its content, roughly.
const OF_A_DELIVERY: u64 = 1_024;

/// Bytes that a delivery takes as long as it is not written.
pub fn size(delivery: &NewDelivery) -> u64 {
    OF_A_DELIVERY + delivery.message.as_ref().map_or(0, |message| message.content.bytes())
}

/// Parts that fit into one statement each.
pub fn portions(deliveries: &[NewDelivery]) -> Vec<&[NewDelivery]> {
    let mut portions = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (place, delivery) in deliveries.iter().enumerate() {
        let own_bytes = size(delivery);
        if place > first && (place - first >= TOGETHER || bytes + own_bytes > BYTES_AT_ONCE) {
            portions.push(&deliveries[first..place]);
            (first, bytes) = (place, 0);
        }
        bytes += own_bytes;
    }
    if first < deliveries.len() {
        portions.push(&deliveries[first..]);
    }
    portions
}
