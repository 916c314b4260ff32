import assert from "node:assert/strict";
import { it } from "node:test";
import { Forgotten } from "./forgotten.ts";

it("whatever was added is in it, and of others one in a hundred seems to be", () => {
  const forgotten = new Forgotten();
  const key = (i: number): string => `[["id",["number","${i}"]]]`;
  for (let i = 0; i < 100_000; i++) forgotten.add(key(i));
  let [missed, taken] = [0, 0];
  for (let i = 0; i < 100_000; i++) {
    if (!forgotten.has(key(i))) missed++;
    if (forgotten.has(key(100_000 + i))) taken++;
  }
  assert.equal(missed, 0);
  assert.ok(taken < 2_000, `${taken} of 100,000`);
});

it("of more than a million the last 100,000 are in it, and others still seldom", () => {
  const forgotten = new Forgotten();
  for (let i = 0; i < 1_050_000; i++) forgotten.add(`${i}`);
  let [missed, taken] = [0, 0];
  for (let i = 0; i < 100_000; i++) {
    if (!forgotten.has(`${950_000 + i}`)) missed++;
    if (forgotten.has(`${2_000_000 + i}`)) taken++;
  }
  assert.equal(missed, 0);
  assert.ok(taken < 4_000, `${taken} of 100,000`);
});
