import { assertEquals, assertLess, assertThrows } from "@std/assert";
import {
  activationRule,
  addRule,
  affineRule,
  attentionRule,
  biasRule,
  centerRule,
  crossEntropyRule,
  cycleRule,
  dropoutRule,
  embeddingRule,
  foldRule,
  gateRule,
  headNormRule,
  moveColumnsRule,
  reshapeRule,
  rmsNormRule,
  rotaryRule,
  scaleColumnsRule,
  splitRule,
} from "../../lib/autograd/rules.ts";
import { parameter, Tape, type Variable } from "../../lib/autograd/tape.ts";
import { embeddingPlan } from "../../lib/ops/embedding.ts";
import { rotaryTable } from "../../lib/ops/rotary.ts";
import { activate } from "../../lib/reference/activation.ts";
import { add } from "../../lib/reference/add.ts";
import { affine } from "../../lib/reference/affine.ts";
import { bias } from "../../lib/reference/bias.ts";
import { center } from "../../lib/reference/center.ts";
import { moveColumns, splitColumns } from "../../lib/reference/columns.ts";
import { cycle, cycleBackward } from "../../lib/reference/cycle.ts";
import { gate } from "../../lib/reference/gate.ts";
import { attention } from "../../lib/reference/attention.ts";
import { crossEntropy } from "../../lib/reference/cross_entropy.ts";
import { dropoutMask } from "../../lib/reference/dropout.ts";
import { embedding } from "../../lib/reference/embedding.ts";
import { rmsNorm } from "../../lib/reference/rms_norm.ts";
import { rotary, rotaryTables } from "../../lib/reference/rotary.ts";
import { scaleColumns } from "../../lib/reference/scale_columns.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expectGradient, gradients, type RuleCase } from "./rule_case.ts";

const gpu = await testDevice();
const EPS_NORM = 1e-5;
const axes = { b: 2, t: 5, c: 4 };
const PHIS = ["silu", "gelu", "relu"] as const;
const ids = Uint32Array.from([3, 1, 3, 3, 0, 6]);
const targets = Int32Array.from([2, -1, 0, 6, 6, -1, 1]);
const fixed = {
  ids: gpu.upload(ids, [6]),
  plan: embeddingPlan(gpu, ids, 7),
  table: gpu.upload(rotaryTable(8, 4, 1e4), [8, 4]),
  targets: gpu.upload(targets, [7]),
};
globalThis.addEventListener("unload", () => Object.values(fixed).forEach((x) => x[Symbol.dispose]()));

const cases: RuleCase[] = [
  {
    name: "add",
    shapes: [[3, 5], [3, 5]],
    build: (tape, inputs) => tape.apply(addRule, inputs, null)[0],
    twin: ([x, y]) => add(x, y),
  },
  {
    name: "affine",
    shapes: [[3, 5]],
    build: (tape, inputs) => tape.apply(affineRule, inputs, { scale: -2.5, offset: 3 })[0],
    twin: ([x]) => affine(x, -2.5, 3),
  },
  {
    name: "rmsNorm by 1 + w, as Gemma has it",
    shapes: [[3, 5], [5]],
    build(tape, [x, w]) {
      const [shifted] = tape.apply(affineRule, [w], { scale: 1, offset: 1 });
      return tape.apply(rmsNormRule, [x, shifted], { eps: EPS_NORM })[0];
    },
    twin: ([x, w]) => rmsNorm(x, affine(w, 1, 1), { n: 3, d: 5 }, EPS_NORM),
  },
  {
    name: "bias",
    shapes: [[3, 5], [5]],
    build: (tape, inputs) => tape.apply(biasRule, inputs, null)[0],
    twin: ([x, b]) => bias(x, b, { n: 3, d: 5 }),
  },
  {
    name: "dropout",
    shapes: [[3, 5]],
    build: (tape, inputs) => tape.apply(dropoutRule, inputs, { p: 0.3, key: [5, 9] })[0],
    twin: ([x]) => dropoutMask(15, 0.3, [5, 9]).map((factor, i) => factor * x[i]),
  },
  {
    name: "headNorm",
    shapes: [[3, 12], [4]],
    build: (tape, inputs) => tape.apply(headNormRule, inputs, { eps: EPS_NORM })[0],
    twin: ([x, w]) => rmsNorm(x, w, { n: 9, d: 4 }, EPS_NORM),
  },
  ...PHIS.map((phi) => ({
    name: `gate by ${phi}`,
    shapes: [[3, 5], [3, 5]],
    build: (tape: Tape, inputs: Variable[]) => tape.apply(gateRule, inputs, { phi })[0],
    twin: ([g, v]: Float64Array[]) => gate(phi, g, v),
  })),
  {
    name: "center",
    shapes: [[3, 5]],
    build: (tape, inputs) => tape.apply(centerRule, inputs, null)[0],
    twin: ([x]) => center(x, { n: 3, d: 5 }),
  },
  {
    name: "a layer norm, made of center, rmsNorm and bias",
    shapes: [[3, 8], [8], [8]],
    build(tape, [x, w, b]) {
      const [centered] = tape.apply(centerRule, [x], null);
      const [scaled] = tape.apply(rmsNormRule, [centered, w], { eps: EPS_NORM });
      return tape.apply(biasRule, [scaled, b], null)[0];
    },
    twin([x, w, b]) {
      const dims = { n: 3, d: 8 };
      return bias(rmsNorm(center(x, dims), w, dims, EPS_NORM), b, dims);
    },
  },
  ...PHIS.map((phi) => ({
    name: `activation by ${phi}`,
    shapes: [[3, 5]],
    build: (tape: Tape, inputs: Variable[]) => tape.apply(activationRule, inputs, { phi })[0],
    twin: ([x]: Float64Array[]) => activate(phi, x),
  })),
  {
    name: "cycle",
    shapes: [[3, 4]],
    build: (tape, inputs) => tape.apply(cycleRule, inputs, { wide: 11 })[0],
    twin: ([x]) => cycle(x, { n: 3, d: 4, wide: 11 }),
  },
  {
    name: "reshape, before and after another rule",
    shapes: [[6, 4]],
    build(tape, inputs) {
      const [wide] = tape.apply(reshapeRule, inputs, { shape: [3, 8] });
      const [folded] = tape.apply(foldRule, [wide], { d: 2 });
      return tape.apply(reshapeRule, [folded], { shape: [2, 3] })[0];
    },
    twin: ([x]) => cycleBackward(x, { n: 3, d: 2, wide: 8 }),
  },
  {
    name: "fold",
    shapes: [[3, 11]],
    build: (tape, inputs) => tape.apply(foldRule, inputs, { d: 4 })[0],
    twin: ([x]) => cycleBackward(x, { n: 3, d: 4, wide: 11 }),
  },
  {
    name: "moveColumns",
    shapes: [[3, 7]],
    build: (tape, inputs) => tape.apply(moveColumnsRule, inputs, { width: 4, from: 2, to: 5, wide: 11 })[0],
    twin: ([x]) => moveColumns(x, { n: 3, d: 7, width: 4, from: 2, to: 5, wide: 11 }),
  },
  {
    name: "scaleColumns",
    shapes: [[6, 5], [2, 5]],
    build: (tape, inputs) => tape.apply(scaleColumnsRule, inputs, null)[0],
    twin: ([x, s]) => scaleColumns(x, s, { g: 2, t: 3, d: 5 }),
  },
  {
    name: "split, two of whose three parts are used",
    shapes: [[3, 15]],
    build(tape, inputs) {
      const [first, , last] = tape.apply(splitRule, inputs, { parts: 3 });
      return tape.apply(gateRule, [first, last], { phi: "gelu" })[0];
    },
    twin([x]) {
      const [first, , last] = splitColumns(x, { n: 3, d: 5, parts: 3 });
      return gate("gelu", first, last);
    },
  },
  {
    name: "embedding",
    shapes: [[7, 5]],
    build: (tape, inputs) => tape.apply(embeddingRule, inputs, { ids: fixed.ids, plan: fixed.plan })[0],
    twin: ([table]) => embedding(table, Int32Array.from(ids), { n: 6, d: 5, v: 7 }),
  },
  {
    name: "rmsNorm",
    shapes: [[3, 5], [5]],
    build: (tape, inputs) => tape.apply(rmsNormRule, inputs, { eps: EPS_NORM })[0],
    twin: ([x, w]) => rmsNorm(x, w, { n: 3, d: 5 }, EPS_NORM),
  },
  {
    name: "rmsNorm of a sum, with the sum used again",
    shapes: [[3, 8], [8], [3, 8]],
    build(tape, inputs) {
      const [y, h] = tape.apply(rmsNormRule, inputs, { eps: EPS_NORM });
      return tape.apply(addRule, [y, h], null)[0];
    },
    twin: ([x, w, delta]) => add(rmsNorm(add(x, delta), w, { n: 3, d: 8 }, EPS_NORM), add(x, delta)),
  },
  {
    name: "rmsNorm of a sum whose norm nobody uses",
    shapes: [[3, 8], [8], [3, 8]],
    build: (tape, inputs) => tape.apply(rmsNormRule, inputs, { eps: EPS_NORM })[1],
    twin: ([x, , delta]) => add(x, delta),
  },
  {
    name: "rotary",
    shapes: [[10, 8]],
    build: (tape, inputs) => tape.apply(rotaryRule, inputs, { ...axes, table: fixed.table, start: 2 })[0],
    twin: ([x]) => rotary(x, { b: 2, t: 5, h: 2, c: 4 }, rotaryTables({ t: 5, c: 4 }, 1e4, 2)),
  },
  {
    name: "attention",
    shapes: [[10, 8], [10, 4], [10, 4]],
    build: (tape, inputs) => tape.apply(attentionRule, inputs, axes)[0],
    twin: ([q, k, v]) => attention(q, k, v, { b: 2, t: 5, h: 2, hk: 1, c: 4 }).out,
  },
  {
    name: "attention in a window",
    shapes: [[10, 8], [10, 4], [10, 4]],
    build: (tape, inputs) => tape.apply(attentionRule, inputs, { ...axes, window: 2 })[0],
    twin: ([q, k, v]) => attention(q, k, v, { b: 2, t: 5, h: 2, hk: 1, c: 4, window: 2 }).out,
  },
  {
    name: "crossEntropy",
    shapes: [[7, 4], [7, 4]],
    build: (tape, inputs) => tape.apply(crossEntropyRule, inputs, { targets: fixed.targets, scale: 0.3 })[0],
    twin: ([x, head]) => crossEntropy(x, head, targets, { n: 7, d: 4, v: 7 }).nll.map((nats) => 0.3 * nats),
    isLoss: true,
  },
];

for (const rule of cases) {
  Deno.test(`${rule.name}: its gradient is the twin's, added to what a sink holds or returned`, async () => {
    const live = gpu.liveBytes;
    expectGradient(rule, (await gradients(gpu, rule)).sinks);
    expectGradient(rule, (await gradients(gpu, rule, { held: 2 })).sinks, 2);
    expectGradient(rule, (await gradients(gpu, rule, { isMade: true })).sinks);
    assertEquals(gpu.liveBytes, live);
  });

  Deno.test(`${rule.name}: frozen inputs get no gradient, and the others the same one`, async () => {
    const live = gpu.liveBytes;
    const all = await gradients(gpu, rule);
    const none = await gradients(gpu, rule, { needed: rule.shapes.map(() => false), isMade: true });
    assertEquals(none.dispatches, 0);
    for (const [which] of rule.shapes.entries()) {
      for (const isMade of [false, true]) {
        const needed = rule.shapes.map((_, i) => i === which);
        const { sinks } = await gradients(gpu, rule, { needed, isMade });
        sinks.forEach((sink, i) =>
          expectClose(sink, i === which ? all.sinks[i] : sink.map(() => 0), 0, `input ${i}`)
        );
      }
    }
    assertEquals(gpu.liveBytes, live);
  });
}

Deno.test("rmsNormRule: a frozen weight costs no dispatch", async () => {
  const rule = cases.find(({ name }) => name === "rmsNorm")!;
  const all = await gradients(gpu, rule);
  const frozen = await gradients(gpu, rule, { needed: [true, false] });
  assertLess(frozen.dispatches, all.dispatches);
});

Deno.test("embeddingRule refuses a gradient without a plan of its ids", () => {
  using table = gpu.tensor([7, 5]);
  using sink = gpu.tensor([7, 5]);
  using dx = gpu.tensor([6, 5]);
  using tape = new Tape(gpu);
  const [x] = tape.apply(embeddingRule, [parameter(table, sink)], { ids: fixed.ids });
  assertThrows(() => tape.backward(x, dx), TypeError, "without a plan of its ids");
});

Deno.test("expectGradient() fails for a gradient that is wrong by 1e-3 of itself", async () => {
  const { sinks } = await gradients(gpu, cases[0]);
  assertThrows(
    () => expectGradient(cases[0], sinks.map((sink) => sink.map((x) => 1.001 * x))),
    Error,
    "add, input 0",
  );
});
