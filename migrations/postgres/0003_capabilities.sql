-- Hashes of capabilities (XEP-0115, XEP-0390) whose meaning was verified, shared by all accounts. Of what a client can do
-- only one thing is kept: whether it asks for presence state annotations (XEP-0310).

CREATE TABLE capabilities (
    -- How the hash is made: 'sha-1', 'sha-256', 'xep-0390 sha-256'.
    form TEXT NOT NULL,
    value TEXT NOT NULL,
    wants_annotations BOOLEAN NOT NULL,
    -- The order in which they were learnt.
    number BIGINT NOT NULL,
    PRIMARY KEY (form, value)
);
