//! How much content a statement reads or changes at once.

/// The tables `sized`, and `fitting` of those ids in the table `$found` that come first in this order and have at most
/// [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE) together. Measured apart from the sum, so that the contents
/// themselves are not read for it; they count if `$counts` holds.
macro_rules! fitting {
    ($found:literal, $order:literal) => {
        fitting!($found, $order, "true")
    };
    ($found:literal, $order:literal, $counts:literal) => {
        concat!(
            "
    sized as materialized (
        select found.*,
               case
                   when ",
            $counts,
            " then coalesce(octet_length(messages.message), 0)
                        + coalesce(octet_length(messages.payload), 0)
                        + coalesce(octet_length(messages.template), 0)
                        + coalesce(octet_length(messages.record), 0)
                        + coalesce(octet_length(messages.media_url), 0)
               end as bytes
          from ",
            $found,
            " as found
         cross join messaging_messages as messages
         where messages.id = found.id
    ),
    fitting (id) as (
        select id
          from (select found.id,
                       coalesce(sum(found.bytes) over (order by ",
            $order,
            "
                                  rows between unbounded preceding and 1 preceding), 0) as before
                  from sized as found)
         where before < 16777216
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
