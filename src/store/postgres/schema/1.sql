-- The version of these tables. One row.
CREATE TABLE {schema}.ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL
);
INSERT INTO {schema}.ledger (version) VALUES (0);

-- One compare-and-swap value per job; entries and head are the end of its chain in the journal.
-- Room is left in each page, so that an update writes no index.
CREATE TABLE {schema}.jobs (
    key text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    record text NOT NULL,
    entries bigint NOT NULL,
    head text NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE {schema}.tenants (
    key text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    record text NOT NULL
) WITH (fillfactor = 50);

-- The journal. seq grows and never repeats; numbers may be missing, since a transaction that fails
-- does not give its numbers back. place counts within a job, without gaps. at is in nanoseconds
-- since 1970, by this server's clock.
CREATE TABLE {schema}.journal (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    at bigint NOT NULL,
    body text NOT NULL,
    hash text NOT NULL
);
CREATE UNIQUE INDEX journal_by_job ON {schema}.journal (job, place);
