/** `doctor` with the configuration file of a collector. */
import assert from "node:assert/strict";
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { startGrpcBackend } from "../testing/grpc-backend.ts";
import { folders } from "../testing/run.ts";
import { ADDRESS_CERTIFICATE, CERTIFICATE } from "../testing/tls-fixture.ts";

const folder = folders("doctor-config");

/** Its exit code, and its lines about something. */
async function doctor(about: string, ...args: string[]): Promise<[number | null, string[]]> {
  const command = observe(ownRuntime, "collector/main.ts", ["doctor", ...args]);
  const { code } = await command.ended;
  const lines = command.text().split("\n");
  return [code, lines.filter((line) => code === 2 || line.slice(5).startsWith(`${about} `))];
}

describe("doctor --config", () => {
  it("tries the endpoints with the tokens and certificates that the file names", async () => {
    const place = folder();
    const [config, token, ca] = ["config.yaml", "token", "ca.pem"].map((name) => join(place, name));
    const backend = await startGrpcBackend(undefined, { signals: ["traces"], tls: "address" });
    const files = folder();
    const where = `127.0.0.1:${backend.port}`;
    const write = (bearer: string, more = ""): void =>
      writeFileSync(
        config,
        `collect:\n  paths: ["${files}"]\n  endpoint: ${where}\n  protocol: grpc\n` +
          `  ca_file: ${ca}\n  bearer_token_file: ${bearer}\n  batch_size: 100\n${more}`,
      );
    writeFileSync(token, "hunter2");
    writeFileSync(ca, ADDRESS_CERTIFICATE);
    write(token);
    try {
      const [code, lines] = await doctor("endpoint", "--config", config);
      const url = `https://${where}`;
      assert.equal(code, 1);
      assert.equal(lines[0].replace(/\/ takes/, " takes"), `ok   endpoint   ${url} takes traces`);
      assert.match(lines[1], /^bad .* for metrics: gRPC UNIMPLEMENTED.*takes no metrics/);
      assert.match(lines[2], /^bad .* for logs: gRPC UNIMPLEMENTED/);
      assert.deepEqual(backend.calls[0].metadata.get("authorization"), ["Bearer hunter2"]);
      const [, places] = await doctor("place", "--config", config);
      assert.match(places.join("\n"), new RegExp(`^ok .*${files}: a directory`));

      writeFileSync(ca, CERTIFICATE);
      const [, distrusted] = await doctor("endpoint", "--config", config);
      assert.match(
        distrusted[0],
        /^bad .* for traces: the server's certificate is signed by nobody/,
      );

      // A flag wins.
      const [, flagged] = await doctor(
        ...["endpoint", "--config", config, "--endpoint", "http://127.0.0.1:1"] as const,
      );
      assert.match(flagged[0], /nothing listens at 127\.0\.0\.1:1 /);

      write(join(place, "missing"));
      const [refused, why] = await doctor("", "--config", config);
      assert.equal(refused, 2);
      assert.match(why.join("\n"), /bearer_token_file "\S+missing"/);
    } finally {
      backend.stop();
    }
  });

  if (process.getuid?.() === 0) {
    it("says which files a collector passes since they are other users'", async () => {
      const place = folder();
      const path = join(place, "a.otlp");
      Writer.create(path).close();
      chownSync(path, 10_001, 10_001);
      const [code, lines] = await doctor("file", place);
      assert.equal(code, 1);
      assert.match(lines.join("\n"), /^bad .*a\.otlp of user 10001: if they are to be read/);
      const config = join(folder(), "config.yaml");
      writeFileSync(config, "collect:\n  other_users: true\n");
      assert.deepEqual(await doctor("file", place, "--config", config), [0, []]);
    });
  }
});
