-- Rooms that stay when nobody is in them, what is left of those that were destroyed, and who from elsewhere is in any room.

CREATE TABLE rooms (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    creator TEXT NOT NULL,
    -- What it is called and whether it is listed: also in the configuration, and here for the list.
    title TEXT NOT NULL,
    listed BOOLEAN NOT NULL,
    -- The fields of XEP-0045 section 10.2 that are not as usual, as a submitted form.
    configuration TEXT NOT NULL,
    secret TEXT NOT NULL,
    subject BYTEA,
    -- XEP-0486.
    card BYTEA,
    UNIQUE (host, name)
);

CREATE INDEX rooms_creator ON rooms (creator);

CREATE TABLE room_affiliations (
    room BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    -- A bare address, or a domain.
    person TEXT NOT NULL,
    -- 0 outcast, 1 none, 2 member, 3 admin, 4 owner.
    affiliation BIGINT NOT NULL,
    -- The nick that is reserved (XEP-0045 section 7.10).
    nick TEXT,
    PRIMARY KEY (room, person)
);

CREATE TABLE room_history (
    room BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    said_at BIGINT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (room, id)
);

CREATE TABLE room_tombstones (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    destroyed_at BIGINT NOT NULL,
    alternative TEXT,
    reason TEXT,
    PRIMARY KEY (host, name)
);

CREATE INDEX room_tombstones_destroyed_at ON room_tombstones (destroyed_at);

-- Clients of other servers, in any room, also one that has no row. What a start finds here was not ended in peace.
CREATE TABLE room_occupants (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    client TEXT NOT NULL,
    nick TEXT NOT NULL,
    PRIMARY KEY (host, name, client)
);
