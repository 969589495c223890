/** A stand-in for jsr:@std/assert over node:assert, for machines that cannot reach JSR. @module */
import assertNode from "node:assert/strict";
/** Fails unless `a` deeply equals `b`. */
export const assertEquals = (a: unknown, b: unknown, message?: string): void => assertNode.deepStrictEqual(a, b, message);
/** Fails unless `x` is truthy. */
export function assert(x: unknown, message?: string): asserts x {
  assertNode.ok(x, message);
}
