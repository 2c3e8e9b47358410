-- Accounts, and what each keeps: roster, privacy lists, waiting stanzas, blobs.
--
-- Never edit a migration that was released; write the next one. Times are microseconds since 1970-01-01T00:00:00Z,
-- contacts are prepared bare addresses.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    -- One password: either keys for SCRAM, by hash function, or a hash in PHC string format.
    sha1_salt BLOB,
    sha1_iterations INTEGER,
    sha1_stored_key BLOB,
    sha1_server_key BLOB,
    sha256_salt BLOB,
    sha256_iterations INTEGER,
    sha256_stored_key BLOB,
    sha256_server_key BLOB,
    sha512_salt BLOB,
    sha512_iterations INTEGER,
    sha512_stored_key BLOB,
    sha512_server_key BLOB,
    argon2id TEXT,
    -- What the operator says.
    disabled INTEGER NOT NULL DEFAULT 0,
    deceased INTEGER NOT NULL DEFAULT 0,
    next_of_kin_notified INTEGER NOT NULL DEFAULT 0,
    poke_disabled INTEGER NOT NULL DEFAULT 0,
    attention_from_strangers_off INTEGER NOT NULL DEFAULT 0,
    -- RFC 6121 section 2.6.
    roster_version INTEGER NOT NULL DEFAULT 0,
    roster_complete_since INTEGER NOT NULL DEFAULT 0,
    -- XEP-0016 section 2.5.
    default_list TEXT,
    -- XEP-0012 section 4.
    left_at INTEGER,
    left_status TEXT,
    UNIQUE (host, name)
) STRICT;

CREATE TABLE roster_items (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    name TEXT NOT NULL,
    -- In order, separated by U+001F, which XML cannot write.
    groups_joined TEXT NOT NULL,
    -- 0 none, 1 to, 2 from, 3 both.
    relation INTEGER NOT NULL,
    ask INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

-- Removed contacts, as long as a client may ask what changed since a version before.
CREATE TABLE roster_removals (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

-- Subscription requests that wait for the user (RFC 6121 section 3.1.3).
CREATE TABLE roster_requests (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    stanza BLOB NOT NULL,
    PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE privacy_lists (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE privacy_items (
    account INTEGER NOT NULL,
    list TEXT NOT NULL,
    place INTEGER NOT NULL,
    -- 0 everyone, 1 an address, 2 a group, 3 a subscription.
    subject INTEGER NOT NULL,
    value TEXT NOT NULL,
    deny INTEGER NOT NULL,
    -- 0 all, else the sum of 1 message, 2 iq, 4 presence in, 8 presence out.
    scope INTEGER NOT NULL,
    PRIMARY KEY (account, list, place),
    FOREIGN KEY (account, list) REFERENCES privacy_lists (account, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Stanzas that wait for a user who is away or has not acknowledged them.
CREATE TABLE waiting (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    came_at INTEGER NOT NULL,
    stanza BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- 0 vCard (XEP-0054), 1 private data (XEP-0049), which alone has a namespace and a name.
    kind INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (account, kind, namespace, name)
) STRICT;

-- Random octets of the server itself, made once.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT;
