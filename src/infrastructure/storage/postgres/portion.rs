//! How much content a statement reads or changes at once.

/// The table `fitting` of those ids in the table `$found` that come first in this order and have at most
/// [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE) together. One by one by their ids, so that only their
/// partitions are looked at; of a `json` the length is not known without its text. `$bound` is one more condition on
/// `messages`, or nothing; content counts, and is read for it, if `$counts` holds.
macro_rules! fitting {
    ($found:literal, $order:literal) => {
        fitting!($found, $order, "", "true")
    };
    ($found:literal, $order:literal, $bound:literal) => {
        fitting!($found, $order, $bound, "true")
    };
    ($found:literal, $order:literal, $bound:literal, $counts:literal) => {
        concat!(
            "
    fitting (id) as (
        select sized.id
          from (select found.id,
                       coalesce(
                           sum(case
                                   when ",
            $counts,
            " then coalesce(octet_length(messages.message), 0)::bigint
                                        + coalesce(octet_length(messages.payload::text), 0)
                                        + coalesce(octet_length(messages.template::text), 0)
                                        + coalesce(octet_length(messages.record::text), 0)
                                        + coalesce(octet_length(messages.media_url), 0)
                               end)
                           over (order by ",
            $order,
            "
                                  rows between unbounded preceding and 1 preceding), 0) as before
                  from ",
            $found,
            " as found
                 cross join lateral (
                           select messages.message, messages.payload, messages.template, messages.record, messages.media_url
                             from messaging_messages as messages
                            where ",
            $bound,
            "messages.id = found.id
                            order by messages.id
                            limit 1) as messages) as sized
         where sized.before < 16777216
    )"
        )
    };
}
pub(super) use fitting;

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_as_much_as_the_ports_say() {
        assert!(fitting!("found", "found.id").contains(&format!(" < {}\n", crate::application::ports::BYTES_AT_ONCE)));
    }
}
