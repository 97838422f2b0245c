-- What waits is known by its bytes: a forged entry that claims a place must not
-- keep the true one out. What waited before is asked for again.
DROP TABLE held;
CREATE TABLE held (
    origin    TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    sequence  BIGINT NOT NULL,
    hash      BYTEA  NOT NULL,
    lane      TEXT   NOT NULL,
    counter   BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    entry     BYTEA  NOT NULL,
    PRIMARY KEY (origin, epoch, sequence, hash)
);
-- A log that is put back asks for what waits by lane and counter.
CREATE INDEX held_lane ON held (lane, epoch, counter);
