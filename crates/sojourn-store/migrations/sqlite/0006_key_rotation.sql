-- Signing keys rotate: published first, signing later, withdrawn at last. All on the wall clock.
-- Empty in older rows: the one key of then signs since it was made.
ALTER TABLE signing_keys ADD COLUMN signs_from INTEGER;
ALTER TABLE signing_keys ADD COLUMN published_until INTEGER;

-- What a secret key may do, and until when.
ALTER TABLE secret_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'full';
ALTER TABLE secret_keys ADD COLUMN expires_at INTEGER;
