import { assertEquals, assertThrows } from "@std/assert";
import { verdict } from "./requires.ts";

Deno.test("requires() ignores tests without their tool, and fails them under CI=true", () => {
  assertEquals(verdict("chromium", "/bin/chromium", true), { path: "/bin/chromium", ignore: false });
  assertEquals(verdict("chromium", undefined, false).ignore, true);
  assertThrows(() => verdict("chromium", undefined, true), Error, "looked for /usr/bin/chromium");
});
