-- One office's store. Numbers are 64 bit; nothing is ever null.

-- The one writer: a second process raises the fence, and the first can't commit again.
CREATE TABLE writer (
    id        BIGINT NOT NULL PRIMARY KEY,
    fence     BIGINT NOT NULL,
    epoch     BIGINT NOT NULL,
    sequence  BIGINT NOT NULL,
    recorded  BIGINT NOT NULL
);
INSERT INTO writer (id, fence, epoch, sequence, recorded) VALUES (1, 0, 1, 0, 0);

-- The own log: exact bytes in the order of commit. A copy for a further
-- addressee has the version -sequence, so that a stream can't hold one version twice.
CREATE TABLE entries (
    sequence  BIGINT NOT NULL PRIMARY KEY,
    epoch     BIGINT NOT NULL,
    stream    TEXT   NOT NULL,
    version   BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    lane      TEXT   NOT NULL,
    counter   BIGINT NOT NULL,
    hash      BYTEA  NOT NULL,
    entry     BYTEA  NOT NULL,
    UNIQUE (stream, version),
    UNIQUE (lane, counter)
);

-- What other offices shared, in the order of intake. marker is the own entry
-- that recorded the intake; folded is 0 while its type is not yet understood, 1 if it
-- was folded behind its marker, 2 if a later marker folded it.
CREATE TABLE received (
    position  BIGINT NOT NULL PRIMARY KEY,
    origin    TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    sequence  BIGINT NOT NULL,
    stream    TEXT   NOT NULL,
    lane      TEXT   NOT NULL,
    counter   BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    marker    BIGINT NOT NULL,
    folded    BIGINT NOT NULL,
    hash      BYTEA  NOT NULL,
    entry     BYTEA  NOT NULL,
    UNIQUE (origin, epoch, sequence)
);
CREATE INDEX received_unfolded ON received (folded, position);
CREATE INDEX received_stream ON received (stream, position);
CREATE INDEX received_marker ON received (marker, position);

-- Authentic or not yet known, and waiting: for the entries before them in their
-- lane, or for their signer's enrolment.
CREATE TABLE held (
    origin    TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    sequence  BIGINT NOT NULL,
    lane      TEXT   NOT NULL,
    counter   BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    entry     BYTEA  NOT NULL,
    PRIMARY KEY (origin, epoch, sequence)
);

-- Authentic but not allowed: kept, counted, never folded.
CREATE TABLE evidence (
    hash      BYTEA  NOT NULL PRIMARY KEY,
    code      TEXT   NOT NULL,
    seen      BIGINT NOT NULL,
    entry     BYTEA  NOT NULL
);

-- How far each lane goes, the own ones and those read.
CREATE TABLE lanes (
    lane      TEXT   NOT NULL PRIMARY KEY,
    origin    TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    counter   BIGINT NOT NULL,
    hash      BYTEA  NOT NULL
);

-- Answers already given, by person, route and Idempotency-Key.
CREATE TABLE answers (
    scope     TEXT   NOT NULL PRIMARY KEY,
    body_hash BYTEA  NOT NULL,
    status    BIGINT NOT NULL,
    etag      TEXT   NOT NULL,
    body      BYTEA  NOT NULL,
    sequence  BIGINT NOT NULL
);

-- Every view's rows, folded in the transaction of the fact.
CREATE TABLE view_rows (
    view      TEXT   COLLATE "C" NOT NULL,
    key       TEXT   COLLATE "C" NOT NULL,
    body      TEXT   NOT NULL,
    PRIMARY KEY (view, key)
);

-- The newest note of each subject: receipts, lane heads, heartbeats.
CREATE TABLE notes (
    subject   TEXT   NOT NULL PRIMARY KEY,
    seen      BIGINT NOT NULL,
    note      BYTEA  NOT NULL
);
