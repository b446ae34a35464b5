-- Tokens of other nodes that were used: each counts once. SHA-256 of what was signed, in lower-case hexadecimal.
CREATE TABLE node_tokens_seen (
    digest TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
