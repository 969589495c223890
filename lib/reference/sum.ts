/** Σ x. */
export function sum(x: Float64Array): number {
  return x.reduce((total, value) => total + value, 0);
}
