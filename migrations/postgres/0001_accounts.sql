-- Accounts, and what each keeps: roster, privacy lists, waiting stanzas, blobs.
--
-- Never edit a migration that was released; write the next one. Times are microseconds since 1970-01-01T00:00:00Z,
-- contacts are prepared bare addresses.

CREATE TABLE accounts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    -- One password: either keys for SCRAM, by hash function, or a hash in PHC string format.
    sha1_salt BYTEA,
    sha1_iterations BIGINT,
    sha1_stored_key BYTEA,
    sha1_server_key BYTEA,
    sha256_salt BYTEA,
    sha256_iterations BIGINT,
    sha256_stored_key BYTEA,
    sha256_server_key BYTEA,
    sha512_salt BYTEA,
    sha512_iterations BIGINT,
    sha512_stored_key BYTEA,
    sha512_server_key BYTEA,
    argon2id TEXT,
    -- What the operator says.
    disabled BOOLEAN NOT NULL DEFAULT FALSE,
    deceased BOOLEAN NOT NULL DEFAULT FALSE,
    next_of_kin_notified BOOLEAN NOT NULL DEFAULT FALSE,
    poke_disabled BOOLEAN NOT NULL DEFAULT FALSE,
    attention_from_strangers_off BOOLEAN NOT NULL DEFAULT FALSE,
    -- RFC 6121 section 2.6.
    roster_version BIGINT NOT NULL DEFAULT 0,
    roster_complete_since BIGINT NOT NULL DEFAULT 0,
    -- XEP-0016 section 2.5.
    default_list TEXT,
    -- XEP-0012 section 4.
    left_at BIGINT,
    left_status TEXT,
    UNIQUE (host, name)
);

CREATE TABLE roster_items (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    name TEXT NOT NULL,
    -- In order, separated by U+001F, which XML cannot write.
    groups_joined TEXT NOT NULL,
    -- 0 none, 1 to, 2 from, 3 both.
    relation BIGINT NOT NULL,
    ask BOOLEAN NOT NULL,
    approved BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

-- Removed contacts, as long as a client may ask what changed since a version before.
CREATE TABLE roster_removals (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

-- Subscription requests that wait for the user (RFC 6121 section 3.1.3).
CREATE TABLE roster_requests (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (account, contact)
);

CREATE TABLE privacy_lists (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
);

CREATE TABLE privacy_items (
    account BIGINT NOT NULL,
    list TEXT NOT NULL,
    place BIGINT NOT NULL,
    -- 0 everyone, 1 an address, 2 a group, 3 a subscription.
    subject BIGINT NOT NULL,
    value TEXT NOT NULL,
    deny BOOLEAN NOT NULL,
    -- 0 all, else the sum of 1 message, 2 iq, 4 presence in, 8 presence out.
    scope BIGINT NOT NULL,
    PRIMARY KEY (account, list, place),
    FOREIGN KEY (account, list) REFERENCES privacy_lists (account, name) ON DELETE CASCADE
);

-- Stanzas that wait for a user who is away or has not acknowledged them.
CREATE TABLE waiting (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    came_at BIGINT NOT NULL,
    stanza BYTEA NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE blobs (
    account BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- 0 vCard (XEP-0054), 1 private data (XEP-0049), which alone has a namespace and a name.
    kind BIGINT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (account, kind, namespace, name)
);

-- Random octets of the server itself, made once.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    octets BYTEA NOT NULL
);

-- Counts the groups of commits. Who lost the connection while committing reads here whether the group was made, and
-- who finds another number than its own was replaced by another process meanwhile.
CREATE TABLE writer (
    groups BIGINT NOT NULL
);
INSERT INTO writer (groups) VALUES (0);
