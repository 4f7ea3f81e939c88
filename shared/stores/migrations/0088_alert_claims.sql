-- Until when somebody is sending an alert to a target; NULL once the target has it.
ALTER TABLE alert_deliveries ADD COLUMN claimed_until timestamptz;
