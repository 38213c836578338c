-- As the provider has told; none: it has not.
alter table messaging_instances
    add column one_call_at_a_time integer check (one_call_at_a_time in (0, 1));
