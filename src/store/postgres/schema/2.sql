-- What stands for a job's entries that were pruned: where its chain begins.
ALTER TABLE {schema}.jobs ADD COLUMN checkpoint text;
