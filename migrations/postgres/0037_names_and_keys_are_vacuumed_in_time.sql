-- These are deleted from all day. By the server's default a fifth of a table may be dead, which stands at the head of the index that
-- each deletion begins at.
set local lock_timeout = '1s';

alter table messaging_idempotency_keys
    set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);

alter table messaging_channel_messages
    set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);

alter table messaging_received_messages
    set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
