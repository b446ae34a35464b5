-- One schema for SQLite and PostgreSQL: texts, whole numbers and floating point only. Times are Unix seconds.
-- Tokens are here as digests only, private keys encrypted only.

-- One row: which contents these are. `number` grows with every change; a part's number is that of its last change.
CREATE TABLE revision (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,
    mark TEXT NOT NULL,
    revocations BIGINT NOT NULL,
    network_tokens BIGINT NOT NULL,
    keys BIGINT NOT NULL
);
INSERT INTO revision (id, number, mark, revocations, network_tokens, keys) VALUES (1, 0, '', 0, 0, 0);

-- One row for each change: who did what. `mark` is what no other history has, so that a lost change is seen.
CREATE TABLE audit (
    revision BIGINT PRIMARY KEY,
    mark TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    details TEXT
);

-- One row for each thing that is revoked: `name` is the id of a token, the subject or the client, empty for a whole
-- issuer; `issued_before` is null for whenever it was issued; 400 days after
-- `expires_at` there is nothing left that it is about. `because` is the `id` of the one that this one was made with.
CREATE TABLE revocations (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('token', 'subject', 'client', 'issuer')),
    name TEXT NOT NULL,
    issued_before DOUBLE PRECISION,
    reason TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    because TEXT,
    UNIQUE (issuer, kind, name)
);

-- Nodes of the network; `redirect_uris` is a JSON array.
CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    base_url TEXT NOT NULL,
    jwks_url TEXT NOT NULL,
    token_url TEXT NOT NULL,
    authorization_url TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Users of nodes, and who they are here: nobody, or one local user at most per node.
CREATE TABLE remote_users (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    remote_user TEXT NOT NULL,
    local_issuer TEXT,
    local_subject TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (node, remote_user),
    UNIQUE (node, local_issuer, local_subject),
    CHECK ((local_issuer IS NULL) = (local_subject IS NULL))
);

-- One network token at most per remote user: the SHA-256 of the 16 bytes of the UUID, in lower-case hexadecimal.
CREATE TABLE network_tokens (
    digest TEXT PRIMARY KEY,
    remote_user TEXT NOT NULL UNIQUE REFERENCES remote_users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Delegated tokens that were given, never the tokens. Lists are JSON arrays; `workspaces` and `actions` are null for
-- all that the user may. `first_id` is the token that this one renews, its own id if it renews none.
CREATE TABLE delegated_tokens (
    id TEXT PRIMARY KEY,
    first_id TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_token_id TEXT,
    subject_issued_at DOUBLE PRECISION,
    actor_issuer TEXT NOT NULL,
    actor TEXT NOT NULL,
    audiences TEXT NOT NULL,
    scopes TEXT NOT NULL,
    workspaces TEXT,
    actions TEXT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    renewable_until BIGINT NOT NULL
);
CREATE INDEX delegated_tokens_by_subject ON delegated_tokens (subject_issuer, subject);
CREATE INDEX delegated_tokens_by_first ON delegated_tokens (first_id);
CREATE INDEX delegated_tokens_by_actor ON delegated_tokens (actor_issuer, actor, expires_at);

-- Keys of the house. `purpose` is 'delegation' (Ed25519; `public_key` is the 32 bytes in hexadecimal) or 'node' (RSA;
-- `public_key` is the DER of RFC 8017 in hexadecimal). The newest of a purpose that is not retired signs; a retired one
-- verifies until `verifies_until`. `private_key` is encrypted.
CREATE TABLE keys (
    kid TEXT PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('delegation', 'node')),
    public_key TEXT NOT NULL,
    private_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    verifies_until BIGINT
);

-- Names of keys that were removed and never count again, wherever they come from.
CREATE TABLE removed_keys (
    kid TEXT PRIMARY KEY,
    removed_at BIGINT NOT NULL
);
