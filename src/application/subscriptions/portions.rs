use crate::application::ports::{BYTES_AT_ONCE, NewDelivery};

/// Deliveries that one statement writes at the most.
const TOGETHER: usize = 500;

/// Parts whose deliveries fit into one statement, each with the place of its first item.
pub fn portions<T>(items: &[T], deliveries: impl Fn(&T) -> &[NewDelivery]) -> Vec<(usize, &[T])> {
    let mut portions = Vec::new();
    let (mut first, mut count, mut bytes) = (0, 0, 0);
    for (place, item) in items.iter().enumerate() {
        let new = deliveries(item);
        let own_bytes: u64 = new.iter().flat_map(|it| &it.message).map(|message| message.content.bytes()).sum();
        if place > first && (count + new.len() > TOGETHER || bytes + own_bytes > BYTES_AT_ONCE) {
            portions.push((first, &items[first..place]));
            (first, count, bytes) = (place, 0, 0);
        }
        count += new.len();
        bytes += own_bytes;
    }
    portions.push((first, &items[first..]));
    portions
}
