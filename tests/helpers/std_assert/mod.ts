/**
 * Stand-in for `jsr:@std/assert` where JSR cannot be reached: the functions that this repository's tests use,
 * with the same names and arguments, over `node:assert`. The `links` entry of the root `deno.json` puts it in
 * the package's place; without that entry the tests run on the real one.
 *
 * It is never laxer than the real one and stricter in two places: `assertEquals` tells 0 from -0 and an object
 * from one with the same fields and another prototype.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";

// deno-lint-ignore no-explicit-any
type Class<E> = abstract new (...args: any[]) => E;

/** Thrown by every assertion here. */
export const AssertionError: typeof nodeAssert.AssertionError = nodeAssert.AssertionError;

function check(ok: boolean, found: string, msg?: string): asserts ok {
  if (!ok) throw new AssertionError({ message: msg === undefined ? found : `${found}: ${msg}` });
}

function show(x: unknown): string {
  return typeof x === "string" ? JSON.stringify(x) : Deno.inspect(x);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError({ message: msg || "Expected a truthy value" });
}

/** Fails always. */
export function fail(msg?: string): never {
  throw new AssertionError({ message: msg ? `Failed assertion: ${msg}` : "Failed assertion." });
}

/** Fails unless the two are equal throughout; NaN equals NaN. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    check(false, (error as Error).message, msg);
  }
}

/** Fails if the two are equal throughout. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    nodeAssert.notDeepStrictEqual(actual, expected);
  } catch {
    check(false, `Expected a value other than ${show(expected)}`, msg);
  }
}

/** Fails unless `Object.is(actual, expected)`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  check(Object.is(actual, expected), `Expected ${show(expected)} itself, got ${show(actual)}`, msg);
}

/** Fails if `Object.is(actual, expected)`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  check(!Object.is(actual, expected), `Expected another value than ${show(expected)} itself`, msg);
}

/** Fails unless |actual - expected| <= tolerance, by default 1e-7 of `expected`. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const limit = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const delta = Math.abs(actual - expected);
  check(delta <= limit, `Expected ${expected} within ${limit}, got ${actual} (off by ${delta})`, msg);
}

/** Fails unless actual > expected. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  check(actual > expected, `Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Fails unless actual >= expected. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual >= expected, `Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Fails unless actual < expected. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  check(actual < expected, `Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Fails unless actual <= expected. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual <= expected, `Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** Fails on null and undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  check(actual !== undefined && actual !== null, `Expected a value, got ${actual}`, msg);
}

/** Fails unless `actual` is an instance of `type`. */
export function assertInstanceOf<T>(actual: unknown, type: Class<T>, msg?: string): asserts actual is T {
  check(actual instanceof type, `Expected an instance of ${type.name}, got ${show(actual)}`, msg);
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  check(actual.includes(expected), `Expected ${show(actual)} to contain ${show(expected)}`, msg);
}

/** Fails unless `actual` has every item of `expected`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  const missing = Array.from(expected).filter((e) => !Array.from(actual).some((a) => isEqual(a, e)));
  check(missing.length === 0, `Expected ${show(actual)} to contain ${show(missing)}`, msg);
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  check(new RegExp(expected).test(actual), `Expected ${show(actual)} to match ${expected}`, msg);
}

/** Fails if `actual` matches `expected`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  check(!new RegExp(expected).test(actual), `Expected ${show(actual)} not to match ${expected}`, msg);
}

/** Fails unless `fn` throws an error, of `type` and with `text` in its message where given; returns the error. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** The form that names the class of the error. */
export function assertThrows<E extends Error>(
  fn: () => unknown,
  type: Class<E>,
  text?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  typeOrMsg?: Class<Error> | string,
  text?: string,
  msg?: string,
) {
  try {
    fn();
  } catch (error) {
    return expected(error, typeOrMsg, text, msg);
  }
  check(false, "Expected function to throw", typeof typeOrMsg === "string" ? typeOrMsg : msg);
}

/** Fails unless `fn` returns a promise that rejects, like {@linkcode assertThrows}; resolves to the error. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** The form that names the class of the error. */
export function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  type: Class<E>,
  text?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  typeOrMsg?: Class<Error> | string,
  text?: string,
  msg?: string,
) {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch {
    check(false, "Function throws when expected to reject", msg);
  }
  try {
    await promise;
  } catch (error) {
    return expected(error, typeOrMsg, text, msg);
  }
  check(false, "Expected function to reject", typeof typeOrMsg === "string" ? typeOrMsg : msg);
}

function expected(error: unknown, typeOrMsg?: Class<Error> | string, text?: string, msg?: string): unknown {
  if (typeof typeOrMsg !== "function") return error;
  check(error instanceof typeOrMsg, `Expected an error of ${typeOrMsg.name}, got ${show(error)}`, msg);
  check(
    text === undefined || error.message.includes(text),
    `Expected the message ${show(error.message)} to contain ${show(text)}`,
    msg,
  );
  return error;
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    nodeAssert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
