import { assertEquals } from "@std/assert";
import { findings, readme } from "../../data/make/findings.ts";

Deno.test("FINDINGS.md states what the committed rows say, number by number", async () => {
  const page = decodeURIComponent(new URL("../../FINDINGS.md", import.meta.url).pathname);
  assertEquals(await Deno.readTextFile(page), await findings());
});

Deno.test("README.md opens with what FINDINGS.md says, number by number", async () => {
  const page = decodeURIComponent(new URL("../../README.md", import.meta.url).pathname);
  assertEquals(await Deno.readTextFile(page), await readme());
});
