import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import type { Attributes, TextMapGetter } from "@opentelemetry/api";
import {
  clientRequestAttributes,
  type HttpSettings,
  isIgnored,
  methodLabel,
  redactQuery,
  resolveOptions,
  type ServerRequest,
  serverRequestAttributes,
} from "./semconv.ts";

const plain: ServerRequest = {
  method: "GET",
  scheme: "http",
  host: "example.com:8080",
  path: "/a",
  query: undefined,
  peerAddress: "10.0.0.1",
  peerPort: 4711,
  protocolVersion: undefined,
};

const getter: TextMapGetter<Record<string, string>> = {
  get: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
};

function server(
  facts: Partial<ServerRequest>,
  headers: Record<string, string> = {},
  settings: HttpSettings = resolveOptions({}),
): Attributes {
  return serverRequestAttributes(settings, { ...plain, ...facts }, headers, getter);
}

describe("attributes of a request that a server received", () => {
  it("has what is known and nothing else", () => {
    assert.deepEqual(server({}), {
      "http.request.method": "GET",
      "url.path": "/a",
      "url.scheme": "http",
      "server.address": "example.com",
      "server.port": 8080,
      "network.peer.address": "10.0.0.1",
      "network.peer.port": 4711,
      "client.address": "10.0.0.1",
    });
    assert.deepEqual(server({ host: undefined, peerAddress: undefined, peerPort: undefined }), {
      "http.request.method": "GET",
      "url.path": "/a",
      "url.scheme": "http",
    });
  });

  for (
    const [host, scheme, address, port] of [
      ["example.com", "http", "example.com", 80],
      ["example.com", "https", "example.com", 443],
      ["[::1]:3000", "http", "::1", 3000],
      ["[::1]", "https", "::1", 443],
      ["10.1.2.3:81", "http", "10.1.2.3", 81],
      ["example.com:", "http", "example.com:", 80],
      ["example.com:8a", "http", "example.com:8a", 80],
    ] as const
  ) {
    it(`takes server.address and server.port from the host ${host}`, () => {
      const attributes = server({ host, scheme });
      assert.equal(attributes["server.address"], address);
      assert.equal(attributes["server.port"], port);
    });
  }

  it("believes Forwarded, nearest to the client first", () => {
    const attributes = server({}, {
      forwarded: 'for="[2001:db8::1]:4711"; Proto=HTTPS;host=shop.example, for=10.0.0.2;host=b',
      "x-forwarded-for": "1.1.1.1",
    });
    assert.equal(attributes["client.address"], "2001:db8::1");
    assert.equal(attributes["url.scheme"], "https");
    assert.equal(attributes["server.address"], "shop.example");
    assert.equal(attributes["server.port"], 443);
    assert.equal(attributes["network.peer.address"], "10.0.0.1");
  });

  it("believes X-Forwarded-*", () => {
    const attributes = server({}, {
      "x-forwarded-for": "192.0.2.7:999, 10.0.0.2",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "shop.example:8443",
    });
    assert.equal(attributes["client.address"], "192.0.2.7");
    assert.equal(attributes["url.scheme"], "https");
    assert.equal(attributes["server.address"], "shop.example");
    assert.equal(attributes["server.port"], 8443);
  });

  it("survives malformed proxy headers", () => {
    for (const forwarded of ["", ";", "for", "for=", "=;=", '"', "for=;host=;proto="]) {
      const attributes = server({}, { forwarded });
      assert.equal(attributes["url.scheme"], "http", forwarded);
      assert.equal(attributes["client.address"], "10.0.0.1", forwarded);
      assert.equal(attributes["server.address"], "example.com", forwarded);
    }
    assert.equal(server({}, { "x-forwarded-for": "" })["client.address"], "10.0.0.1");
  });

  it("records the headers asked for, whatever their case, as arrays", () => {
    const settings = resolveOptions({ captureRequestHeaders: ["X-Tenant", "x-absent"] });
    const attributes = server({}, { "x-tenant": "a, b" }, settings);
    assert.deepEqual(attributes["http.request.header.x-tenant"], ["a, b"]);
    assert.equal("http.request.header.x-absent" in attributes, false);
  });
});

describe("methods", () => {
  it("calls an unknown one _OTHER and keeps it", () => {
    const attributes = server({ method: "BREW" });
    assert.equal(attributes["http.request.method"], "_OTHER");
    assert.equal(attributes["http.request.method_original"], "BREW");
    assert.equal(methodLabel(resolveOptions({}), "BREW"), "HTTP");
    assert.equal(methodLabel(resolveOptions({}), "get"), "HTTP");
    assert.equal(methodLabel(resolveOptions({}), "QUERY"), "QUERY");
  });

  it("takes the known ones from OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS instead", () => {
    process.env.OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS = "BREW, GET";
    try {
      const settings = resolveOptions({});
      assert.equal(methodLabel(settings, "BREW"), "BREW");
      assert.equal(methodLabel(settings, "GET"), "GET");
      assert.equal(methodLabel(settings, "POST"), "HTTP");
    } finally {
      delete process.env.OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS;
    }
  });
});

describe("redaction", () => {
  it("replaces the values of sensitive parameters and keeps the rest as it is", () => {
    assert.equal(redactQuery("sig=abc"), "sig=REDACTED");
    assert.equal(
      redactQuery("a=1&Signature=x%3D&X-Goog-Signature=&AWSAccessKeyId=k&b=%20"),
      "a=1&Signature=REDACTED&X-Goog-Signature=REDACTED&AWSAccessKeyId=REDACTED&b=%20",
    );
    assert.equal(
      redactQuery("X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Security-Token=3&X-Amz-Date=4"),
      "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Date=4",
    );
    for (const query of ["", "signature=x", "SIG=x", "design=x", "sig", "a=sig=1"]) {
      assert.equal(redactQuery(query), query);
    }
    assert.equal(server({ query: "sig=1&a=2" })["url.query"], "sig=REDACTED&a=2");
  });

  it("hides user and password of url.full", () => {
    const attributes = clientRequestAttributes(
      resolveOptions({}),
      "GET",
      new URL("https://me:secret@[::1]/p?sig=1&x=2#f"),
      new Headers(),
    );
    assert.equal(attributes["url.full"], "https://REDACTED:REDACTED@[::1]/p?sig=REDACTED&x=2#f");
    assert.equal(attributes["server.address"], "::1");
    assert.equal(attributes["server.port"], 443);
  });
});

describe("ignore", () => {
  it("counts as false when it throws", () => {
    assert.equal(isIgnored(() => true, ""), true);
    assert.equal(isIgnored(undefined, ""), false);
    assert.equal(
      isIgnored(() => {
        throw new Error("in ignore");
      }, ""),
      false,
    );
  });
});
