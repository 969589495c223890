import { assertEquals } from "@std/assert";
import { findings } from "../../data/make/findings.ts";

Deno.test("FINDINGS.md states what the committed rows say, number by number", async () => {
  const page = decodeURIComponent(new URL("../../FINDINGS.md", import.meta.url).pathname);
  assertEquals(await Deno.readTextFile(page), await findings());
});
