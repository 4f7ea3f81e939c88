-- A muted rule comes true as ever; its alerts are stored and sent to nobody.
ALTER TABLE alert_rules ADD COLUMN muted boolean NOT NULL DEFAULT false;
