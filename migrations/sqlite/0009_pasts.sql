-- The views as they were at the end of each block of the local order: derived, and laid
-- out once somebody looks back. A row stands for every block in which it changed, an
-- empty body says that it is gone. Generation and schema are those of the folds.
CREATE TABLE past_sets (
    id         BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    schema     TEXT   NOT NULL
);
INSERT INTO past_sets (id, generation, schema) VALUES (1, 0, '');

-- Where each block ends, and the latest time that was recorded here by then.
CREATE TABLE past_blocks (
    generation BIGINT NOT NULL,
    block      BIGINT NOT NULL,
    sequence   BIGINT NOT NULL,
    position   BIGINT NOT NULL,
    recorded   BIGINT NOT NULL,
    PRIMARY KEY (generation, block)
);

CREATE TABLE past_rows (
    generation BIGINT NOT NULL,
    view       TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    block      BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    PRIMARY KEY (generation, view, key, block)
);

-- What was recorded here later than on the day it is of: its Julian day (0 if what it says
-- holds from days of its own on), and its place in the local order.
CREATE TABLE past_late (
    generation BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    sequence   BIGINT NOT NULL,
    position   BIGINT NOT NULL,
    PRIMARY KEY (generation, sequence, position, day)
);
