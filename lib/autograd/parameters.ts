import { type Shape, size } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { parameter, type Variable } from "./tape.ts";

const ALIGN = 64;

/**
 * All trainable numbers of a run in one f32 arena, with their gradients beside them, so that the norm, the clipping
 * and the update of all of them are one dispatch each.
 *
 * Each tensor starts at a multiple of 64 elements (256 bytes, what a binding wants); the gaps hold zeros and stay
 * zero. Own construction.
 */
export class Parameters implements Disposable {
  /** The device. */
  readonly gpu: Gpu;
  /** Parameters, f32 `[n]`. */
  readonly data: Tensor;
  /** Their gradients, f32 `[n]`, zero to begin with. */
  readonly gradient: Tensor;
  /** Trainable numbers, gaps left out. */
  readonly count: number;
  /** Stretches of the arena that are trained at one rate: elements, and the factor of the learning rate. */
  readonly stretches: readonly { start: number; length: number; rate: number }[];
  readonly #variables = new Map<string, Variable>();

  /**
   * Room for tensors of these names and shapes, all zero.
   *
   * @param rate Factor of the learning rate for the tensor called `name`; default 1 for all.
   */
  constructor(gpu: Gpu, shapes: ReadonlyMap<string, Shape>, rate: (name: string) => number = () => 1) {
    this.gpu = gpu;
    this.count = [...shapes.values()].reduce((sum, shape) => sum + size(shape), 0);
    const starts = new Map<string, number>();
    const stretches: { start: number; length: number; rate: number }[] = [];
    let end = 0;
    for (const [name, shape] of shapes) {
      starts.set(name, end);
      const length = Math.ceil(size(shape) / ALIGN) * ALIGN;
      const last = stretches.at(-1);
      if (last?.rate === rate(name)) last.length += length;
      else stretches.push({ start: end, length, rate: rate(name) });
      end += length;
    }
    this.stretches = stretches;
    this.data = gpu.keep(gpu.tensor([end]));
    this.gradient = gpu.keep(gpu.tensor([end]));
    gpu.clear(this.data);
    gpu.clear(this.gradient);
    for (const [name, shape] of shapes) {
      const start = starts.get(name)!;
      this.#variables.set(name, parameter(this.data.view(shape, start), this.gradient.view(shape, start)));
    }
  }

  /** Names in the order of the arena. */
  get names(): string[] {
    return [...this.#variables.keys()];
  }

  /** The parameter called `name`, or undefined. */
  get(name: string): Variable | undefined {
    return this.#variables.get(name);
  }

  /** Frees the arena. */
  [Symbol.dispose](): void {
    this.data.dispose();
    this.gradient.dispose();
  }
}
