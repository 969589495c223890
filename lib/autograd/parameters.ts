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
  readonly #variables = new Map<string, Variable>();

  /** Room for tensors of these names and shapes, all zero. */
  constructor(gpu: Gpu, shapes: ReadonlyMap<string, Shape>) {
    this.gpu = gpu;
    this.count = [...shapes.values()].reduce((sum, shape) => sum + size(shape), 0);
    const starts = new Map<string, number>();
    let end = 0;
    for (const [name, shape] of shapes) {
      starts.set(name, end);
      end += Math.ceil(size(shape) / ALIGN) * ALIGN;
    }
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
