import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { didYouMean } from "./similar.ts";

describe("what was meant", () => {
  const LEVELS = ["debug", "info", "warn", "error"];

  it("is what takes the fewest edits, if these are few", () => {
    assert.equal(didYouMean("wran", LEVELS), " (Did you mean warn?)");
    assert.equal(didYouMean("EROR", LEVELS), " (Did you mean error?)");
    assert.equal(didYouMean("inffo", LEVELS), " (Did you mean info?)");
    assert.equal(didYouMean("debgu", LEVELS), " (Did you mean debug?)");
    assert.equal(didYouMean("trace", LEVELS), "");
    assert.equal(didYouMean("w", LEVELS), "");
    assert.equal(didYouMean("", LEVELS), "");
    assert.equal(didYouMean("x".repeat(100_000), LEVELS), "");
    assert.equal(didYouMean("grcp", ["grpc", "http/json"]), " (Did you mean grpc?)");
    assert.equal(didYouMean("--endpiont", ["--endpoint", "--once"]), " (Did you mean --endpoint?)");
    assert.equal(
      didYouMean("flush-interval", ["flush_interval"]),
      " (Did you mean flush_interval?)",
    );
    assert.equal(didYouMean("bat", ["cat", "hat", "dog"]), " (Did you mean cat or hat?)");
  });

  it("is what has the same start otherwise, if that is not much", () => {
    assert.equal(didYouMean("warning", LEVELS), " (Did you mean warn?)");
    assert.equal(
      didYouMean("http", ["grpc", "http/protobuf", "http/json"]),
      " (Did you mean http/protobuf or http/json?)",
    );
    assert.equal(didYouMean("spool_size", ["spool", "spool_max_size"]), "");
    assert.equal(didYouMean("abc", ["abcxx1", "abcxx2", "abcxx3", "abcxx4"]), "");
    assert.equal(didYouMean("anything", []), "");
  });
});
