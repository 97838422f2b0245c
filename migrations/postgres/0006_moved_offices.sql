-- The office that the next own entry goes up to; nothing before the first commit of a
-- program that knows of moves.
ALTER TABLE writer ADD COLUMN parent TEXT NOT NULL DEFAULT '';
