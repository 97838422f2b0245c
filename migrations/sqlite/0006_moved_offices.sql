-- The office that the next own entry goes up to; nothing in a store whose office has
-- never moved below another one.
ALTER TABLE writer ADD COLUMN parent TEXT NOT NULL DEFAULT '';
