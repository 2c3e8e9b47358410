-- Sessions whose presence somebody elsewhere holds: one row for each, from a moment after it is told until its end. What a
-- start finds here was not ended in peace, and the holders are told.

CREATE TABLE held_presence (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    -- Whether subscribers have it, who are on the roster.
    broadcast BOOLEAN NOT NULL,
    -- Who else has it: addresses, separated by U+001F.
    directed TEXT NOT NULL,
    PRIMARY KEY (account, resource)
);
