import { type BlockDType, blockSize, byteWidth, type GgufBlockDType } from "../../lib/core/dtype.ts";
import type { HostTensor } from "../../lib/core/host_tensor.ts";
import type { Rng } from "../../lib/core/rng.ts";

/** First bytes of the f16 numbers in a block of each format. */
const HALVES: Record<GgufBlockDType, number[]> = {
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q8_0: [0],
  q4_k: [0, 2],
  q6_k: [208],
};

/** Bits of f16 numbers that are easily got wrong: zeros, subnormals, the least normal ones, the largest. */
export const EDGE_HALVES = [0, 0x8000, 1, 0x8001, 0x3ff, 0x83ff, 0x400, 0x8400, 0x3c00, 0x7bff, 0xfbff];

/**
 * Random blocks of `dtype`; every fourth scale is one of `EDGE_HALVES`, the others are finite numbers of any size. Scales in
 * f32 are such that no element is subnormal, which a device may flush.
 */
export function randomBlocks(rng: Rng, shape: readonly [number, number], dtype: BlockDType): HostTensor {
  const stride = blockSize(dtype) * byteWidth(dtype);
  const bytes = Uint8Array.from({ length: shape[0] * shape[1] * byteWidth(dtype) }, () => rng.below(256));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += stride) {
    if (dtype === "nf4" || dtype === "int8") {
      const scale = rng.below(8) ? rng.normal() * 2 ** (rng.below(200) - 100) : 0;
      view.setFloat32(at, scale, true);
      continue;
    }
    for (const half of HALVES[dtype]) {
      const edge = rng.below(4) === 0;
      const bits = edge ? EDGE_HALVES[rng.below(EDGE_HALVES.length)] : rng.below(2) << 15 | rng.below(0x7c00);
      view.setUint16(at + half, bits, true);
    }
  }
  return { dtype, shape, bytes };
}
