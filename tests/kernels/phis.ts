import type { Phi } from "../../lib/kernels/activation.ts";
import { EPS, EXP_GRANT } from "../helpers/close.ts";

/** n, d: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, no rows. */
export const SHAPES = [[1, 1], [1, 3], [1, 4], [5, 1], [1, 255], [1, 256], [257, 1], [7, 73], [0, 8], [3, 0]];

/** How far a kernel of φ may be off its twin, in φ's own words. */
export interface PhiErrors {
  /** Numbers where σ is 0 or 1 to f32, or that are 0, next to it, or beyond every number. */
  readonly edges: readonly number[];
  /** Of φ(x), relative, beyond `floor`. */
  relative(x: number): number;
  /** Of dy φ'(x), as a share of |dy|. */
  ofGradient(x: number): number;
  /** What the kernel may give in place of something smaller. */
  readonly floor: number;
}

const GRANT = 3 * EPS + EXP_GRANT;
/** |φ| at z = −80. */
const FLOOR = 1e4 * Math.exp(-80);
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

/** gelu's z, its slope, and its size where σ is not yet 0 or 1. */
const arc = (x: number) => Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
const slope = (x: number) => Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * x * x);
const size = (x: number) => Math.min(80, Math.abs(arc(x)));

/** The errors of each φ. */
export const PHIS: Readonly<Record<Phi, PhiErrors>> = {
  silu: {
    edges: [-1e4, -200, -100, -80, -79, -20, -1, -1e-6, 0, 1e-6, 1, 20, 79, 80, 100, 1e4],
    relative: () => GRANT,
    // Two factors hold the exponential: σ, and 1 − σ inside the parenthesis.
    ofGradient: (x) => 2 * GRANT * sigma(x) * (1 + Math.abs(x) * sigma(-x)) + FLOOR,
    floor: FLOOR,
  },
  gelu: {
    edges: [-1e4, -200, -100, -20, -9.5, -9, -4, -1, -1e-6, 0, 1e-6, 1, 4, 9, 9.5, 20, 100, 1e4],
    // Rounding of z: beyond the grant, what it makes of σ.
    relative: (x) => GRANT + 5 * EPS * size(x) * sigma(-arc(x)),
    ofGradient: (x) =>
      2 * (GRANT + 5 * EPS * (1 + size(x))) * sigma(arc(x)) * (1 + Math.abs(x) * slope(x) * sigma(-arc(x))) +
      FLOOR * (1 + slope(x)),
    floor: FLOOR,
  },
  relu: {
    edges: [-Infinity, -1e30, -1, -0, 0, 1, 1e30, Infinity, NaN],
    relative: () => 0,
    ofGradient: () => 0,
    floor: 0,
  },
};

/** All φ. */
export const NAMES = Object.keys(PHIS) as Phi[];
