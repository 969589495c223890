import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type DownloadState, fetchFromHub } from "../../lib/io/hub.ts";
import { COMMIT, digestOf, type Entry, refuse, REPO, startHub } from "../helpers/hub.ts";
import { filesUnder, inFolder, LIMITS, settingsOf, TOKEN } from "../helpers/hub_client.ts";

const weights = Uint8Array.from({ length: 50_000 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
const index = JSON.stringify({
  weight_map: { a: "model-1-of-2.safetensors", b: "model-2-of-2.safetensors", c: "model-1-of-2.safetensors" },
});
const MODEL = {
  "README.md": "# not needed",
  "config.json": "{}",
  "tokenizer.json": '{"a":1}',
  "chat_template.jinja": "{{ x }}",
  "model.safetensors": weights,
  "pytorch_model.bin": weights.slice(1),
  "onnx/model.safetensors": weights.slice(2),
};
const SHARDS = {
  "config.json": "{}",
  "model.safetensors.index.json": index,
  "model-1-of-2.safetensors": weights.slice(0, 30_000),
  "model-2-of-2.safetensors": weights.slice(30_000),
};

Deno.test("fetchFromHub() fetches only what a model needs, in the layout of Hugging Face's cache", () =>
  inFolder(async (cache) => {
    await using hub = await startHub({ files: MODEL });
    const settings = await settingsOf(hub, cache);
    const states: DownloadState[] = [];
    const folder = await fetchFromHub(`hf:${REPO}`, { settings, onDownload: (state) => states.push(state) });
    const home = `${cache}/models--org--model`;
    assertEquals(folder, `${home}/snapshots/${COMMIT}`);
    const needed = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"] as const;
    assertEquals(await filesUnder(folder), [...needed]);
    for (const path of needed) {
      const bytes = new Uint8Array(await new Blob([MODEL[path]]).arrayBuffer());
      assertEquals(await Deno.readFile(`${folder}/${path}`), bytes);
      const digest = await digestOf(bytes, path === "model.safetensors");
      assertEquals(await Deno.readLink(`${folder}/${path}`), `../../blobs/${digest}`);
    }
    assertEquals(await Deno.readTextFile(`${home}/refs/main`), COMMIT);
    assertEquals((await filesUnder(`${home}/blobs`)).length, needed.length);
    assertEquals(hub.seen.filter(({ path }) => path.includes("/resolve/")).length, needed.length);
    const { done, total, resumedAt } = states.at(-1)!;
    assertEquals({ done, total, resumedAt }, { done: total, total: 50_000 + 2 + 7 + 7, resumedAt: 0 });

    const before = hub.stored.length;
    assertEquals(await fetchFromHub(`hf:${REPO}@main`, { settings }), folder);
    assertEquals(await fetchFromHub(`hf:${REPO}@${COMMIT}`, { settings }), folder);
    // What another commit had under the same digest is there already.
    await Deno.remove(`${home}/snapshots`, { recursive: true });
    assertEquals(await fetchFromHub(`hf:${REPO}`, { settings }), folder);
    assertEquals(await filesUnder(folder), [...needed]);
    assertEquals([hub.stored.length, hub.seen.filter(({ path }) => path.includes("/resolve/")).length], [
      before,
      4,
    ]);
  }));

Deno.test("fetchFromHub() fetches the shards that the index lists, and says which is missing", () =>
  inFolder(async (cache) => {
    await using hub = await startHub({ files: { ...SHARDS, "model-3-of-2.safetensors": "no" } });
    const folder = await fetchFromHub(`hf:${REPO}`, { settings: await settingsOf(hub, cache) });
    assertEquals(await filesUnder(folder), Object.keys(SHARDS).sort());
    const { "model-2-of-2.safetensors": _, ...rest } = SHARDS;
    await using lacking = await startHub({ files: rest });
    const settings = await settingsOf(lacking, `${cache}/other`);
    await assertRejects(
      () => fetchFromHub(`hf:${REPO}`, { settings }),
      Deno.errors.NotFound,
      "found no model-2-of-2.safetensors, expected it as model.safetensors.index.json lists it",
    );
  }));

Deno.test("fetchFromHub() fetches one GGUF file by its name, of a revision by its name", () =>
  inFolder(async (cache) => {
    await using hub = await startHub({ files: { ...MODEL, "q4/a b.gguf": weights, "q8.gguf": "8" } });
    const settings = await settingsOf(hub, cache);
    const path = await fetchFromHub(`hf:${REPO}/q4/a b.gguf@refs/pr/1`, { settings });
    assertEquals(path, `${cache}/models--org--model/snapshots/${COMMIT}/q4/a b.gguf`);
    assertEquals(await Deno.readFile(path), weights);
    assertEquals(await Deno.readLink(path), `../../../blobs/${await digestOf(weights, true)}`);
    assertEquals(await Deno.readTextFile(`${cache}/models--org--model/refs/refs/pr/1`), COMMIT);
    await assertRejects(
      () => fetchFromHub(`hf:${REPO}/q5.gguf`, { settings }),
      Deno.errors.NotFound,
      "found no q5.gguf, expected hf:org/model/q8.gguf",
    );
  }));

Deno.test("fetchFromHub() says what to do where there are no weights that it reads", () =>
  inFolder(async (cache) => {
    const cases: [Record<string, string>, string][] = [
      [{ "config.json": "{}", "pytorch_model.bin": "x" }, "only as .bin"],
      [{ "config.json": "{}", "pytorch_model.bin": "x" }, "save_pretrained"],
      [{ "a.gguf": "x" }, `one of its GGUF files by name: hf:${REPO}/a.gguf`],
      [{ "config.json": "{}" }, "found no weights, expected model.safetensors"],
      [{ "model.safetensors": "x" }, "found no config.json"],
    ];
    for (const [files, message] of cases) {
      await using hub = await startHub({ files });
      const settings = await settingsOf(hub, cache);
      await assertRejects(() => fetchFromHub(`hf:${REPO}`, { settings }), Deno.errors.NotFound, message);
    }
    assertEquals(await filesUnder(cache), []);
  }));

Deno.test("fetchFromHub() tells a refused model, and one, a revision or a folder that is not there", () =>
  inFolder(async (cache) => {
    for (const status of [401, 403]) {
      await using closed = await startHub({ files: {}, instead: () => refuse(status, "GatedRepo") });
      const ask = async (token?: string) => {
        const settings = await settingsOf(closed, cache, token);
        return await assertRejects(
          () => fetchFromHub(`hf:${REPO}`, { settings }),
          Deno.errors.PermissionDenied,
        );
      };
      assertStringIncludes(
        (await ask()).message,
        `says ${status}: it is private, gated or not there; set HF_TOKEN`,
      );
      const { message } = await ask(TOKEN);
      assertStringIncludes(message, `accept its terms at ${closed.endpoint}/${REPO}`);
      assert(!message.includes(TOKEN));
    }
    await using hub = await startHub({ files: MODEL });
    const settings = await settingsOf(hub, cache);
    for (
      const [spec, message] of [
        ["hf:org/none", "says 404: there is no model org/none; a private one needs HF_TOKEN"],
        [`hf:${REPO}@v9`, `says 404: there is no revision v9 of ${REPO}`],
        [`hf:${REPO}/q4/x.gguf`, `says 404: ${REPO} has no such file`],
      ]
    ) {
      await assertRejects(() => fetchFromHub(spec, { settings }), Deno.errors.NotFound, message);
    }
  }));

Deno.test("fetchFromHub() sends the token to the hub and to no other host, another port included", () =>
  inFolder(async (cache) => {
    await using hub = await startHub({ files: MODEL });
    const settings = await settingsOf(hub, cache, TOKEN);
    await fetchFromHub(`hf:${REPO}`, { settings });
    assert(hub.seen.length >= 6 && hub.seen.every(({ token }) => token === `Bearer ${TOKEN}`));
    assertEquals(hub.stored.map(({ token }) => token), [null]);
    assert(!Deno.inspect(settings, { depth: 9, showHidden: true }).includes(TOKEN));
    assertEquals(settings.authorization(hub.endpoint.replace("127.0.0.1", "127.0.0.2")), {});
    assertEquals(settings.authorization(hub.endpoint.replace("http:", "https:")), {});
  }));

Deno.test("fetchFromHub() does not follow the pages of a listing to another host with the token, nor for ever", () =>
  inFolder(async (cache) => {
    const page = (link: string) => Response.json([], { headers: { link: `<${link}>; rel="next"` } });
    await using other = await startHub({ files: {}, instead: () => Response.json([]) });
    await using hub = await startHub({
      files: {},
      instead: ({ url }) => {
        if (url.includes("/tree/")) return page(`${other.endpoint}/next`);
      },
    });
    const settings = await settingsOf(hub, cache, TOKEN);
    await assertRejects(() => fetchFromHub(`hf:${REPO}`, { settings }), Deno.errors.NotFound, "no weights");
    assertEquals(other.seen.map(({ token }) => token), [null]);
    await using endless = await startHub({
      files: {},
      instead: ({ url }) => {
        if (url.includes("/tree/")) return page(url);
      },
    });
    const again = await settingsOf(endless, cache);
    await assertRejects(
      () => fetchFromHub(`hf:${REPO}`, { settings: again }),
      Deno.errors.InvalidData,
      "list does not end",
    );
  }));

Deno.test("fetchFromHub() refuses names and digests that would leave the cache, and writes nothing", () =>
  inFolder(async (cache) => {
    const refused = async (
      entry: (entry: Entry) => Record<string, unknown>,
      files: Record<string, string>,
    ) => {
      await using hub = await startHub({ files, entry });
      const settings = await settingsOf(hub, `${cache}/a/b`);
      return await assertRejects(
        () => fetchFromHub(`hf:${REPO}`, { settings }),
        Error,
        `Cannot load model hf:${REPO}`,
      );
    };
    const good = { "config.json": "{}", "model.safetensors": "x" };
    for (const path of ["../x", "/etc/x", "a\\..\\..\\x", "C:x", "a//b", "a/../../x", "a\0b"]) {
      const renamed = (entry: Entry) => entry.path === "extra" ? { ...entry, path } : { ...entry };
      const error = await refused(renamed, { ...good, extra: "1" });
      assertStringIncludes(error.message, `found ${JSON.stringify(path)}, expected a path inside`);
    }
    await refused((entry) => ({ ...entry, oid: "../../x" }), good);
    await refused((entry) => ({ ...entry, lfs: { oid: `../${"f".repeat(61)}`, size: 1 } }), good);
    await refused((entry) => ({ ...entry, size: -1, lfs: undefined }), good);
    await assertRejects(
      async () => {
        await using hub = await startHub({
          files: { ...SHARDS, "model.safetensors.index.json": '{"weight_map":{"a":"../x"}}' },
        });
        await fetchFromHub(`hf:${REPO}`, { settings: await settingsOf(hub, `${cache}/a/b`) });
      },
      SyntaxError,
      "expected a .safetensors file of this folder",
    );
    const names = (await filesUnder(cache)).filter((path) => !path.startsWith("a/b/"));
    assertEquals(names, []);
  }));

Deno.test("fetchFromHub() refuses answers that are not a hub's", () =>
  inFolder(async (cache) => {
    const answers = [
      () => new Response("<html>log in</html>"),
      () => Response.json(7),
      (url: string) => url.includes("/revision/") ? Response.json({ sha: "../../x" }) : undefined,
      (url: string) => Response.json(url.includes("/tree/") ? [{ type: "file" }] : { sha: COMMIT }),
    ];
    for (const answer of answers) {
      await using hub = await startHub({ files: {}, instead: ({ url }) => answer(url) });
      const settings = await settingsOf(hub, cache);
      await assertRejects(
        () => fetchFromHub(`hf:${REPO}`, { settings }),
        Deno.errors.InvalidData,
        "found an answer that is not the hub's",
      );
    }
  }));

Deno.test("fetchFromHub() does not read a listing without end", () =>
  inFolder(async (cache) => {
    const endless = new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(1 << 20).fill(32)) });
    await using hub = await startHub({ files: {}, instead: () => new Response(endless) });
    const settings = await settingsOf(hub, cache);
    await assertRejects(
      () => fetchFromHub(`hf:${REPO}`, { settings }),
      Deno.errors.InvalidData,
      "found more than 16777216 bytes of a list",
    );
  }));

Deno.test("fetchFromHub() asks nothing of the network offline, and uses a whole model where the hub is out of reach", () =>
  inFolder(async (cache) => {
    const hub = await startHub({ files: SHARDS });
    const settings = await settingsOf(hub, cache);
    const offline = { ...settings, isOffline: true };
    const spec = `hf:${REPO}`;
    await assertRejects(() => fetchFromHub(spec, { settings: offline }), Deno.errors.NotFound, "offline");
    assertEquals(hub.seen, []);
    const folder = await fetchFromHub(spec, { settings });
    const asked = hub.seen.length;
    assertEquals(await fetchFromHub(spec, { settings: offline }), folder);
    assertEquals(hub.seen.length, asked);
    await hub[Symbol.asyncDispose]();
    const notes: string[] = [];
    const patience = { ...LIMITS, wait: () => Promise.reject(new Error("waits though a model is there")) };
    assertEquals(
      await fetchFromHub(spec, { settings, patience, onNote: (note) => notes.push(note) }),
      folder,
    );
    assertStringIncludes(notes.join(), "out of reach");
    assertStringIncludes(notes.join(), "using what main was last");

    await Deno.remove(`${folder}/model-2-of-2.safetensors`);
    await assertRejects(() => fetchFromHub(spec, { settings: offline }), Deno.errors.NotFound, "offline");
    const waits: number[] = [];
    const wait = (ms: number) => Promise.resolve(void waits.push(ms));
    await assertRejects(
      () => fetchFromHub(spec, { settings, patience: { ...LIMITS, wait } }),
      Deno.errors.NotConnected,
      "5 attempts in a row",
    );
    assertEquals(waits, [1000, 2000, 4000, 8000]);
  }));
