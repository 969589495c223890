import { assert, assertEquals } from "@std/assert";
import { adamw, clipFactor, globalNorm } from "../../lib/reference/adamw.ts";

const zero = { m: new Float64Array(2), v: new Float64Array(2) };

Deno.test("adamw() moves each parameter by the learning rate at the first step, whatever the gradient", () => {
  const state = { parameters: Float64Array.of(1, -2), ...zero };
  const { parameters } = adamw(state, Float64Array.of(1e-3, -50), { learningRate: 0.1, step: 1 });
  assert(Math.abs(parameters[0] - 0.9) < 1e-5 && Math.abs(parameters[1] + 1.9) < 1e-5);
  assertEquals(state.parameters, Float64Array.of(1, -2));
});

Deno.test("adamw() adds eps to the bias-corrected root", () => {
  const { parameters } = adamw(
    { parameters: new Float64Array(2), ...zero },
    Float64Array.of(1, 0),
    { learningRate: 1, step: 1, eps: 1 },
  );
  assertEquals(parameters[1], 0);
  assert(Math.abs(parameters[0] + 0.5) < 1e-12);
});

Deno.test("adamw() decays parameters by learning rate times weight decay, apart from the gradient", () => {
  const { parameters } = adamw(
    { parameters: Float64Array.of(2, -4), ...zero },
    new Float64Array(2),
    { learningRate: 0.5, step: 3, weightDecay: 0.1 },
  );
  assertEquals(parameters, Float64Array.of(2 * 0.95, -4 * 0.95));
});

Deno.test("globalNorm() and clipFactor() scale all gradients to the largest norm allowed", () => {
  assertEquals(globalNorm([Float64Array.of(2, 3), Float64Array.of(6)]), 7);
  assertEquals(clipFactor(7, 3.5), 3.5 / 7.000001);
  assertEquals(clipFactor(2, 3.5), 1);
  assertEquals(clipFactor(2, 0), 1);
});
