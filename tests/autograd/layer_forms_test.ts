import { assertEquals } from "@std/assert";
import { resolveOptions } from "../../lib/adapters/options.ts";
import { flora, floraLayer } from "../../lib/adapters/flora.ts";
import type { LayerTarget } from "../../lib/adapters/method.ts";
import { mora } from "../../lib/adapters/mora.ts";
import { constant } from "../../lib/autograd/tape.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { floraWeight } from "../../lib/reference/flora.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { moraMatrix } from "../../lib/reference/mora.ts";
import { testDevice } from "../helpers/device.ts";
import { expectGradient, gradients, type RuleCase } from "./rule_case.ts";

const gpu = await testDevice();

/** x `[n, in]` times the transpose of a weight `[out, in]`. */
const layerTwin = (x: Float64Array, weight: Float64Array, { out, in: width }: { out: number; in: number }) =>
  matmul(x, weight, { m: x.length / width, n: out, k: width }, "nt");

function targetOf(options: Parameters<typeof resolveOptions>[0], out: number, width: number): LayerTarget {
  return { module: "model.layers.0.mlp.up_proj", out, in: width, config: resolveOptions(options) };
}

/** What is added reads `dropped`, another input than W's. */
function moraCase(type: 1 | 6, n: number, [width, out]: [number, number], rank: number): RuleCase {
  const target = targetOf({ method: "mora", type, rank }, out, width);
  const [side] = mora.layer!.start(target).get("m")!.shape;
  const constants = new Map(
    [...mora.layer!.constants!(target)].map(([name, tensor]) => {
      return [name, gpu.keep(gpu.upload(toFloat32(tensor), tensor.shape))];
    }),
  );
  return {
    name: `mora of type ${type}, n ${n}, in ${width}, out ${out}, side ${side}`,
    shapes: [[n, width], [n, width], [out, width], [side, side]],
    build: (tape, [x, dropped, w, m]) =>
      mora.layer!.apply(
        tape,
        { x, dropped, w },
        (name) => name === "m" ? m : constant(constants.get(name)!),
        target,
      ),
    twin([x, dropped, w, m]) {
      const added = layerTwin(dropped, moraMatrix(m, { ...target, side }, type), target);
      return layerTwin(x, w, target).map((y, i) => y + added[i]);
    },
  };
}

/** g groups of rows of x with factors of their own; of one group the layer of the method. */
function floraCase(groups: number, n: number, [width, out]: [number, number], r: number): RuleCase {
  const target = targetOf({ method: "flora", rank: r }, out, width);
  return {
    name: `flora, groups ${groups}, n ${n}, in ${width}, out ${out}, rank ${r}`,
    shapes: [[groups * n, width], [out, width], [groups, r * out], [groups, r * width]],
    build: (tape, [x, w, a, b]) =>
      groups === 1
        ? flora.layer!.apply(tape, { x, dropped: x, w }, (name) => name === "a" ? a : b, target)
        : floraLayer(tape, { x, w, a, b }),
    twin([x, w, a, b]) {
      const part = (values: Float64Array, g: number) => {
        const length = values.length / groups;
        return values.subarray(g * length, (g + 1) * length);
      };
      const rows = Array.from({ length: groups }, (_, g) => {
        const weight = floraWeight(w, { a: part(a, g), b: part(b, g) }, { out, in: width, r });
        return [...layerTwin(part(x, g), weight, { out, in: width })];
      });
      return Float64Array.from(rows.flat());
    },
  };
}

const cases = [
  // Sides that divide the input, and that do not; outputs shorter and longer than what M gives.
  ...[1, 6].flatMap((type) => [
    moraCase(type as 1 | 6, 3, [8, 8], 1),
    moraCase(type as 1 | 6, 33, [14, 9], 2),
    moraCase(type as 1 | 6, 2, [7, 30], 1),
  ]),
  floraCase(1, 5, [9, 6], 1),
  floraCase(1, 33, [6, 9], 3),
  floraCase(3, 4, [8, 5], 2),
];

for (const rule of cases) {
  Deno.test(`${rule.name}: its gradient is the twin's, added to what a sink holds or returned`, async () => {
    const live = gpu.liveBytes;
    for (const [held, isMade] of [[0, false], [2, false], [0, true]] as const) {
      expectGradient(rule, (await gradients(gpu, rule, { held, isMade })).sinks, held);
    }
    assertEquals(gpu.liveBytes, live);
  });
}
