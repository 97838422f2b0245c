-- The rows of one fold of all views are a generation. One generation is served;
-- beside it another may be folded from the start of the log, and then takes its place.
CREATE TABLE view_rows_by_generation (
    generation BIGINT NOT NULL,
    view       TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    PRIMARY KEY (generation, view, key)
);
INSERT INTO view_rows_by_generation (generation, view, key, body)
    SELECT 1, view, key, body FROM view_rows;
DROP TABLE view_rows;
ALTER TABLE view_rows_by_generation RENAME TO view_rows;

-- Which generation is served and which is folded beside it (0 is none), each with the
-- schema of its views; sequence and position say how far the one beside has come.
-- A schema of nothing is one that nobody knows: such rows are folded again.
CREATE TABLE view_sets (
    id            BIGINT NOT NULL PRIMARY KEY,
    served        BIGINT NOT NULL,
    schema        TEXT   NOT NULL,
    beside        BIGINT NOT NULL,
    beside_schema TEXT   NOT NULL,
    sequence      BIGINT NOT NULL,
    position      BIGINT NOT NULL
);
INSERT INTO view_sets (id, served, schema, beside, beside_schema, sequence, position)
    VALUES (1, 1, '', 0, '', 0, 0);
