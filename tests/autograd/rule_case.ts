/** Checks a rule's gradient along one random direction against central differences of its float64 twin. */
import { addRule } from "../../lib/autograd/rules.ts";
import { constant, parameter, Tape, type Variable } from "../../lib/autograd/tape.ts";
import { Rng } from "../../lib/core/rng.ts";
import { type Shape, size } from "../../lib/core/shape.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { bound, EXP_GRANT, expectClose } from "../helpers/close.ts";

/** A rule to check, as a small computation and its twin. */
export interface RuleCase {
  /** Name for the report. */
  name: string;
  /** Shapes of the inputs whose gradients are checked. */
  shapes: Shape[];
  /** Records the computation of the output from the inputs. */
  build(tape: Tape, inputs: Variable[]): Variable;
  /** The same in float64. */
  twin(inputs: Float64Array[]): Float64Array;
  /** Whether the output is a loss that starts the walk itself, the sum of its entries. */
  isLoss?: boolean;
}

/** Step of the central differences: their error, of order its square, is far below float32's. */
const STEP = 1e-5;

/** Normal numbers in float32. */
export function normals(shape: Shape, seed: number): Float32Array<ArrayBuffer> {
  const rng = new Rng(seed, "rule");
  return Float32Array.from({ length: size(shape) }, () => rng.normal());
}

/** Gradient of the case for normal inputs, with sinks that held `held` before; `needed` says which are wanted. */
export async function gradients(
  gpu: Gpu,
  { shapes, build, isLoss }: RuleCase,
  options: { needed?: boolean[]; held?: number; isMade?: boolean } = {},
): Promise<{ sinks: Float32Array[]; dispatches: number }> {
  const { needed = shapes.map(() => true), held = 0, isMade = false } = options;
  const values = shapes.map((shape, i) => gpu.upload(normals(shape, i), shape));
  const sinks = shapes.map((shape) => gpu.upload(new Float32Array(size(shape)).fill(held), shape));
  const zeros = shapes.map((shape) => gpu.upload(new Float32Array(size(shape)), shape));
  const tape = new Tape(gpu);
  const inputs = values.map((value, i) => {
    const input = needed[i] ? parameter(value, sinks[i]) : constant(value);
    // A made variable has no sink, so the rule must return its gradient.
    return isMade && shapes[i].length === 2
      ? tape.apply(addRule, [input, constant(zeros[i])], null)[0]
      : input;
  });
  const output = build(tape, inputs);
  const dy = gpu.upload(normals(output.value.shape, 99), output.value.shape);
  const [, dispatches] = counting(gpu, () => tape.backward(output, isLoss ? undefined : dy));
  tape.dispose();
  const read: Float32Array[] = [];
  for (const sink of sinks) read.push(await gpu.read(sink));
  for (const tensor of [...values, ...sinks, ...zeros, dy]) tensor.dispose();
  return { sinks: read, dispatches };
}

/** What `body` returns and how many dispatches it records. */
export function counting<T>(gpu: Gpu, body: () => T): [T, number] {
  const run = gpu.run;
  let count = 0;
  gpu.run = (...args) => {
    count++;
    return run.apply(gpu, args);
  };
  try {
    return [body(), count];
  } finally {
    gpu.run = run;
  }
}

/** Fails unless `sinks` is the gradient of the twin along one random direction, for each input. */
export function expectGradient(rule: RuleCase, sinks: Float32Array[], held = 0): void {
  const { shapes, twin, isLoss } = rule;
  const inputs = shapes.map((shape, i) => Float64Array.from(normals(shape, i)));
  shapes.forEach((shape, which) => {
    const direction = normals(shape, 50 + which);
    const loss = (step: number) => {
      const y = twin(
        inputs.map((x, i) => i === which ? x.map((value, j) => value + step * direction[j]) : x),
      );
      const dy = isLoss ? y.map(() => 1) : normals([y.length], 99);
      return y.reduce((sum, value, i) => sum + value * dy[i], 0);
    };
    const expected = (loss(STEP) - loss(-STEP)) / (2 * STEP);
    const gradient = sinks[which].map((value) => value - held);
    const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
    const actual = gradient.reduce((sum, value, i) => sum + value * direction[i], 0);
    const magnitude = (norm(gradient) + held * Math.sqrt(gradient.length)) * norm(direction);
    expectClose(
      [actual],
      [expected],
      bound(gradient.length, [magnitude], EXP_GRANT),
      `${rule.name}, input ${which}`,
    );
  });
}
