import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, it } from "node:test";
import { errnoOf, SystemError } from "./errors.ts";

describe("SystemError", () => {
  it("says call, path, name, meaning and what to do", () => {
    const error = new SystemError("posix_fallocate", "/x/y", errnoOf("ENOSPC"));
    assert.equal(error.name, "SystemError");
    assert.deepEqual([error.code, error.errno, error.syscall, error.path], [
      "ENOSPC",
      28,
      "posix_fallocate",
      "/x/y",
    ]);
    assert.equal(
      error.message,
      "posix_fallocate /x/y: ENOSPC, no space left on the device: " +
        "free some, or choose another directory with OTLP_MMAP_DIR",
    );
  });

  for (
    const code of ["EACCES", "EPERM", "ENOENT", "EMFILE", "EROFS", "EFBIG", "ENOMEM", "ENOSPC"]
  ) {
    it(`has advice for ${code}, whose number is the system's`, () => {
      assert.equal(errnoOf(code), constants.errno[code as keyof typeof constants.errno]);
      assert.match(
        new SystemError("open", "f", errnoOf(code)).message,
        /^open f: E[A-Z]+, [^:]+: .+/,
      );
    });
  }

  it("gives a number it does not know as it is", () => {
    const error = new SystemError("open", "f", 999);
    assert.equal(error.code, "E999");
    assert.equal(error.message, "open f: E999, error number 999");
  });
});
