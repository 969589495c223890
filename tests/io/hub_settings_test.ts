import { assert, assertEquals, assertRejects } from "@std/assert";
import { hubSettings } from "../../lib/io/hub_settings.ts";
import { inFolder, TOKEN } from "../helpers/hub_client.ts";

const from = (env: Record<string, string>) => hubSettings({ get: (name) => env[name] });

Deno.test("hubSettings() finds hub and cache as Python's huggingface_hub does", async () => {
  const place = async (env: Record<string, string>) => {
    const { endpoint, cache, isOffline } = await from({ HOME: "/home/u", ...env });
    return [endpoint, cache, isOffline];
  };
  const hub = "https://huggingface.co";
  assertEquals(await place({}), [hub, "/home/u/.cache/huggingface/hub", false]);
  assertEquals(await place({ XDG_CACHE_HOME: "/x" }), [hub, "/x/huggingface/hub", false]);
  assertEquals(await place({ HF_HOME: "~/hf", XDG_CACHE_HOME: "/x" }), [hub, "/home/u/hf/hub", false]);
  assertEquals(await place({ HF_HOME: "/h", HF_HUB_CACHE: "/c", HF_HUB_OFFLINE: "1" }), [hub, "/c", true]);
  assertEquals(await place({ HF_ENDPOINT: "http://127.0.0.1:1/", HF_HUB_OFFLINE: "0" }), [
    "http://127.0.0.1:1",
    "/home/u/.cache/huggingface/hub",
    false,
  ]);
});

Deno.test("hubSettings() takes the token of HF_TOKEN before the file in HF_HOME, and gives it to the hub alone", () =>
  inFolder(async (home) => {
    const hub = "https://hub.example";
    const token = async (env: Record<string, string>, address: string) =>
      (await from({ HF_HOME: home, HF_ENDPOINT: hub, ...env })).authorization(address).authorization;
    assertEquals(await token({}, hub), undefined);
    await Deno.writeTextFile(`${home}/token`, "hf_file\n");
    assertEquals(await token({}, `${hub}/api/x?y`), "Bearer hf_file");
    assertEquals(await token({ HF_TOKEN: ` ${TOKEN}\n` }, hub), `Bearer ${TOKEN}`);
    const others = [
      "http://hub.example",
      "https://hub.example:444",
      "https://a.hub.example",
      "https://hub.example.org",
    ];
    for (const other of [...others, "https://hub.example@x.org", "no address"]) {
      assertEquals(await token({ HF_TOKEN: TOKEN }, other), undefined);
    }
  }));

Deno.test("hubSettings() refuses an address and a token that cannot be used, without showing the token", async () => {
  for (const endpoint of ["hub.example", "ftp://hub.example", "file:///x"]) {
    await assertRejects(
      () => from({ HF_ENDPOINT: endpoint }),
      RangeError,
      `Cannot use HF_ENDPOINT ${endpoint}`,
    );
  }
  const error = await assertRejects(
    () => from({ HF_TOKEN: `${TOKEN}\nx` }),
    RangeError,
    "Cannot use HF_TOKEN",
  );
  assert(!(error as Error).message.includes(TOKEN));
});
