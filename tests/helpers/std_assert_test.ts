import * as stand from "./std_assert/mod.ts";

/** One call that must pass and one or more that must fail, for each assertion of the stand-in. */
const cases: Record<string, { passes: () => unknown; fails: (() => unknown)[] }> = {
  assert: { passes: () => stand.assert(1), fails: [() => stand.assert(0), () => stand.assert("")] },
  fail: { passes: () => {}, fails: [() => stand.fail(), () => stand.fail("no")] },
  assertEquals: {
    passes: () =>
      stand.assertEquals({ a: [1, NaN], m: new Map([[1, 2]]) }, { a: [1, NaN], m: new Map([[1, 2]]) }),
    fails: [
      () => stand.assertEquals({ a: [1] }, { a: [2] }),
      () => stand.assertEquals<unknown>(1, "1"),
      () => stand.assertEquals([1, 2], [1]),
      () => stand.assertEquals(0, -0),
      () => stand.assertEquals(new Float32Array([1]), new Float32Array([2])),
      () => stand.assertEquals<object>({ a: undefined }, {}),
    ],
  },
  assertNotEquals: {
    passes: () => stand.assertNotEquals([1], [2]),
    fails: [() => stand.assertNotEquals([1], [1])],
  },
  assertStrictEquals: {
    passes: () => stand.assertStrictEquals(NaN, NaN),
    fails: [() => stand.assertStrictEquals([], [])],
  },
  assertNotStrictEquals: {
    passes: () => stand.assertNotStrictEquals([], []),
    fails: [() => stand.assertNotStrictEquals(1, 1)],
  },
  assertAlmostEquals: {
    passes: () => stand.assertAlmostEquals(1 + 1e-8, 1),
    fails: [
      () => stand.assertAlmostEquals(1 + 1e-6, 1),
      () => stand.assertAlmostEquals(1.2, 1, 0.1),
      () => stand.assertAlmostEquals(NaN, 1),
      () => stand.assertAlmostEquals(Infinity, 1, 1),
    ],
  },
  assertGreater: { passes: () => stand.assertGreater(2, 1), fails: [() => stand.assertGreater(1, 1)] },
  assertGreaterOrEqual: {
    passes: () => stand.assertGreaterOrEqual(1, 1),
    fails: [() => stand.assertGreaterOrEqual(1, 2), () => stand.assertGreaterOrEqual(NaN, 1)],
  },
  assertLess: { passes: () => stand.assertLess(1, 2), fails: [() => stand.assertLess(1, 1)] },
  assertLessOrEqual: {
    passes: () => stand.assertLessOrEqual(1, 1),
    fails: [() => stand.assertLessOrEqual(2, 1), () => stand.assertLessOrEqual(NaN, 1)],
  },
  assertExists: {
    passes: () => stand.assertExists(0),
    fails: [() => stand.assertExists(null), () => stand.assertExists(undefined)],
  },
  assertInstanceOf: {
    passes: () => stand.assertInstanceOf(new RangeError(), Error),
    fails: [() => stand.assertInstanceOf(new Error(), RangeError)],
  },
  assertStringIncludes: {
    passes: () => stand.assertStringIncludes("rank 8", "8"),
    fails: [() => stand.assertStringIncludes("rank 8", "9")],
  },
  assertArrayIncludes: {
    passes: () => stand.assertArrayIncludes([1, [2]], [[2]]),
    fails: [() => stand.assertArrayIncludes([1, 2], [3])],
  },
  assertMatch: {
    passes: () => stand.assertMatch("r8", /^r\d$/),
    fails: [() => stand.assertMatch("r", /\d/)],
  },
  assertNotMatch: {
    passes: () => stand.assertNotMatch("r", /\d/),
    fails: [() => stand.assertNotMatch("r8", /\d/)],
  },
  assertThrows: {
    passes: () => stand.assertThrows(() => raise(new RangeError("rank 9")), RangeError, "rank"),
    fails: [
      () => stand.assertThrows(() => 1),
      () => stand.assertThrows(() => 1, RangeError),
      () => stand.assertThrows(() => raise(new TypeError()), RangeError),
      () => stand.assertThrows(() => raise(new RangeError("rank")), RangeError, "alpha"),
    ],
  },
  assertRejects: {
    passes: () => stand.assertRejects(() => Promise.reject(new RangeError("rank 9")), RangeError, "rank"),
    fails: [
      () => stand.assertRejects(() => Promise.resolve()),
      () => stand.assertRejects(() => Promise.resolve(), RangeError),
      () => stand.assertRejects(() => Promise.reject(new TypeError()), RangeError),
      () => stand.assertRejects(() => Promise.reject(new RangeError("rank")), RangeError, "alpha"),
      () => stand.assertRejects(() => raise(new RangeError("not a promise"))),
    ],
  },
};

function raise(error: Error): never {
  throw error;
}

async function thrown(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
}

for (const [name, { passes, fails }] of Object.entries(cases)) {
  Deno.test(`stand-in for @std/assert: ${name}() passes and fails where it must`, async () => {
    const unexpected = await thrown(passes);
    if (unexpected !== undefined) throw unexpected;
    for (const call of fails) {
      const error = await thrown(call);
      if (!(error instanceof stand.AssertionError)) throw new Error(`${call} did not fail: ${error}`);
    }
  });
}

Deno.test("stand-in for @std/assert: every function it exports is in the table above", () => {
  const functions = Object.keys(stand).filter((name) => name !== "AssertionError").sort();
  const tested = Object.keys(cases).sort();
  if (functions.join() !== tested.join()) throw new Error(`exported ${functions}, tested ${tested}`);
});

Deno.test("stand-in for @std/assert: the mapped name offers every function that is used", async () => {
  const mapped = await import("@std/assert");
  for (const name of Object.keys(cases)) {
    if (typeof (mapped as Record<string, unknown>)[name] !== "function") {
      throw new Error(`${name} is missing`);
    }
  }
});
