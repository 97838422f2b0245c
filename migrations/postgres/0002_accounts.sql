-- Password hashes. They are no facts: the log holds that a password was set, never the hash.
CREATE TABLE passwords (
    person    TEXT   NOT NULL PRIMARY KEY,
    phc       TEXT   NOT NULL,
    failures  BIGINT NOT NULL,
    locked    BIGINT NOT NULL
);
