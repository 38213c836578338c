-- The next slot that no message has, of a broadcast with a rate; it moves with the cursor.
alter table messaging_broadcasts
    add column paced_at text;
