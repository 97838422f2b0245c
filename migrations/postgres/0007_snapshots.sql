-- Folded states of long streams: derived, never needed. "sources" is the hash of the
-- program text that made one; what another text made is not read.
CREATE TABLE snapshots (
    stream  TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    sources BYTEA NOT NULL,
    state   BYTEA NOT NULL
);
