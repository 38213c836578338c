-- Steps are taken of every tenant in turn, so that the backlog of one does not hold up the others. Those that an earlier version
-- writes have no tenant, and are one tenant's together.

set local lock_timeout = '1s';

alter table messaging_event_steps
    add column tenant text not null default '';

create index messaging_event_steps_by_tenant on messaging_event_steps (step, tenant, due_at, event_id) where state = 'open';
