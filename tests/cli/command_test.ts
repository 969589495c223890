import { assertEquals } from "@std/assert";
import { pathOf } from "../../lib/cli/command.ts";

Deno.test("pathOf() gives a path of the system, spaces too", () => {
  assertEquals(pathOf(new URL("file:///C:/the%20kit/a.json"), "windows"), "C:/the kit/a.json");
  assertEquals(pathOf(new URL("file:///home/the%20kit/a.json"), "linux"), "/home/the kit/a.json");
});
