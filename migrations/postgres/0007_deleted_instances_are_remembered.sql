-- Instances that were deleted, as long as some of their messages may be open: these fail afterwards, portion by portion.
create table messaging_deleted_instances (
    id         uuid        not null primary key,
    tenant     text        not null,
    deleted_at timestamptz not null
);
