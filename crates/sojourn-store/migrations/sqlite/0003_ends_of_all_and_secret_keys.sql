-- Under which settings a session began: whoever was there when everybody was signed
-- out is told by this, and by no clock. Empty in older rows: they were there.
ALTER TABLE sessions ADD COLUMN settings_version INTEGER;

-- Several keys at once, each with a name, taken back one by one (AUZ-03).
ALTER TABLE secret_keys ADD COLUMN name TEXT;
ALTER TABLE secret_keys ADD COLUMN last_used_at INTEGER;
ALTER TABLE secret_keys ADD COLUMN revoked_at INTEGER;
