/**
 * Axis names used throughout: `b` batch, `t` time (tokens), `n` rows of a flattened batch (b · t), `d` model
 * width, `h` heads, `v` vocabulary, `m n` matrix rows and columns (out, in), `r` rank. Row-major always.
 */
export type Shape = readonly number[];

/** Number of elements of a tensor of this shape; 1 for a scalar `[]`. */
export function size(shape: Shape): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/**
 * Binds named axes to lengths and checks that each name means one length.
 *
 * @param operation Name for the error message.
 * @param shapes Keys such as `"w [out, in]"`, each with the shape found there. An axis written as a
 * number must have exactly that length.
 * @returns The length of each named axis.
 * @throws {RangeError} E.g. `Cannot compute linear with x [n, in]: got shape [3, 5], expected in = 4`.
 *
 * @example Usage
 * ```ts
 * import { bindAxes } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bindAxes("linear", { "x [n, in]": [3, 4], "w [out, in]": [5, 4] }), { n: 3, in: 4, out: 5 });
 * ```
 */
export function bindAxes(operation: string, shapes: Record<string, Shape>): Record<string, number> {
  const axes: Record<string, number> = {};
  for (const [key, shape] of Object.entries(shapes)) {
    const names = key.slice(key.indexOf("[") + 1, key.lastIndexOf("]")).split(",").map((name) => name.trim())
      .filter(Boolean);
    const fail = (rule: string) => {
      throw new RangeError(
        `Cannot compute ${operation} with ${key}: got shape [${shape.join(", ")}], expected ${rule}`,
      );
    };
    if (names.length !== shape.length) fail(`${names.length} axes`);
    names.forEach((name, i) => {
      const wanted = /^\d+$/.test(name) ? Number(name) : axes[name] ??= shape[i];
      if (wanted !== shape[i]) fail(`${name} = ${wanted}`);
    });
  }
  return axes;
}
