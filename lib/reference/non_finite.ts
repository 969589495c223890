/** Whether x holds NaN or infinity. */
export function nonFinite(x: ArrayLike<number>): boolean {
  return Array.from(x).some((value) => !Number.isFinite(value));
}
