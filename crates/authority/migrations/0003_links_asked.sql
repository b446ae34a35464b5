-- Users here who asked for a link with an account at a node and have not come back yet: only they can be linked, once.
CREATE TABLE links_asked (
    local_issuer TEXT NOT NULL,
    local_subject TEXT NOT NULL,
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (local_issuer, local_subject, node)
);
