import type { Gpu } from "../gpu/gpu.ts";
import { add } from "../ops/add.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** A value in a computation that gradients may flow through. */
export interface Variable {
  /** The value. */
  readonly value: Tensor;
  /** Whether a gradient is wanted for this value or for something it was made from. */
  readonly needsGradient: boolean;
  /** Where the gradient of a parameter is added up; absent for values made by an operation. */
  readonly sink?: Tensor;
}

/** A value that no gradient is wanted for. */
export function constant(value: Tensor): Variable {
  return { value, needsGradient: false };
}

/** A value whose gradient is added to `sink`, of the same shape. */
export function parameter(value: Tensor, sink: Tensor): Variable {
  return { value, needsGradient: true, sink };
}

/** What a rule's backward pass is told about one input. */
export interface InputUse {
  /** The input's value. */
  readonly value: Tensor;
  /** Whether its gradient is wanted; if not, it must not be computed. */
  readonly needed: boolean;
  /** If present the gradient must be added here, and nothing returned for this input. */
  readonly sink?: Tensor;
  /**
   * In the backward pass: what later operations made of this input's gradient so far, owned by the tape. A rule may add
   * its own part to it and return it, which spares a sum.
   */
  readonly gradient?: Tensor;
}

/**
 * One row of the table of derivatives: an operation and its gradient.
 *
 * `backward` gets the gradient of each output (absent where nothing used it) and returns the gradient of each input
 * that is needed and has no sink. It may return a gradient it was given. It never disposes what it is given.
 */
export interface Rule<Attributes, Saved> {
  /** Name of the operation. */
  readonly name: string;
  /** Computes the outputs, and whatever the backward pass will want beyond the inputs. */
  forward(
    gpu: Gpu,
    inputs: readonly InputUse[],
    attributes: Attributes,
  ): { outputs: readonly Tensor[]; saved: Saved; scratch?: readonly Tensor[] };
  /** Computes the gradients of the inputs. */
  backward(
    gpu: Gpu,
    gradients: readonly (Tensor | undefined)[],
    inputs: readonly InputUse[],
    saved: Saved,
    attributes: Attributes,
  ): readonly (Tensor | undefined)[];
}

interface Node {
  readonly inputs: readonly Variable[];
  readonly outputs: readonly Variable[];
  readonly scratch: readonly Tensor[];
  readonly backward: (
    gradients: readonly (Tensor | undefined)[],
    sofar: readonly (Tensor | undefined)[],
  ) => readonly (Tensor | undefined)[];
}

/**
 * Records operations and walks them backwards once, iteratively. Frozen inputs cost nothing: an operation none of
 * whose inputs needs a gradient is not recorded for the walk, and a rule computes no gradient that is not needed.
 *
 * The tape owns what its operations make: values are disposed as the walk passes them, all else by `dispose`.
 */
export class Tape implements Disposable {
  readonly #gpu: Gpu;
  readonly #gradients: boolean;
  readonly #nodes: Node[] = [];
  readonly #kept = new Set<Tensor>();

  /**
   * An empty tape.
   *
   * @param options `gradients: false` for values alone: nothing on this tape needs a gradient, so none is computed, not
   * even by a loss, which otherwise adds the head's to its sink on the way forward. Default true.
   */
  constructor(gpu: Gpu, { gradients = true }: { gradients?: boolean } = {}) {
    this.#gpu = gpu;
    this.#gradients = gradients;
  }

  /** Whether gradients are wanted of what is recorded. */
  get gradients(): boolean {
    return this.#gradients;
  }

  /** The device that operations run on. */
  get gpu(): Gpu {
    return this.#gpu;
  }

  /** Applies `rule`, and remembers it for the walk. */
  apply<Attributes, Saved>(
    rule: Rule<Attributes, Saved>,
    inputs: readonly Variable[],
    attributes: Attributes,
  ): Variable[] {
    const uses = inputs.map(({ value, needsGradient, sink }): InputUse =>
      this.#gradients ? { value, needed: needsGradient, ...(sink && { sink }) } : { value, needed: false }
    );
    const { outputs, saved, scratch = [] } = rule.forward(this.#gpu, uses, attributes);
    const needsGradient = uses.some(({ needed }) => needed);
    const made = outputs.map((value): Variable => ({ value, needsGradient }));
    this.#nodes.push({
      inputs,
      outputs: made,
      scratch,
      backward: (gradients, sofar) => {
        const inputs = uses.map((use, i) => sofar[i] ? { ...use, gradient: sofar[i] } : use);
        return rule.backward(this.#gpu, gradients, inputs, saved, attributes);
      },
    });
    return made;
  }

  /**
   * Applies `run` to `inputs` and keeps nothing but its outputs: the walk runs it again, for the same gradients bit for
   * bit, and frees what that made before it goes on. `run` must do the same each time, on the tape it is given. On a tape
   * for values alone nothing is run again, and inputs that it made are freed too: nobody else may read them.
   *
   * Source: Chen et al. 2016, arXiv:1604.06174, §4.
   */
  recompute(
    inputs: readonly Variable[],
    run: (tape: Tape, inputs: readonly Variable[]) => readonly Variable[],
  ): Variable[] {
    if (!this.#gradients) return this.#stage(inputs, run);
    const again = () => {
      const tape = new Tape(this.#gpu);
      const leaves = inputs.map(({ value, needsGradient }): Variable => ({ value, needsGradient }));
      return { tape, leaves, outputs: run(tape, leaves) };
    };
    const first = again();
    const made = first.outputs.map((output): Variable => ({
      value: first.tape.keep(output),
      needsGradient: output.needsGradient,
    }));
    first.tape.dispose();
    this.#nodes.push({
      inputs,
      outputs: made,
      scratch: [],
      backward(gradients) {
        const { tape, leaves, outputs } = again();
        const from = outputs.map((output, i) => [output, gradients[i]] as const);
        const left = tape.#walk(from.filter(([, gradient]) => gradient));
        return leaves.map((leaf) => left.get(leaf));
      },
    });
    return made;
  }

  #stage(
    inputs: readonly Variable[],
    run: (tape: Tape, inputs: readonly Variable[]) => readonly Variable[],
  ): Variable[] {
    using tape = new Tape(this.#gpu, { gradients: false });
    const outputs = run(tape, inputs);
    for (const output of outputs) tape.keep(output);
    const passed = new Set(outputs.map(({ value }) => value));
    const own = new Set(this.#nodes.flatMap((node) => node.outputs));
    for (const input of inputs) {
      if (own.has(input) && !passed.has(input.value) && !this.#kept.has(input.value)) input.value.dispose();
    }
    this.#nodes.push({ inputs: [], outputs, scratch: [], backward: () => [] });
    return [...outputs];
  }

  /** Keeps the tensor of `variable` alive past the walk and `dispose`; the caller disposes it. */
  keep(variable: Variable): Tensor {
    this.#kept.add(variable.value);
    return variable.value;
  }

  /**
   * Adds the gradients of all parameters to their sinks, given the gradient of `output`.
   *
   * @param gradient f32 of the output's shape; absent for an operation that has its own (a loss).
   */
  backward(output: Variable, gradient?: Tensor): void {
    this.#walk([[output, gradient]]);
  }

  /** The walk from outputs with their gradients; returns the gradients of values that nothing here made. */
  #walk(from: readonly (readonly [Variable, Tensor | undefined])[]): Map<Variable, Tensor | undefined> {
    const gradients = new Map<Variable, Tensor | undefined>(from);
    // How often a gradient is still to be used; the caller's own counts once more, so that it is never disposed.
    const holders = new Map<Tensor, number>();
    for (const [, gradient] of from) if (gradient) holders.set(gradient, (holders.get(gradient) ?? 1) + 1);
    const release = (tensor: Tensor) => {
      const left = (holders.get(tensor) ?? 0) - 1;
      holders.set(tensor, left);
      if (left === 0) tensor.dispose();
    };
    for (const node of this.#nodes.splice(0).reverse()) {
      if (node.outputs.some((made) => made.needsGradient && gradients.has(made))) {
        const incoming = node.outputs.map((made) => gradients.get(made));
        // A gradient with one holder is this input's alone, so it may be added to in place.
        const sofar = node.inputs.map((input) => {
          const gradient = gradients.get(input);
          return gradient && holders.get(gradient) === 1 ? gradient : undefined;
        });
        const made = node.backward(incoming, sofar);
        made.forEach((part, i) => {
          const input = node.inputs[i];
          if (!part || !input.needsGradient) return;
          if (input.sink) {
            using sum = this.#add(input.sink, part);
            this.#gpu.copy(sum, input.sink);
            return;
          }
          if (part === sofar[i]) return;
          const before = gradients.get(input);
          const sum = before ? this.#add(before, part) : part;
          holders.set(sum, (holders.get(sum) ?? 0) + 1);
          gradients.set(input, sum);
          if (before) release(before);
        });
        // One tensor may be the gradient of several inputs, so it goes only when all have had their part of it.
        for (const part of made) if (part && !holders.has(part)) part.dispose();
        for (const tensor of incoming) if (tensor && holders.has(tensor)) release(tensor);
      }
      for (const made of node.outputs) gradients.delete(made);
      this.#free(node, holders);
    }
    return gradients;
  }

  /** Disposes everything recorded that was not kept. */
  dispose(): void {
    for (const node of this.#nodes.splice(0)) this.#free(node);
  }

  /** Same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #add(x: Tensor, y: Tensor): Tensor {
    return add(this.#gpu, x, y);
  }

  /** Scratch that became a gradient, as a loss makes it in its forward pass, is the walk's to dispose. */
  #free(node: Node, holders?: ReadonlyMap<Tensor, number>): void {
    const inputs = new Set(node.inputs.map(({ value }) => value));
    for (const { value } of node.outputs) {
      if (!this.#kept.has(value) && !inputs.has(value)) value.dispose();
    }
    for (const tensor of node.scratch) if (!holders?.has(tensor)) tensor.dispose();
  }
}
