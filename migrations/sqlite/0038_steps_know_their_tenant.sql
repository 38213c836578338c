-- Steps are taken of every tenant in turn, so that the backlog of one does not hold up the others.
alter table messaging_event_steps add column tenant text not null default '';

update messaging_event_steps
   set tenant = coalesce((select events.tenant from messaging_events as events where events.id = event_id), '');

create index messaging_event_steps_by_tenant on messaging_event_steps (step, tenant, due_at, event_id) where state = 'open';
