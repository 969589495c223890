import { assert, assertEquals } from "@std/assert";
import { fetchFromHub } from "../../lib/io/hub.ts";
import { COMMIT, part, REPO, startHub, type TestHub } from "../helpers/hub.ts";
import { inFolder, settingsOf } from "../helpers/hub_client.ts";
import { requires } from "../helpers/requires.ts";

const python = requires("python");
const weights = Uint8Array.from({ length: 50_000 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
const files = { "config.json": "{}", "tokenizer.json": "{ }", "model.safetensors": weights };
const spec = `hf:${REPO}`;

/** What Python's huggingface_hub prints for an expression. */
async function inPython(hub: TestHub, cache: string, expression: string): Promise<string> {
  const source = `import huggingface_hub as hub; print(${expression})`;
  const { success, stdout, stderr } = await new Deno.Command(python.path, {
    args: ["-c", source],
    env: {
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_CACHE: cache,
      HF_HOME: `${cache}/home`,
      HF_HUB_DISABLE_TELEMETRY: "1",
    },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

const snapshot = (cache: string) => `${cache}/models--org--model/snapshots/${COMMIT}`;

Deno.test({
  name:
    "huggingface_hub of Python reads the cache that fetchFromHub() wrote, offline and without another transfer",
  ignore: python.ignore,
  fn: () =>
    inFolder(async (cache) => {
      await using hub = await startHub({ files });
      await fetchFromHub(spec, { settings: await settingsOf(hub, cache) });
      const [asked, stored] = [hub.seen.length, hub.stored.length];
      const offline = `hub.snapshot_download("${REPO}", local_files_only=True)`;
      assertEquals(await inPython(hub, cache, offline), snapshot(cache));
      const file = `hub.try_to_load_from_cache("${REPO}", "model.safetensors")`;
      assertEquals(await inPython(hub, cache, file), `${snapshot(cache)}/model.safetensors`);
      assertEquals(hub.seen.length, asked);
      assertEquals(await inPython(hub, cache, `hub.snapshot_download("${REPO}")`), snapshot(cache));
      assertEquals(hub.stored.length, stored);
      const scanned =
        `[(r.repo_id, r.nb_files, sorted(r.refs)) for r in hub.scan_cache_dir("${cache}").repos]`;
      assertEquals(await inPython(hub, cache, scanned), `[('${REPO}', 3, ['main'])]`);
    }),
});

Deno.test({
  name:
    "fetchFromHub() reads the cache that huggingface_hub of Python wrote, offline and without another transfer",
  ignore: python.ignore,
  fn: () =>
    inFolder(async (cache) => {
      await using hub = await startHub({ files });
      assertEquals(await inPython(hub, cache, `hub.snapshot_download("${REPO}")`), snapshot(cache));
      const stored = hub.stored.length;
      const settings = await settingsOf(hub, cache);
      assertEquals(await fetchFromHub(spec, { settings: { ...settings, isOffline: true } }), snapshot(cache));
      assertEquals(await fetchFromHub(spec, { settings }), snapshot(cache));
      assertEquals(hub.stored.length, stored);
      assertEquals(await Deno.readFile(`${snapshot(cache)}/model.safetensors`), weights);
    }),
});

Deno.test({
  name: "fetchFromHub() waits for huggingface_hub of Python that is at the same file, by the lock of both",
  ignore: python.ignore,
  fn: () =>
    inFolder(async (cache) => {
      const [begun, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      await using hub = await startHub({
        files,
        instead: async (request, at) => {
          if (at === "hub") return undefined;
          begun.resolve();
          await finish.promise;
          return part(request, weights);
        },
      });
      const theirs = inPython(hub, cache, `hub.hf_hub_download("${REPO}", "model.safetensors")`);
      await begun.promise;
      const notes: string[] = [];
      const onNote = (note: string) => {
        notes.push(note);
        finish.resolve();
      };
      const ours = fetchFromHub(spec, { settings: await settingsOf(hub, cache), onNote });
      assertEquals(await Promise.all([theirs, ours]), [
        `${snapshot(cache)}/model.safetensors`,
        snapshot(cache),
      ]);
      assertEquals(notes, ["another process is fetching model.safetensors; waiting for it"]);
      assertEquals(hub.stored.length, 1);
    }),
});
