-- The generation of each workflow's youngest release, which a commit that brings one into force raises by one.
ALTER TABLE workflows ADD COLUMN release bigint NOT NULL DEFAULT 0;
UPDATE workflows SET release = (SELECT coalesce(max(generation), 0) FROM releases WHERE workflow = workflows.id);

-- The release that each engine goes on under; the epoch of an engine that has its store for itself is 0.
CREATE TABLE in_force (
  workflow bigint NOT NULL REFERENCES workflows, epoch bigint NOT NULL, generation bigint NOT NULL, PRIMARY KEY (workflow, epoch)
);
