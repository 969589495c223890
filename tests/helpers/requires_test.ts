import { assertEquals, assertThrows } from "@std/assert";
import { referenceData, verdict } from "./requires.ts";

Deno.test("requires() ignores tests without their tool, and fails them under CI=true", () => {
  assertEquals(verdict("chromium", "/bin/chromium", true), { path: "/bin/chromium", ignore: false });
  assertEquals(verdict("chromium", undefined, false).ignore, true);
  assertThrows(() => verdict("chromium", undefined, true), Error, "looked for /usr/bin/chromium");
});

Deno.test("referenceData() names once what is missing, and ignores its tests even under CI=true", () => {
  const said: string[] = [];
  const { error } = console;
  const before = Deno.env.get("CI");
  console.error = (line: string) => said.push(line);
  Deno.env.set("CI", "true");
  try {
    const missing = { path: "", ignore: true };
    assertEquals([referenceData("no/such"), referenceData("no/such")], [missing, missing]);
  } finally {
    console.error = error;
    if (before === undefined) Deno.env.delete("CI");
    else Deno.env.set("CI", before);
  }
  assertEquals(said, ["left out: the tests that need no/such: not in ../shared/data beside this repository"]);
});
