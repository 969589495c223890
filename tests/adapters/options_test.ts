import { assertEquals, assertThrows } from "@std/assert";
import { METHODS } from "../../lib/adapters/methods.ts";
import { methodOptionNames, type MethodOptions, resolveOptions } from "../../lib/adapters/options.ts";

const VALUES: Required<MethodOptions> = {
  freeze: "A",
  basis: "last",
  balance: 2,
  subtract: true,
  keep: "orthonormal",
  norm: "olora",
  magnitude: true,
  iterations: 2,
  type: 1,
  gamma: 4,
  stable: "paper",
  rho: 1.5,
  targetRank: 1,
  initWarmup: 2,
  finalWarmup: 2,
  maskInterval: 2,
  orthogonality: 0.2,
  innerRank: 3,
  maxRank: 3,
  moves: 2,
  mergeInterval: 2,
  restartWarmup: 1,
  ratio: 4,
};

for (const { name, takes } of METHODS) {
  for (const option of methodOptionNames) {
    const options = { method: name, rank: 1, [option]: VALUES[option] };
    if (takes.includes(option)) {
      Deno.test(`resolveOptions() lets ${name} take ${option}`, () => {
        assertEquals(resolveOptions(options)[option], VALUES[option]);
      });
    } else {
      Deno.test(`resolveOptions() refuses ${option} for ${name}, and says whose option it is`, () => {
        assertThrows(
          () => resolveOptions(options),
          RangeError,
          `none for method ${name}; it is an option of `,
        );
      });
    }
  }
}

Deno.test("resolveOptions() refuses values that an option does not have", () => {
  const refusals: [Record<string, unknown>, string][] = [
    [{ freeze: "C" }, 'Cannot attach adapter with freeze "C": expected "A" or "B"'],
    [{ basis: "best" }, 'basis "best": expected "first" or "last" or'],
    [{ balance: 0 }, "balance 0: expected a number > 0"],
    [{ balance: Infinity }, "expected a number > 0"],
    [{ subtract: "no" }, 'subtract "no": expected true or false'],
    [{ keep: "rank" }, 'keep "rank": expected "orthonormal"'],
    [{ method: "lora", norm: "lora" }, 'norm "lora": expected "olora"'],
    [{ rankPattern: { q_proj: 0 } }, 'rankPattern {"q_proj":0}: expected whole numbers >= 1'],
    [{ alphaPattern: { q_proj: NaN } }, "expected numbers"],
    [{ method: "full", rankPattern: { q_proj: 1 } }, "expected none, as full fine-tuning has no branches"],
    [{ method: "pissa", iterations: 0.5 }, "iterations 0.5: expected a whole number >= 0"],
    [{ method: "lora-ga", gamma: 0 }, "gamma 0: expected a number > 0"],
    [{ method: "lora-ga", stable: "unit" }, 'stable "unit": expected "peft" or "paper"'],
    [{ method: "eva", rho: 0.5 }, "rho 0.5: expected a number >= 1"],
    [{ method: "lora+", ratio: -1 }, "ratio -1: expected a number > 0"],
  ];
  for (const [options, message] of refusals) assertThrows(() => resolveOptions(options), RangeError, message);
});

Deno.test("resolveOptions() refuses options that contradict each other", () => {
  const refusals: [MethodOptions, string][] = [
    [{ keep: "orthonormal", basis: "rows" }, "expected a basis of columns"],
    [{ keep: "orthonormal", balance: 2 }, "expected balance 1"],
    [{ keep: "orthonormal", freeze: "B" }, "expected one of them"],
    [{ keep: "orthonormal", subtract: false }, "expected subtract true"],
  ];
  for (const [options, message] of refusals) assertThrows(() => resolveOptions(options), RangeError, message);
});
