import { GpuError } from "../core/errors.ts";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../core/half.ts";
import { Rng } from "../core/rng.ts";
import type { Gpu } from "./gpu.ts";
import type { KernelSpec } from "./kernel.ts";
import source from "./self_test.wgsl" with { type: "text" };

const SPEC: KernelSpec = {
  name: "self_test",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["k", "u32"]],
  workgroups: () => [1, 1, 1],
};
const M = 64;
const K = 37;

/**
 * Compares a product, a tree reduction and both half-precision formats with float64.
 *
 * @throws {GpuError} If the device is wrong by more than rounding allows.
 */
export async function selfTest(gpu: Gpu): Promise<void> {
  const rng = new Rng(1, "self test");
  const a = Float32Array.from({ length: M * K }, () => rng.normal());
  const b = Uint32Array.from({ length: K }, () => {
    const x = rng.normal();
    return f32ToF16(x) | (f32ToBf16(x) << 16);
  });
  using ta = gpu.upload(a, [M, K]);
  using tb = gpu.upload(b, [K]);
  using ty = gpu.tensor([2 * M + 2]);
  gpu.run(SPEC, [ta, tb, ty], { k: K });
  check(await gpu.read(ty), ...expected(a, b), gpu.info.name);
}

/** Values in float64 and the sums of the absolute values of their terms. */
function expected(a: Float32Array, b: Uint32Array): [Float64Array, Float64Array] {
  const value = new Float64Array(2 * M + 2);
  const magnitude = new Float64Array(2 * M + 2);
  [(x: number) => f16ToF32(x & 0xffff), (x: number) => bf16ToF32(x >>> 16)].forEach((decode, which) => {
    for (let i = 0; i < M; i++) {
      for (let k = 0; k < K; k++) {
        const term = a[i * K + k] * decode(b[k]);
        value[which * M + i] += term;
        magnitude[which * M + i] += Math.abs(term);
      }
      value[2 * M + which] += value[which * M + i];
      magnitude[2 * M + which] += magnitude[which * M + i];
    }
  });
  return [value, magnitude];
}

function check(actual: Float32Array, value: Float64Array, magnitude: Float64Array, name: string): void {
  const eps = 2 ** -23;
  const wrong = value.findIndex((x, i) =>
    !(Math.abs(actual[i] - x) <= eps * Math.sqrt(i < 2 * M ? K : M * K) * magnitude[i])
  );
  if (wrong < 0) return;
  throw new GpuError(
    `Cannot trust ${name}: kernel self_test gave ${actual[wrong]}, expected ${
      value[wrong]
    } (element ${wrong})`,
    { kernel: SPEC.name },
  );
}
