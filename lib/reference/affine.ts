/** y = scale x + offset, element by element; its gradient with respect to x is scale dL/dy. */
export function affine(x: Float64Array, scale: number, offset: number): Float64Array {
  return x.map((value) => scale * value + offset);
}
