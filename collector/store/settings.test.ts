/** Where the store is, and how much it keeps, as people say it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "commander";
import { age, defaultStorePath, size, storeSettings } from "./settings.ts";

describe("the settings of a store", () => {
  it("have sizes and ages as people write them", () => {
    assert.deepEqual(
      ["500MB", "1GiB", "1.5g", "2 TiB", "2097152"].map(size),
      [500_000_000, 2 ** 30, 1_500_000_000, 2 ** 41, 2_097_152],
    );
    for (const bad of ["", "1", "-1GB", "1XB", "GiB", "1e9"]) {
      assert.throws(() => size(bad), InvalidArgumentError);
    }
    assert.deepEqual(["30s", "90m", "12h", "7d", "1.5d"].map(age), [
      30_000,
      5_400_000,
      43_200_000,
      604_800_000,
      129_600_000,
    ]);
    for (const bad of ["", "7", "7w", "0.1s", "-1d"]) {
      assert.throws(() => age(bad), InvalidArgumentError);
    }
  });

  it("have a place that depends on the user", () => {
    assert.equal(
      defaultStorePath({ HOME: "/home/u" }, 7),
      "/home/u/.local/state/otlp-mmap/store.db",
    );
    assert.equal(
      defaultStorePath({ HOME: "/home/u", XDG_STATE_HOME: "/s" }, 7),
      "/s/otlp-mmap/store.db",
    );
    assert.equal(
      defaultStorePath({ HOME: "/home/u", XDG_STATE_HOME: "s" }, 7),
      "/home/u/.local/state/otlp-mmap/store.db",
    );
    assert.equal(defaultStorePath({ HOME: "/root" }, 0), "/var/lib/otlp-mmap/store.db");
  });

  it("are there when they are asked for, or wanted by default", () => {
    const env = { XDG_STATE_HOME: "/s" };
    assert.equal(storeSettings({}, env), null);
    const byDefault = { path: "/s/otlp-mmap/store.db", maxBytes: 2 ** 30, maxAgeMs: 604_800_000 };
    assert.deepEqual(storeSettings({}, env, true), byDefault);
    assert.deepEqual(storeSettings({ store: true }, env), byDefault);
    assert.equal(storeSettings({ store: "/a.db" }, env)!.path, "/a.db");
  });
});
