//! What the relay writes on the messages that it takes.

/// On those of the table `fitting`, at `$now`, for the node `$node`; what it returns follows.
macro_rules! take_fitting {
    ($now:literal, $node:literal) => {
        concat!(
            "
        update messaging_messages
           set status = 'queued',
               -- A node that was delivering it may have done so.
               unanswered = unanswered or status in ('pending', 'processing'),
               node_id = ",
            $node,
            ",
               next_attempt_at = null,
               updated_at = ",
            $now,
            "
         where id >= :floor
           and id = any(array(select id from fitting))
        returning "
        )
    };
}
pub(super) use take_fitting;
