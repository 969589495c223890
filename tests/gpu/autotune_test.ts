import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { autotune, fastest, restoreVariants, variantTable } from "../../lib/gpu/autotune.ts";
import { MATMUL_CLASSES, matmulContests, matmulVariants } from "../../lib/kernels/matmul_variants.ts";
import { matmul } from "../../lib/ops/matmul.ts";
import { testDevice } from "../helpers/device.ts";

Deno.test("fastest() takes the lowest median, and the default when nothing beats it by 5 %", () => {
  assertEquals(fastest(new Map([["a", [3, 1, 2]], ["b", [1, 9, 1.8]]])), "b");
  assertEquals(fastest(new Map([["a", [2]], ["b", [1.95]]])), "a");
  assertEquals(fastest(new Map([["a", [2]], ["b", [1.5]], ["c", [1]]])), "c");
});

Deno.test("autotune() fills the table with variants that the device has, frees its tensors and gives JSON back", async () => {
  const gpu = await testDevice();
  const before = gpu.liveBytes;
  const contests = matmulContests(gpu).slice(0, 2);
  const table = await autotune(gpu, contests, 1);
  assertEquals(gpu.liveBytes, before);
  assertEquals(Object.keys(table).sort(), contests.map(({ key }) => key).sort());
  for (const name of Object.values(table)) assert(matmulVariants(gpu).includes(name));
  restoreVariants(gpu, {});
  assertEquals(variantTable(gpu), {});
  restoreVariants(gpu, JSON.parse(JSON.stringify(table)));
  assertEquals(variantTable(gpu), table);
  restoreVariants(gpu, {});
});

Deno.test("matmulContests() has a contest for every class, and each records products of its own class", async () => {
  const gpu = await testDevice();
  assertEquals(matmulContests(gpu).map(({ key }) => key), [...MATMUL_CLASSES]);
  for (const { key, record } of matmulContests(gpu)) {
    gpu.variants.set(key, "none");
    assertThrows(
      () => gpu.scope(() => record(gpu)),
      RangeError,
      `Cannot run ${key} as "none": expected one of`,
    );
    gpu.variants.delete(key);
  }
});

Deno.test("autotune() leaves the table as it was when a candidate fails", async () => {
  const gpu = await testDevice();
  const contest = { key: "matmul.small", candidates: ["own", "none"], record: () => void failing() };
  const failing = () => {
    using a = gpu.tensor([64, 64]);
    using b = gpu.tensor([64, 64]);
    matmul(gpu, "nn", a, b).dispose();
  };
  await assertRejects(() => autotune(gpu, [contest], 1), RangeError, 'as "none"');
  assertEquals(variantTable(gpu), {});
});
