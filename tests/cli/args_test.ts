import { assertEquals, assertThrows } from "@std/assert";
import { hasFlag, type Option, parseCommandLine } from "../../lib/cli/args.ts";

const OPTIONS: Record<string, Option> = {
  prompt: { type: "text", help: "" },
  seed: { type: "number", help: "" },
  json: { type: "flag", help: "" },
};

Deno.test("parseCommandLine() takes the word after a text option as its value, whatever it begins with", () => {
  for (const text of ["- item", "-hello", "--json", "--seed", "", "a\n- b", "--prompt=x", "-"]) {
    for (const words of [["--prompt", text], [`--prompt=${text}`]]) {
      const args = parseCommandLine(["PATH", ...words, "--seed", "-1"], OPTIONS, 1);
      assertEquals(
        [args.text("prompt"), args.number("seed"), args.flag("json"), args.positionals],
        [text, -1, false, ["PATH"]],
      );
      assertEquals(hasFlag(words, OPTIONS, "--json"), false);
    }
  }
  assertEquals(hasFlag(["--prompt", "--json", "--json"], OPTIONS, "--json"), true);
});

Deno.test("parseCommandLine() refuses words that mean nothing", () => {
  const refused: [string[], string][] = [
    [["--prompt"], "found --prompt without a value"],
    [["--json=1"], "found --json=1, expected --json alone"],
    [["-x"], "unknown or unexpected option: -x"],
    [["--toString", "1"], "unknown or unexpected option: --toString"],
    [["--seed", "--json"], "Cannot use --seed --json: expected a number"],
    [["--seed", " "], "Cannot use --seed  : expected a number"],
    [["-"], 'expected 0 arguments besides options, found "-"'],
  ];
  for (const [words, says] of refused) assertThrows(() => parseCommandLine(words, OPTIONS), RangeError, says);
});
