-- Under which settings a session began: whoever was there when everybody was signed
-- out is told by this, and by no clock. Empty in older rows: they were there.
ALTER TABLE sessions ADD COLUMN settings_version INTEGER;
