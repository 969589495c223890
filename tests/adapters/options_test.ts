import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Adapter, AdapterConfig } from "../../lib/adapters/adapter.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { METHODS } from "../../lib/adapters/methods.ts";
import { methodOptionNames, type MethodOptions, resolveOptions } from "../../lib/adapters/options.ts";
import { attachQuantized } from "../../lib/adapters/quantized.ts";
import { hostTensor } from "../../lib/core/host_tensor.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { testDevice } from "../helpers/device.ts";

const VALUES: Required<MethodOptions> = {
  freeze: "A",
  feedforward: "down_proj",
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
    const beside = option === "feedforward" && { freeze: "B" as const };
    const options = {
      method: name,
      rank: 1,
      [option]: VALUES[option],
      ...(takes.includes(option) && beside),
    };
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

const MODULE = "model.layers.0.self_attn.q_proj";
const NORM = "model.norm.weight";
const RANK = 2;

/** What all methods are asked for, what says that they did it, and which of them refuse it in which words. */
const COMMON: Record<string, {
  options: AttachOptions & { dtype?: "q8_0" };
  did?: (adapter: Adapter) => unknown;
  refused: Record<string, string>;
}> = {
  alpha: {
    options: { alpha: 6 },
    did: ({ scale }) => scale > 1,
    refused: {
      full: "alpha 6: expected none, as full fine-tuning has no branches",
      ...each("mora remora flora", "alpha 6: expected none for method"),
    },
  },
  dropout: {
    options: { dropout: 0.1 },
    did: ({ config }) => config.dropout === 0.1,
    refused: {
      full: "dropout 0.1: expected 0, as full fine-tuning has no branches",
      flora: "dropout 0.1: expected 0, as flora has no part that is added",
    },
  },
  rankPattern: {
    options: { rankPattern: { q_proj: 2 * RANK } },
    did: async ({ branches, model, config: { method }, trainable }) => {
      if (branches.size) return branches.get(MODULE)!.a.value.shape[0] === 2 * RANK;
      using plain = await attach(model, { method, rank: RANK, targets: [MODULE] });
      return trainable > plain.trainable;
    },
    refused: { full: 'rankPattern {"q_proj":4}: expected none, as full fine-tuning has no branches' },
  },
  alphaPattern: {
    options: { alphaPattern: { q_proj: 6 } },
    did: ({ branches }) => !branches.size || branches.get(MODULE)!.scale > 1,
    refused: {
      full: 'alphaPattern {"q_proj":6}: expected none, as full fine-tuning has no branches',
      ...each("mora remora flora", 'alphaPattern {"q_proj":6}: expected none for method'),
    },
  },
  init: {
    options: {
      init: new Map([[MODULE, { a: filled([RANK, 128], 0.5), b: filled([128, RANK], 0.25) }]]),
      rank: RANK,
    },
    did: async ({ branches, model: { gpu } }) => {
      const { a, b } = branches.get(MODULE)!;
      return [await gpu.read(a.value), await gpu.read(b.value)].every(([first], i) =>
        first === [0.5, 0.25][i]
      );
    },
    refused: {
      full: "Cannot attach given factors for full fine-tuning: expected none",
      ...each(
        "mora remora flora adalora lora2 alora",
        "with given factors: expected none, as it has no A and B",
      ),
    },
  },
  weights: {
    options: { weights: new Map([[NORM, filled([128], 3)]]) },
    did: async ({ parameters, model: { gpu } }) =>
      (await gpu.read(parameters.get(NORM)!.value)).every((value) => value === 3),
    refused: {
      full: "Cannot attach weights for full fine-tuning: expected none",
      ...each(
        "mora remora flora adalora lora2 alora",
        "with given factors: expected none, as it has no A and B",
      ),
    },
  },
  quantize: {
    options: { dtype: "q8_0" },
    did: ({ model }) => model.weights.get(`${MODULE}.weight`)!.dtype === "q8_0",
    refused: { full: "Cannot attach method full on a base in q8_0: expected a method with an adapter" },
  },
};

/** The same words of each of these methods. */
function each(methods: string, words: string): Record<string, string> {
  return Object.fromEntries(methods.split(" ").map((method) => [method, words]));
}

function filled(shape: number[], value: number) {
  return hostTensor(shape, new Float32Array(shape.reduce((size, n) => size * n)).fill(value));
}

/** A batch for the starts that look at one. */
const BATCH = {
  ids: Uint32Array.of(1, 2, 3, 4),
  targets: Int32Array.of(2, 3, 4, 5),
  shape: [1, 4] as [number, number],
};

for (const [name, { options, did, refused }] of Object.entries(COMMON)) {
  Deno.test(`attach() of every method does what ${name} asks, or refuses it`, async () => {
    const gpu = await testDevice();
    using model = await loadModel("tiny", { gpu });
    for (const { name: method, batches } of METHODS) {
      const { dtype, ...plain } = options;
      const asked = {
        ...{ method, rank: RANK, targets: [MODULE] },
        ...plain,
        ...(batches && !plain.init && { batches: [BATCH] }),
      };
      const made = async () =>
        dtype
          ? await attachQuantized(model, { ...asked, dtype })
          : { model: undefined, adapter: await attach(model, asked) };
      if (refused[method]) {
        await assertRejects(made, RangeError, refused[method]);
        continue;
      }
      const { model: quantized, adapter } = await made();
      assert(adapter.trainable > 0 && (!did || await did(adapter)), method);
      adapter[Symbol.dispose]();
      quantized?.[Symbol.dispose]();
    }
  });
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
    [
      { method: "flora", feedforward: "*" },
      'feedforward "*": expected a list of names or a regular expression',
    ],
    [{ method: "pissa", iterations: 0.5 }, "iterations 0.5: expected a whole number >= 0"],
    [{ method: "lora-ga", gamma: 0 }, "gamma 0: expected a number > 0"],
    [{ method: "lora-ga", stable: "unit" }, 'stable "unit": expected "peft" or "paper"'],
    [{ method: "eva", rho: 0.5 }, "rho 0.5: expected a number >= 1"],
    [{ method: "lora+", ratio: -1 }, "ratio -1: expected a number > 0"],
  ];
  for (const [options, message] of refusals) assertThrows(() => resolveOptions(options), RangeError, message);
});

Deno.test("resolveOptions() refuses options that contradict each other", () => {
  const refusals: [Partial<AdapterConfig>, string][] = [
    [{ keep: "orthonormal", basis: "rows" }, "expected a basis of columns"],
    [{ keep: "orthonormal", balance: 2 }, "expected balance 1"],
    [{ keep: "orthonormal", freeze: "B" }, "expected one of them"],
    [{ keep: "orthonormal", subtract: false }, "expected subtract true"],
    [
      { method: "flora", rank: 1, feedforward: "down_proj" },
      'feedforward "down_proj" without freeze: expected freeze "B"',
    ],
    [
      { method: "flora", rank: 1, freeze: "A", feedforward: ["down_proj"] },
      'and freeze "A": expected freeze "B"',
    ],
    [
      { method: "flora", rank: 1, freeze: "B", targets: ["k_proj"], feedforward: ["down_proj"] },
      'feedforward ["down_proj"]: expected some of the targets, k_proj',
    ],
    [
      { method: "flora", rank: 1, freeze: "B", rankPattern: { q_proj: 2 } },
      'freeze "B" and rank 2: expected rank 1',
    ],
  ];
  for (const [options, message] of refusals) assertThrows(() => resolveOptions(options), RangeError, message);
});
