-- The name of the key that signs the next own entry; nothing in a store that was made
-- when an office had one key for ever.
ALTER TABLE writer ADD COLUMN signer BLOB NOT NULL DEFAULT x'';
