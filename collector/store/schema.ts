/**
 * The tables, and how older databases become the present one.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** Marks a file as one of ours: "OMST". */
export const APPLICATION_ID = 0x4f4d5354;

/**
 * From version i to i + 1. Version 0 is an empty database. What is here is never changed: databases
 * that were made by it are out there.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE resources (
    id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, service TEXT NOT NULL,
    schema_url TEXT NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX resources_hash ON resources (hash);
  CREATE TABLE scopes (
    id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    schema_url TEXT NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX scopes_hash ON scopes (hash);
  CREATE TABLE origins (
    id INTEGER PRIMARY KEY, resource INTEGER NOT NULL, scope INTEGER NOT NULL,
    UNIQUE (resource, scope)
  );

  CREATE TABLE spans (
    id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, trace BLOB NOT NULL, span BLOB NOT NULL,
    parent BLOB, name TEXT NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL,
    interrupted INTEGER NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    rest BLOB NOT NULL
  );
  CREATE TABLE logs (
    id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, time INTEGER NOT NULL,
    observed INTEGER NOT NULL, severity INTEGER NOT NULL, trace BLOB, span BLOB, body TEXT,
    rest BLOB NOT NULL
  );
  CREATE VIRTUAL TABLE logs_text USING fts5 (body, content = '', contentless_delete = 1);

  CREATE TABLE span_windows (
    id INTEGER PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL,
    written REAL NOT NULL, min_time REAL NOT NULL, max_time REAL NOT NULL,
    max_duration REAL NOT NULL, meta INTEGER NOT NULL, more_names INTEGER NOT NULL,
    names TEXT NOT NULL, keys TEXT NOT NULL, origins BLOB NOT NULL, figures BLOB NOT NULL
  );
  CREATE TABLE span_columns (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE span_terms (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE log_windows (
    id INTEGER PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL,
    written REAL NOT NULL, min_time REAL NOT NULL, max_time REAL NOT NULL,
    max_duration REAL NOT NULL, meta INTEGER NOT NULL, more_names INTEGER NOT NULL,
    names TEXT NOT NULL, keys TEXT NOT NULL, origins BLOB NOT NULL, figures BLOB NOT NULL
  );
  CREATE TABLE log_columns (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE log_terms (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

  CREATE TABLE streams (
    id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL,
    description TEXT NOT NULL, kind INTEGER NOT NULL, temporality INTEGER NOT NULL,
    monotonic INTEGER NOT NULL,
    UNIQUE (origin, name, unit, description, kind, temporality, monotonic)
  );
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, hash INTEGER NOT NULL,
    attributes BLOB NOT NULL
  );
  CREATE INDEX series_hash ON series (stream, hash);
  CREATE TABLE points (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time INTEGER NOT NULL,
    start INTEGER NOT NULL, value, rest BLOB
  );
  CREATE UNIQUE INDEX points_series ON points (series, time);
  CREATE TABLE point_batches (first INTEGER PRIMARY KEY, written REAL NOT NULL);

  CREATE TABLE loss (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, process TEXT NOT NULL, file TEXT NOT NULL,
    ring TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL
  );
  CREATE INDEX loss_time ON loss (time);
  `,
  `
  CREATE TABLE deaths (resource INTEGER PRIMARY KEY, time INTEGER NOT NULL);
  CREATE INDEX deaths_time ON deaths (time);
  `,
];

/** The version written by this program. */
export const VERSION: number = MIGRATIONS.length;

/** Brings a database to the version of the last migration, each step in a transaction. */
export function migrate(
  db: DatabaseSync,
  version: number,
  migrations: readonly string[] = MIGRATIONS,
): void {
  for (let from = version; from < migrations.length; from++) {
    db.exec("BEGIN IMMEDIATE");
    try {
      db.exec(migrations[from]);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${from + 1}`);
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  }
}
