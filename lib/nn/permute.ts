import { blockSize, byteWidth } from "../core/dtype.ts";
import type { HostTensor } from "../core/host_tensor.ts";
import { Rng } from "../core/rng.ts";
import { FAMILIES, type FamilyName, type ModuleNames } from "../io/families.ts";
import type { DecoderConfig } from "../io/model_config.ts";

/**
 * New orders of a decoder's inner axes: entry i is the old place of what comes to place i. Any such order leaves the
 * function as it is, to rounding.
 */
export interface Permutations {
  /** Whose names the weights have. */
  readonly family: FamilyName;
  /** Channels of the residual stream: norms and matrices do not care about their order. */
  readonly width: readonly number[];
  /** For each layer, orders of the axes inside it. */
  readonly layers: readonly {
    /** Hidden units of the MLP. */
    readonly mlp: readonly number[];
    /** Rows of q: key-value groups change places, and heads inside a group; channels stay, as rotary turns them. */
    readonly q: readonly number[];
    /** Rows of k. */
    readonly k: readonly number[];
    /** Rows of v: as k, and channels change places within a head. */
    readonly v: readonly number[];
    /** Columns of o: as q, with the channels of v. */
    readonly o: readonly number[];
  }[];
}

/**
 * Random orders that keep a decoder's function.
 *
 * OLoRA starts from the first r columns of each weight, so it depends on an order of features that means nothing;
 * training on permuted copies of one base shows by how much. Own construction.
 *
 * @param seed Seed of the orders.
 */
export function randomPermutations(config: DecoderConfig, seed: number): Permutations {
  const { width, mlpWidth, heads, keyValueHeads, headWidth, layers } = config;
  const shuffled = (n: number, stream: string) =>
    new Rng(seed, `permute ${stream}`).shuffle([...Array(n).keys()]);
  const perGroup = heads / keyValueHeads;
  return {
    family: config.family,
    width: shuffled(width, "width"),
    layers: Array.from({ length: layers }, (_, layer) => {
      const groups = shuffled(keyValueHeads, `${layer} groups`);
      const channels = groups.map((_, i) => shuffled(headWidth, `${layer} channels ${i}`));
      const queries = groups.flatMap((group, i) =>
        shuffled(perGroup, `${layer} heads ${i}`).map((head) => ({ head: group * perGroup + head, group: i }))
      );
      const straight = [...Array(headWidth).keys()];
      const rows = (head: number, order: readonly number[]) =>
        order.map((channel) => head * headWidth + channel);
      return {
        mlp: shuffled(mlpWidth, `${layer} mlp`),
        q: queries.flatMap(({ head }) => rows(head, straight)),
        k: groups.flatMap((group) => rows(group, straight)),
        v: groups.flatMap((group, i) => rows(group, channels[i])),
        o: queries.flatMap(({ head, group }) => rows(head, channels[group])),
      };
    }),
  };
}

/**
 * The weight called `name` in the new orders.
 *
 * @param tensor As stored, `[out, in]` or `[d]`; any dtype whose elements are stored one by one.
 * @throws {TypeError} If columns would have to leave the block they are stored in.
 */
export function permuteWeight(name: string, tensor: HostTensor, orders: Permutations): HostTensor {
  const { width, layers } = orders;
  const { names } = FAMILIES[orders.family];
  // Norms of heads act on channels that stay where they are.
  if (/\.[qk]_norm\.weight$/.test(name)) return tensor;
  const [, layer, module] = /\.(\d+)\.(.+)\.(?:weight|bias)$/.exec(name) ?? [];
  const axes = layer === undefined ? undefined : axesOf(module, layers[Number(layer)], width, names);
  const [rows, columns] = axes ?? [undefined, width];
  // A vector has the axis of a layer's outputs, or that of the residual stream.
  return tensor.shape.length === 1
    ? reorder(tensor, rows ?? width, undefined)
    : reorder(tensor, rows, columns);
}

/** Orders of the outputs and inputs of a linear layer; undefined for other modules. */
function axesOf(
  module: string,
  { mlp, q, k, v, o }: Permutations["layers"][number],
  width: readonly number[],
  names: ModuleNames,
): [rows: readonly number[], columns: readonly number[]] | undefined {
  const fused = [...q, ...k.map((row) => q.length + row), ...v.map((row) => q.length + k.length + row)];
  const heads = names.attention.length === 1 ? [fused] : [q, k, v];
  const at = (names.attention as readonly string[]).indexOf(module);
  if (at >= 0) return [heads[at], width];
  if (module === names.attentionOut) return [width, o];
  if (module === names.mlpOut) return [width, mlp];
  return (names.mlp as readonly string[]).includes(module) ? [mlp, width] : undefined;
}

/** Rows (or elements of a vector) and columns in new orders; undefined leaves them. */
function reorder(
  tensor: HostTensor,
  rows: readonly number[] | undefined,
  columns: readonly number[] | undefined,
): HostTensor {
  if (columns && blockSize(tensor.dtype) > 1) {
    throw new TypeError(`Cannot permute columns stored as ${tensor.dtype}: expected f32, f16 or bf16`);
  }
  const [m, n = 1] = tensor.shape;
  const bytes = byteWidth(tensor.dtype);
  const out = new Uint8Array(tensor.bytes.length);
  for (let i = 0; i < m; i++) {
    const from = (rows ? rows[i] : i) * n * bytes;
    const to = i * n * bytes;
    if (!columns) {
      out.set(tensor.bytes.subarray(from, from + n * bytes), to);
      continue;
    }
    for (let j = 0; j < n; j++) {
      const at = from + columns[j] * bytes;
      for (let byte = 0; byte < bytes; byte++) out[to + j * bytes + byte] = tensor.bytes[at + byte];
    }
  }
  return { ...tensor, bytes: out };
}
