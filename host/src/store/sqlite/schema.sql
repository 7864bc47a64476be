-- The journal's tables. They are made to be read by a person with a SQL prompt: times are microseconds since the Unix
-- epoch, JSON is text, hashes are blobs.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE workflows (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, clock INTEGER NOT NULL DEFAULT 0,
  -- The generation of its youngest release.
  release INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE components (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE manifests (digest TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
-- Semantic profile and engine build of an entry.
CREATE TABLE profiles (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE releases (
  workflow INTEGER NOT NULL REFERENCES workflows, generation INTEGER NOT NULL, component TEXT NOT NULL REFERENCES components,
  manifest TEXT NOT NULL REFERENCES manifests, contract TEXT NOT NULL, state_type TEXT NOT NULL,
  PRIMARY KEY (workflow, generation)
) STRICT, WITHOUT ROWID;

-- The release that each engine goes on under; the epoch of an engine that has its store for itself is 0.
CREATE TABLE in_force (
  workflow INTEGER NOT NULL REFERENCES workflows, epoch INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (workflow, epoch)
) STRICT, WITHOUT ROWID;

-- One row an entity. `head` is the hash of its last entry and `head_row` that entry's row; `state_row` the row that holds
-- its state (none: it never began, or ended). The workflow's own entries stand under the empty key.
CREATE TABLE entities (
  id INTEGER PRIMARY KEY, workflow INTEGER NOT NULL REFERENCES workflows, key TEXT NOT NULL,
  sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, now INTEGER NOT NULL, head BLOB NOT NULL, head_row INTEGER NOT NULL,
  state_row INTEGER, parked INTEGER NOT NULL DEFAULT 0,
  -- The bucket of its key: what several hosts on one store share the work by.
  shard INTEGER NOT NULL,
  UNIQUE (workflow, key)
) STRICT;

-- Append-only. `previous_row` leads to the entity's entry before, so that one entity's history needs no index over all.
CREATE TABLE journal (
  row INTEGER PRIMARY KEY, entity INTEGER NOT NULL, sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, kind TEXT NOT NULL,
  release INTEGER NOT NULL, profile INTEGER NOT NULL, now INTEGER NOT NULL, event_id TEXT NOT NULL, correlation_id TEXT NOT NULL,
  input TEXT NOT NULL, verdict TEXT, state TEXT, output TEXT NOT NULL, event_hash BLOB, previous_row INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
-- The original bytes of the event that led to the entry of the same row. May be erased: the entry keeps their hash.
CREATE TABLE events (row INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
-- Entries whose payloads were erased: the text is gone from `journal`, its hash stands here. NULL: nothing was erased there.
CREATE TABLE erased (row INTEGER PRIMARY KEY, input BLOB, state BLOB, output BLOB) STRICT;
-- Entities whose entries are being erased for that command: from `next_row` back, but for the state in `keep_row`.
CREATE TABLE erasing (entity INTEGER PRIMARY KEY, next_row INTEGER NOT NULL, keep_row INTEGER, command INTEGER NOT NULL) STRICT;
-- Entities whose first entries were truncated: the chain begins in `row` now, after an entry of that hash and sequence.
CREATE TABLE checkpoints (entity INTEGER PRIMARY KEY, row INTEGER NOT NULL, hash BLOB NOT NULL, sequence INTEGER NOT NULL) STRICT;

-- What a workflow's journal must come to, kept with every commit, so that what is deleted whole is missed: how many entities
-- and entries there are, the XOR of the entities' heads, and what decisions depend on besides the entries. Each host counts what
-- its own commits change, under its epoch (0: the only host); together they are the workflow's.
CREATE TABLE tallies (
  workflow INTEGER NOT NULL REFERENCES workflows, epoch INTEGER NOT NULL, entities INTEGER NOT NULL, entries INTEGER NOT NULL,
  heads BLOB NOT NULL, journal TEXT NOT NULL, clock_name TEXT, clock INTEGER NOT NULL,
  PRIMARY KEY (workflow, epoch)
) STRICT, WITHOUT ROWID;

-- Of a Kafka partition lines are its offsets counted from 1, and `next_offset` is the one after the last record. `log` says
-- which cluster's it is, `generation` how often an operator has set the position.
CREATE TABLE sources (id INTEGER PRIMARY KEY, workflow INTEGER NOT NULL REFERENCES workflows, name TEXT NOT NULL,
  next_offset INTEGER NOT NULL, next_line INTEGER NOT NULL, read_line INTEGER NOT NULL, tail BLOB NOT NULL, duplicates INTEGER NOT NULL,
  log TEXT NOT NULL DEFAULT '', generation INTEGER NOT NULL DEFAULT 0, UNIQUE (workflow, name)) STRICT;
-- What was accepted of each source, as far back as duplicates are looked for; `shard` is the entity's, where it is about one.
CREATE TABLE accepted (
  row INTEGER PRIMARY KEY, source INTEGER NOT NULL, line INTEGER NOT NULL, fingerprint BLOB NOT NULL, shard INTEGER, now INTEGER NOT NULL
) STRICT;
-- Events that one host read and another is to decide, because the entity is in a shard of that one.
CREATE TABLE forwarded (
  id INTEGER PRIMARY KEY, workflow INTEGER NOT NULL REFERENCES workflows, key TEXT NOT NULL, shard INTEGER NOT NULL,
  source INTEGER NOT NULL, line INTEGER NOT NULL, bytes BLOB NOT NULL, now INTEGER NOT NULL
) STRICT;
CREATE INDEX forwarded_shard ON forwarded (shard);
-- `key` is the entity's, where it could be read; `now` is when the event was buried, on the workflow's clock.
CREATE TABLE dead_letters (
  -- No id comes twice: an operator who names one that is gone must not meet another.
  id INTEGER PRIMARY KEY AUTOINCREMENT, workflow INTEGER NOT NULL REFERENCES workflows, source INTEGER NOT NULL, line INTEGER NOT NULL,
  event_id TEXT, code TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL, bytes BLOB NOT NULL,
  key TEXT, now INTEGER NOT NULL
) STRICT;

-- Committed intents without a conclusion. The payload stands in the entry of `row`.
CREATE TABLE outbox (
  entity INTEGER NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL, row INTEGER NOT NULL,
  effect TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, reason TEXT,
  PRIMARY KEY (entity, sequence, position)
) STRICT, WITHOUT ROWID;
-- A timer with `waits` has fallen due and stands in its entity's inbox: it is still in force, and can be set anew or taken back.
CREATE TABLE timers (
  entity INTEGER NOT NULL, name TEXT NOT NULL, due INTEGER NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
  correlation_id TEXT NOT NULL, waits INTEGER NOT NULL, workflow INTEGER NOT NULL,
  PRIMARY KEY (entity, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (workflow, due) WHERE NOT waits;
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY, workflow TEXT NOT NULL, key TEXT NOT NULL, input TEXT NOT NULL, payload TEXT NOT NULL, now INTEGER NOT NULL,
  sender TEXT NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL, event_id TEXT NOT NULL, correlation_id TEXT NOT NULL,
  shard INTEGER NOT NULL
) STRICT;
-- Inputs of parked entities, in the order in which they wait.
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, origin TEXT NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
  now INTEGER NOT NULL, event_id TEXT NOT NULL, correlation_id TEXT NOT NULL, input TEXT NOT NULL, bytes BLOB
) STRICT;
CREATE INDEX inbox_entity ON inbox (entity, id);
-- What operators ask of the running host, who asks and why. The last answered ones are kept.
CREATE TABLE commands (
  id INTEGER PRIMARY KEY, workflow TEXT NOT NULL, command TEXT NOT NULL, subject TEXT NOT NULL, by TEXT NOT NULL, reason TEXT, answer TEXT
) STRICT;
CREATE INDEX commands_open ON commands (id) WHERE answer IS NULL;
-- What stands still: the workflow (name empty), one of its effects or one of its entities.
CREATE TABLE pauses (
  workflow INTEGER NOT NULL REFERENCES workflows, scope TEXT NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL, by TEXT NOT NULL,
  reason TEXT,
  PRIMARY KEY (workflow, scope, name)
) STRICT, WITHOUT ROWID;

-- Hosts that share this store: each is alive `until` then by the database's clock, and its engine commits under `epoch`, which
-- no engine had before it. Where the row or the epoch is gone, the engine's commits fail. All of them run the same `workflows`.
CREATE TABLE hosts (
  name TEXT PRIMARY KEY, workflows TEXT NOT NULL, epoch INTEGER UNIQUE, until INTEGER NOT NULL, since INTEGER NOT NULL,
  commits INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The last epoch that began: one row.
CREATE TABLE epochs (last INTEGER NOT NULL) STRICT;
INSERT INTO epochs VALUES (0);
-- Which epoch owns each shard; 0: none.
CREATE TABLE shards (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
CREATE INDEX shards_epoch ON shards (epoch);
WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 959)
  INSERT INTO shards SELECT number, 0 FROM numbers;

CREATE VIEW states AS
  SELECT workflows.name AS workflow, entities.key AS entity, entities.sequence, journal.release, journal.state
  FROM entities JOIN workflows ON workflows.id = entities.workflow JOIN journal ON journal.row = entities.state_row;
CREATE VIEW entries AS
  SELECT workflows.name AS workflow, entities.key AS entity, journal.sequence, journal.ordinal, journal.kind, journal.release, journal.now,
    journal.event_id, journal.correlation_id, journal.input, journal.verdict, journal.state, journal.output, hex(journal.hash) AS hash
  FROM journal JOIN entities ON entities.id = journal.entity JOIN workflows ON workflows.id = entities.workflow;
