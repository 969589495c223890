import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { download } from "../../lib/io/download.ts";
import { ask, bytesOf, PATIENCE } from "../../lib/io/http.ts";
import { type DownloadState, fetchFromHub } from "../../lib/io/hub.ts";
import { cut, digestOf, type HubOptions, part, refuse, REPO, startHub } from "../helpers/hub.ts";
import { filesUnder, inFolder, LIMITS, settingsOf } from "../helpers/hub_client.ts";

const weights = Uint8Array.from({ length: 300_000 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
const digest = await digestOf(weights, true);
const files = { "config.json": "{}", "model.safetensors": weights };

/** Fetches the model from a hub whose storage answers as `storage` says. */
async function fetchFrom(
  cache: string,
  storage: NonNullable<HubOptions["instead"]>,
  options: Parameters<typeof fetchFromHub>[1] = {},
) {
  await using hub = await startHub({
    files,
    instead: (request, at) => at === "storage" ? storage(request, at) : undefined,
  });
  const settings = await settingsOf(hub, cache);
  const folder = await fetchFromHub(`hf:${REPO}`, { settings, patience: LIMITS, ...options })
    .catch((error: Error) => error);
  return { folder, ranges: hub.stored.map(({ range }) => range) };
}

async function assertWhole(folder: string | Error, cache: string): Promise<void> {
  if (folder instanceof Error) throw folder;
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
  assertEquals(
    (await filesUnder(`${cache}/models--org--model/blobs`)).filter((name) => /incomplete/.test(name)),
    [],
  );
}

/** The folder has no weights, whole or in part. */
async function assertNone(cache: string): Promise<void> {
  assertEquals(
    (await filesUnder(cache)).filter((path) => path.includes(digest) || /safetensors/.test(path)),
    [],
  );
}

const partial = (cache: string) => `${cache}/models--org--model/blobs/${digest}.incomplete`;

Deno.test("download() goes on with a transfer that is cut, where it stopped", () =>
  inFolder(async (cache) => {
    const states: DownloadState[] = [];
    const { folder, ranges } = await fetchFrom(cache, (request) => cut(part(request, weights), 30_000), {
      onDownload: (state) => states.push(state),
    });
    await assertWhole(folder, cache);
    assertEquals([ranges[0], ranges.length > LIMITS.attempts], [null, true]);
    const starts = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range!)![1]));
    assert(starts.every((start, i) => start > (starts[i - 1] ?? 0)), String(starts));
    assertEquals(states.at(-1)!.done, 300_002);
  }));

Deno.test("download() goes on with what an earlier process left, and counts it as there before", () =>
  inFolder(async (cache) => {
    const never = await fetchFrom(
      cache,
      (request) => request.headers.has("range") ? refuse(503, "Busy") : cut(part(request, weights), 100_000),
    );
    assertStringIncludes(String(never.folder), "says 503, 5 attempts in a row");
    const { size } = await Deno.stat(partial(cache));
    assert(size > 0 && size < weights.length);
    const states: DownloadState[] = [];
    const { folder, ranges } = await fetchFrom(cache, () => undefined, {
      onDownload: (state) => states.push(state),
    });
    await assertWhole(folder, cache);
    assertEquals(ranges, [`bytes=${size}-`]);
    assertEquals(states.at(-1)!.resumedAt, size);
  }));

Deno.test("download() begins anew where the server ignores ranges, or what was left is damaged or too long", () =>
  inFolder(async (cache) => {
    await Deno.mkdir(`${cache}/models--org--model/blobs`, { recursive: true });
    await Deno.writeFile(partial(cache), weights.slice(0, 1000));
    const whole = () => new Response(weights);
    await assertWhole((await fetchFrom(cache, whole)).folder, cache);
    for (
      const left of [new Uint8Array(1000), new Uint8Array(weights.length), new Uint8Array(weights.length + 1)]
    ) {
      await Deno.remove(cache, { recursive: true });
      await Deno.mkdir(`${cache}/models--org--model/blobs`, { recursive: true });
      await Deno.writeFile(partial(cache), left);
      const { folder, ranges } = await fetchFrom(cache, () => undefined);
      await assertWhole(folder, cache);
      assertEquals(ranges.at(-1), null);
    }
  }));

Deno.test("download() refuses a file of another length and keeps nothing of it", () =>
  inFolder(async (cache) => {
    const longer = new Uint8Array(weights.length + 1);
    const stream = (bytes: Uint8Array<ArrayBuffer>) => new Response(new Blob([bytes]).stream());
    const cases: [HubOptions["instead"], string][] = [
      [() => new Response(weights.slice(1)), "found 299999 bytes, expected 300000 bytes"],
      [() => new Response(longer), "found 300001 bytes, expected 300000 bytes"],
      [() => stream(longer), "found more than 300000 bytes, expected 300000 bytes"],
      [
        (request) =>
          request.headers.has("range")
            ? new Response("x", { status: 206, headers: { "content-range": "bytes 7-7/300000" } })
            : stream(weights.slice(0, 9)),
        "found bytes 7-7/300000, expected 300000 bytes from 9 on",
      ],
    ];
    for (const [storage, message] of cases) {
      const { folder } = await fetchFrom(cache, storage!);
      assert(folder instanceof Deno.errors.InvalidData, String(folder));
      assertStringIncludes(folder.message, `Cannot fetch model.safetensors of hf:${REPO}: ${message}`);
      await assertNone(cache);
    }
    const short = await fetchFrom(cache, (request) => {
      const start = Number(/\d+/.exec(request.headers.get("range") ?? "0")![0]);
      return start === 0 ? stream(weights.slice(0, 9)) : refuse(416, "");
    });
    assertStringIncludes(String(short.folder), "says 416");
  }));

Deno.test("download() refuses a file of another digest and keeps nothing of it", () =>
  inFolder(async (cache) => {
    const { folder, ranges } = await fetchFrom(cache, () => new Response(new Uint8Array(weights.length)));
    assert(folder instanceof Deno.errors.InvalidData);
    assertStringIncludes(folder.message, `, expected ${digest}`);
    assertEquals(ranges.length, 1);
    await assertNone(cache);
    await using hub = await startHub({
      files,
      instead: ({ url }) => url.endsWith("/config.json") ? new Response("[]") : undefined,
    });
    const settings = await settingsOf(hub, `${cache}/other`);
    await assertRejects(
      () => fetchFromHub(`hf:${REPO}`, { settings }),
      Deno.errors.InvalidData,
      `config.json of hf:${REPO}: found git digest`,
    );
    assertEquals(await filesUnder(`${cache}/other`), []);
  }));

Deno.test("download() waits as long as Retry-After asks, in seconds or to a date, and fails where that is too long", () =>
  inFolder(async (cache) => {
    const waits: number[] = [];
    const patience = { ...LIMITS, wait: (ms: number) => Promise.resolve(void waits.push(ms)) };
    const date = new Date(Date.now() + 100_000).toUTCString();
    const answers = ["7", date, "0"].map((after) => refuse(429, "", { "retry-after": after }));
    const { folder } = await fetchFrom(cache, () => answers.shift(), { patience });
    await assertWhole(folder, cache);
    assertEquals([waits[0], waits[2], waits.length], [7000, 0, 3]);
    assert(Math.abs(waits[1] - 100_000) < 10_000);
    await Deno.remove(cache, { recursive: true });
    const long = await fetchFrom(cache, () => refuse(429, "", { "retry-after": "3600" }), { patience });
    assertStringIncludes(String(long.folder), "says 429 and asks to wait 3600 s; try again then");
    assertEquals(waits.length, 3);
  }));

Deno.test("ask() follows ten redirects, and none to no address", async () => {
  let left = 10;
  await using hub = await startHub({
    files: {},
    instead: ({ url }) => {
      if (url.endsWith("/file")) {
        return new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } });
      }
      if (url.endsWith("/none")) return new Response(null, { status: 307 });
      return left-- > 0
        ? new Response(null, { status: 307, headers: { location: "/hop" } })
        : new Response("end");
    },
  });
  const get = async (path: string) =>
    new TextDecoder().decode(
      await bytesOf(await ask({ url: hub.endpoint + path, what: "x" }, PATIENCE), "x"),
    );
  assertEquals(await get("/start"), "end");
  left = 99;
  await assertRejects(() => get("/start"), Deno.errors.Http, "more than 10 redirects");
  for (const path of ["/file", "/none"]) {
    await assertRejects(() => get(path), Deno.errors.Http, "redirects to no address");
  }
});

Deno.test("download() gives up a server that stays silent, before its answer and within it, and does not show its address", () =>
  inFolder(async (cache) => {
    const patience = { ...LIMITS, silence: 40, attempts: 2 };
    for (
      const storage of [
        () => new Promise<Response>((resolve) => setTimeout(() => resolve(new Response("x")), 120)),
        () => new Response(new ReadableStream({ start: (to) => to.enqueue(weights.slice(0, 9)) })),
      ]
    ) {
      const { folder } = await fetchFrom(cache, storage, { patience });
      assertStringIncludes(String(folder), "silent for 0.04 s, 2 attempts in a row");
      assert(!String(folder).includes("Signature"), String(folder));
    }
  }));

Deno.test("download() bears a server that is slow and never silent", () =>
  inFolder(async (cache) => {
    const pieces = Array.from({ length: 10 }, (_, i) => weights.slice(30_000 * i, 30_000 * (i + 1)));
    const slow = () =>
      new Response(ReadableStream.from((async function* () {
        for (const piece of pieces) {
          yield piece;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      })()));
    const { folder, ranges } = await fetchFrom(cache, slow, { patience: { ...LIMITS, silence: 700 } });
    await assertWhole(folder, cache);
    assertEquals(ranges, [null]);
  }));

Deno.test("download() by two at once, without a lock, ends with one right file", () =>
  inFolder(async (cache) => {
    await using hub = await startHub({ files, instead: (request) => cut(part(request, weights), 90_000) });
    const path = `${cache}/file`;
    const wanted = {
      url: `${hub.endpoint}/x`,
      what: "x",
      path,
      size: weights.length,
      digest: { kind: "sha256", hex: digest },
    } as const;
    await Promise.all([1, 2].map(() => download(wanted, LIMITS)));
    assertEquals(await Deno.readFile(path), weights);
    assertEquals(await filesUnder(cache), ["file"]);
  }));
