import { linearRule } from "../autograd/linear.ts";
import { addRule, cycleRule, foldRule, reshapeRule, rotaryRule } from "../autograd/rules.ts";
import type { Tape, Variable } from "../autograd/tape.ts";
import { hostTensor } from "../core/host_tensor.ts";
import { rotaryTable } from "../ops/rotary.ts";
import type { LayerForm, LayerTarget, Method } from "./method.ts";

/** Side r̂ of the square matrix that has as many numbers as factors of rank r. */
export function moraSide({ out, in: width, config: { rank } }: LayerTarget): number {
  return Math.floor(Math.sqrt((out + width) * rank) + 0.5);
}

/** r̂, even where it is turned in pairs. */
function sideOf(target: LayerTarget): number {
  const side = moraSide(target);
  return target.config.type === 1 ? side : side - side % 2;
}

/** D M C x of type 1: columns of x `[n, in]` are added up in r̂ groups, the outputs of M `[r̂, r̂]` repeated. */
export function shared(tape: Tape, x: Variable, m: Variable, target: LayerTarget): Variable {
  const [side] = m.value.shape;
  const wide = paddedLength(target, side);
  const [padded] = wide === target.in ? [x] : tape.apply(cycleRule, [x], { wide });
  const [sums] = tape.apply(foldRule, [padded], { d: side });
  const [hidden] = tape.apply(linearRule, [sums, m], {});
  return tape.apply(cycleRule, [hidden], { wide: target.out })[0];
}

/** The groups of x, turned by `angles`, each times M `[r̂, r̂]` (type 6). */
function turned(
  tape: Tape,
  x: Variable,
  { m, angles }: { m: Variable; angles: Variable },
  target: LayerTarget,
): Variable {
  const [side] = m.value.shape;
  const wide = paddedLength(target, side);
  const [n] = x.value.shape;
  const [padded] = wide === target.in ? [x] : tape.apply(cycleRule, [x], { wide });
  const t = wide / side;
  const [groups] = tape.apply(reshapeRule, [padded], { shape: [n * t, side] });
  const [rotated] = tape.apply(rotaryRule, [groups], { b: n, t, c: side, table: angles.value });
  const [products] = tape.apply(linearRule, [rotated, m], {});
  const [joined] = tape.apply(reshapeRule, [products], { shape: [n, wide] });
  return tape.apply(cycleRule, [joined], { wide: target.out })[0];
}

/** Length of x repeated to whole groups of r̂. */
function paddedLength(target: LayerTarget, side: number): number {
  return Math.ceil(target.in / side) * side;
}

const form: LayerForm = {
  takesDropout: true,

  start(target) {
    const side = sideOf(target);
    return new Map([["m", hostTensor([side, side], new Float32Array(side * side))]]);
  },

  constants(target) {
    if (target.config.type === 1) return new Map();
    const side = sideOf(target);
    const groups = paddedLength(target, side) / side;
    return new Map([["angles", hostTensor([groups, side], rotaryTable(groups, side, 1e4))]]);
  },

  apply(tape, { x, dropped, w }, tensors, target) {
    const [y] = tape.apply(linearRule, [x, w], {});
    const { type } = target.config;
    const added = type === 1
      ? shared(tape, dropped, tensors("m"), target)
      : turned(tape, dropped, { m: tensors("m"), angles: tensors("angles") }, target);
    return tape.apply(addRule, [y, added], null)[0];
  },
};

/**
 * MoRA: y = W x + f_dec(M f_comp(x)) with one square matrix M of r̂ × r̂, r̂ = √((m + n) r), which starts at zero: as many
 * numbers as LoRA's factors, and a change of rank up to r̂, or more.
 *
 * Type 1 shares rows and columns: x is repeated to a multiple of r̂ and its groups added up, M's output is repeated to m
 * (eqs. (6) and (7)). Type 6, the default, gives M each group by itself, turned by an angle of its own as rotary positions
 * are, and puts the outputs side by side (eqs. (9) to (11)).
 *
 * Source: Jiang et al. 2024, arXiv:2405.12130, §3.2, and the authors' code for what is done at the ends: x begins anew
 * after its last column, and so does the output. There is no α. Left out are types 2 to 4 of that code, which share with other
 * groups (type 2 is what `remora` turns to and from), the paper's truncation and its decoupling without turns, eq. (8).
 */
export const mora: Method = {
  name: "mora",
  startsAtZero: true,
  takes: ["type"],
  layer: form,
  start: () => Promise.resolve([]),
};
