-- Failures are counted in memory, by account and address.
ALTER TABLE passwords DROP COLUMN failures;
ALTER TABLE passwords DROP COLUMN locked;
